"""SQL as PostgreSQL's own scanner cuts it up, with `standard_conforming_strings` on, as this session sets it.

The gate judges words; so no comment, quote or dollar sign may make it see other words than the server does. What two
scanners could read in two ways (unicode escapes, strings that go on after a line end) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from workbench import toolkit
from workbench.readonly.rows import folded

Kind = Literal["name", "quoted", "text", "number", "parameter", "mark"]
"""name: a word, folded to lower case. quoted: a name in double quotes, as it is. text: a string, content dropped."""

_NAME = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*")
_DOLLAR = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$")
_LINE = re.compile(r"--[^\n\r]*")
_NUMBER = re.compile(r"[0-9]+")
_PARAMETER = re.compile(r"\$[0-9]+")
_SPACE = " \t\n\r\f\v"
_MARKS = "+-*/<>=~!@#%^&|`?()[],;:.{}"
_MAX_NAME = 63
"""Bytes of a name that the server looks at."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str

    def is_word(self, *words: str) -> bool:
        return self.kind == "name" and self.text in words

    def is_mark(self, mark: str) -> bool:
        return self.kind == "mark" and self.text == mark

    @property
    def is_name(self) -> bool:
        return self.kind in ("name", "quoted")


def tokens(sql: str) -> list[Token]:
    """All tokens of the text, comments and white space left out. Raises Failed where it cannot be read for sure.

    >>> [token.text for token in tokens("select /* a /* b */ */ Upper('it''s') -- no")]
    ['select', 'upper', '(', '', ')']
    """
    found: list[Token] = []
    at = 0
    while (at := _blank(sql, at)) < len(sql):
        token, at = _token(sql, at)
        if token.kind == "text" and found and found[-1].kind == "text":
            raise toolkit.Failed("A string goes on in a second one.", hint="Write it as one, or join them with ||.")
        found.append(token)
    return found


def _token(sql: str, at: int) -> tuple[Token, int]:
    character = sql[at]
    if character == "'":
        return Token("text", ""), _closed(sql, at, "'")
    if character == '"':
        end = _closed(sql, at, '"')
        return Token("quoted", _cut(sql[at + 1 : end - 1].replace('""', '"'))), end
    if found := _NAME.match(sql, at):
        word, end = found[0], found.end()
        if sql.startswith("'", end) and word.lower() in ("e", "b", "x", "n"):
            return Token("text", ""), _closed(sql, end, "'", escapes=word.lower() == "e")
        if word.lower() == "u" and sql[end : end + 2] in ("&'", '&"'):
            raise toolkit.Failed("Unicode escapes (U&) are not read.", hint="Write the characters themselves.")
        return Token("name", _cut(folded(word))), end
    if found := _DOLLAR.match(sql, at):
        end = sql.find(found[0], found.end())
        if end < 0:
            raise toolkit.Failed("A string in dollar signs does not end.", hint="Close it.")
        return Token("text", ""), end + len(found[0])
    if found := _PARAMETER.match(sql, at):
        return Token("parameter", found[0]), found.end()
    if found := _NUMBER.match(sql, at):
        return Token("number", found[0]), found.end()
    if character in _MARKS:
        return Token("mark", character), at + 1
    raise toolkit.Failed(f"The SQL holds {character!r} where no such character can stand.", hint="Leave it out.")


def _blank(sql: str, at: int) -> int:
    """Where the next token begins: after white space and comments, which nest."""
    while at < len(sql):
        if sql[at] in _SPACE:
            at += 1
        elif found := _LINE.match(sql, at):
            at = found.end()
        elif sql.startswith("/*", at):
            at, depth = at + 2, 1
            while depth:
                opening, closing = sql.find("/*", at), sql.find("*/", at)
                if closing < 0:
                    raise toolkit.Failed("A comment does not end.", hint="Close it; comments nest.")
                at, depth = (opening + 2, depth + 1) if 0 <= opening < closing else (closing + 2, depth - 1)
        else:
            break
    return at


def _closed(sql: str, at: int, quote: str, *, escapes: bool = False) -> int:
    """The place after the quote that ends what begins at `at`."""
    at += 1
    while at < len(sql):
        if escapes and sql[at] == "\\":
            at += 2
        elif sql[at] != quote:
            at += 1
        elif sql.startswith(quote, at + 1):
            at += 2
        else:
            return at + 1
    raise toolkit.Failed("A string or a quoted name does not end.", hint="Close it.")


def _cut(name: str) -> str:
    return name.encode("utf-8", "replace")[:_MAX_NAME].decode("utf-8", "ignore")
