"""Requests for tools by the examples that the tools declare: no tool's name or parameter is known here.

An example with slots (`search the web for {query}`) is a pattern: its fixed words must be there, its slots become
parameters. An example without slots (`search the web for pandas release notes`) is a pattern too when it says where
its own argument begins: after the first preposition, or at a word that looks like a file. Only the last slot may be
several words; what it says is passed on as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from workbench.core import refs
from workbench.core.errors import Refused
from workbench.core.tools import ToolSpec

TABLE_TOOLS = frozenset({"query_data", "plot"})
"""Questions about tables are read by the grammar itself."""

_SLOT = re.compile(r"\{([A-Za-z_]\w*)\}")
_POLITE = re.compile(r"(?:(?:please|kindly|can you|could you|would you|will you|now)[\s,]+)*", re.IGNORECASE)
_LEADS = frozenset({"for", "about", "of", "that", "on", "in", "at", "from", "to", "named", "called"})
_PLAIN = frozenset(
    [
        "what",
        "is",
        "the",
        "a",
        "an",
        "are",
        "was",
        "were",
        "do",
        "does",
        "did",
        "you",
        "i",
        "me",
        "my",
        "we",
        "our",
        "show",
        "give",
        "tell",
        "how",
        "many",
        "much",
        "which",
        "who",
        "when",
        "where",
        "why",
        "of",
    ]
)
"""Words that open any question: a plain example needs another one before its argument to be recognised by."""

_FILE = re.compile(r"[\w./~-]*(?:\.\w{1,5}|/)[\w./-]*|[\"“'].*[\"”']")
_QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|«[^»]*»")
_SECOND_TASK = re.compile(
    r"(?:\band\b|\bthen\b|;|,|\.\s)\s*(?:then\s+|also\s+|please\s+)*"
    r"(?:summari[sz]e|plot|draw|chart|save|store|remember|send|email|mail|translate|compare|list|show|count|tell|write|read"
    r"|explain|analy[sz]e|search|find|calculate|compute|describe|print|display|export|download|delete|use|make|create|give"
    r"|put|add|report|run|open|post|upload|rank|sort|visuali[sz]e)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Form:
    """A way to ask for a tool: the pattern, and how many fixed words it has."""

    pattern: re.Pattern[str]
    fixed: int
    longest: str


@dataclass(frozen=True, slots=True)
class Match:
    """A tool with the parameters that the request gives it."""

    tool: str
    params: Mapping[str, Any]
    fixed: int


def match(text: str, tools: Mapping[str, ToolSpec], *, least: int = 2) -> Match | None:
    """The tool that the request asks for in the words of one of its examples; None when it asks for none.

    `least`: fixed words that have to agree. One is enough only for what cannot be read as a question about a table.

    Raises Refused when it fits two tools equally well, asks for a second task in the same breath, or a slot cannot be
    filled.
    """
    asked = _POLITE.sub("", text.strip(), count=1)
    own = [tool for tool in tools.values() if tool.name not in TABLE_TOOLS]
    found = [hit for tool in own for hit in _matches(asked, tool, least)]
    if not found:
        return None
    most = max(hit.fixed for hit in found)
    best = {(hit.tool, repr(hit.params)): hit for hit in found if hit.fixed == most}
    if len(best) > 1:
        names = sorted({hit.tool for hit in best.values()})
        raise Refused(f"This could be for {' or '.join(names)}.", hint="Say it in the words of one tool's examples.")
    return next(iter(best.values()))


def _matches(text: str, tool: ToolSpec, least: int) -> Iterator[Match]:
    for example in tool.examples:
        form = _form(example, _only_text(tool))
        hit = form.pattern.fullmatch(text) if form and form.fixed >= least else None
        if form is None or hit is None:
            continue
        said = {name: value.strip() for name, value in hit.groupdict().items()}
        second = _SECOND_TASK.search(_QUOTED.sub("“”", said[form.longest])) if form.longest else None
        if second is not None:
            raise Refused(
                f"“{second[0].strip()}” begins a second task, and I can plan one.",
                hint="Ask for one thing at a time, put a text in quotes, or connect a model: set OPENAI_API_KEY or "
                "OPENAI_BASE_URL.",
            )
        if any(True for _ in refs.find(said)):
            raise Refused("Two braces in a row would be read as a reference.", hint="Leave the braces out.")
        params = {name: _typed(value, tool, name) for name, value in said.items()}
        if all(value is not None for value in params.values()):
            yield Match(tool.name, params, form.fixed)


def _only_text(tool: ToolSpec) -> str | None:
    """The tool's one required parameter, when it is a text."""
    required = list(tool.params.get("required", ()))
    if len(required) != 1:
        return None
    return required[0] if tool.params.get("properties", {}).get(required[0], {}).get("type") == "string" else None


@lru_cache(maxsize=500)
def _form(example: str, only: str | None) -> _Form | None:
    pattern = example.strip().rstrip("?.!")
    if not _SLOT.search(pattern):
        pattern = _with_slot(pattern, only) if only else ""
    if not pattern:
        return None
    pieces = _SLOT.split(pattern)
    fixed, slots = pieces[::2], pieces[1::2]
    words = " ".join(fixed).casefold().split()
    if not set(words) - _PLAIN - _LEADS or len(set(slots)) != len(slots):
        return None
    made = ""
    for at, text in enumerate(fixed):
        made += r"\s+".join(re.escape(word) for word in text.split())
        if at < len(slots):
            gap_before = r"\s+" if text[-1:].isspace() else ""
            gap_after = r"\s+" if fixed[at + 1][:1].isspace() and fixed[at + 1].strip() else ""
            one = r"[\"“'][^\"”']+[\"”']|\S+"
            text_of = r".*\S" if at == len(slots) - 1 else one
            made += f"{gap_before}(?P<{slots[at]}>{text_of}){gap_after}"
    return _Form(re.compile(made + r"\s*[?.!]*", re.IGNORECASE | re.DOTALL), len(words), slots[-1] if slots else "")


def _with_slot(example: str, name: str) -> str:
    """A plain example with its argument as a slot. "" when the example does not say where that is."""
    words = example.split()
    for at, word in enumerate(words):
        if at >= 1 and _FILE.fullmatch(word):
            return " ".join([*words[:at], f"{{{name}}}", *words[at + 1 :]])
    for at, word in enumerate(words[:-1]):
        if at >= 1 and word.casefold() in _LEADS:
            return " ".join([*words[: at + 1], f"{{{name}}}"])
    return ""


def _typed(value: str, tool: ToolSpec, name: str) -> Any:
    """The slot's text in the type of its parameter; None when it does not fit."""
    value = value.strip().rstrip("?!") if not value.endswith(("...", "…")) else value
    declared = tool.params.get("properties", {}).get(name, {})
    if any(one.get("x-frame") for one in (declared, *declared.get("anyOf", ()))):
        return {"$ref": value} if re.fullmatch(rf"@{refs.VARIABLE}", value) else None
    kind = declared.get("type", "string")
    if len(value) > 1 and value[0] in "\"“'" and value[-1] in "\"”'":
        value = value[1:-1]
    if kind == "string":
        return value.strip() or None
    try:
        return int(value) if kind == "integer" else float(value) if kind == "number" else None
    except ValueError:
        return None
