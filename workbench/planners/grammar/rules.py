"""Small rules that build large ones: a grammar written as it reads.

A rule takes a scope (the words and what they may mean in one view of the tables) and a position, and yields every way
to read on from there: where it ends, what it means, and a tag for each group of words it used. Tags are what the audit
checks in the end, so no rule can use a word without saying what for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from workbench.planners.grammar.scope import Scope


class Tag(NamedTuple):
    """Words `start` to `end` (exclusive) and what they are used for."""

    start: int
    end: int
    role: str
    value: Any = None


class Hit(NamedTuple):
    """One way to read: the position after it, its meaning, its tags."""

    end: int
    value: Any
    tags: tuple[Tag, ...] = ()


Rule = Callable[["Scope", int], Iterator[Hit]]
NOTHING = object()
"""The meaning of words that only hold a phrase together; sequences leave it out."""

VOCABULARY: set[str] = set()
"""Every fixed word of the grammar: what is in here is known, whatever the tables are."""


_FIRST_WORDS: dict[Rule, frozenset[str]] = {}
"""The words that a rule can begin with, for rules that begin with a fixed one: most rules are passed over by this."""


def first_words(rule: Rule) -> frozenset[str] | None:
    """The words that the rule can begin with; None when it may begin with any."""
    return _FIRST_WORDS.get(rule)


def _begins_as(rule: Rule, other: Rule) -> Rule:
    if other in _FIRST_WORDS:
        _FIRST_WORDS[rule] = _FIRST_WORDS[other]
    return rule


def phrase(*texts: str, role: str = "glue", value: Any = NOTHING) -> Rule:
    """One of the fixed phrases (parted by |), the longest that stands there."""
    options: dict[str, list[tuple[str, ...]]] = {}
    for text in "|".join(texts).split("|"):
        parts = tuple(text.split())
        VOCABULARY.update(parts)
        options.setdefault(parts[0], []).append(parts)
    for group in options.values():
        group.sort(key=len, reverse=True)

    def rule(scope: Scope, at: int) -> Iterator[Hit]:
        lows = scope.lows
        if at < len(lows):
            for parts in options.get(lows[at], ()):
                end = at + len(parts)
                if len(parts) == 1 or lows[at:end] == parts:
                    yield Hit(end, value, (Tag(at, end, role, None if value is NOTHING else value),))
                    return

    _FIRST_WORDS[rule] = frozenset(options)
    return rule


def choice(role: str, meanings: dict[Any, str]) -> Rule:
    """Phrases by meaning: `choice("how", {"sum": "total|sum of"})` means "sum" where one of the two stands."""
    return alt(*(phrase(texts, role=role, value=value) for value, texts in meanings.items()))


def alt(*rules: Rule) -> Rule:
    """Any of the rules, each way it can be read."""
    begun = [(first_words(one), one) for one in rules]

    def rule(scope: Scope, at: int) -> Iterator[Hit]:
        low = scope.lows[at] if at < len(scope.lows) else ""
        for words, one in begun:
            if words is None or low in words:
                yield from one(scope, at)

    known = [words for words, _ in begun if words is not None]
    if len(known) == len(begun):
        _FIRST_WORDS[rule] = frozenset().union(*known)
    return rule


def seq(*rules: Rule) -> Rule:
    """All rules one after the other; means the list of their meanings without `NOTHING`."""

    def rule(scope: Scope, at: int, index: int = 0) -> Iterator[Hit]:
        if index == len(rules):
            yield Hit(at, ())
            return
        for first in rules[index](scope, at):
            for rest in rule(scope, first.end, index + 1):
                own = () if first.value is NOTHING else (first.value,)
                yield Hit(rest.end, own + rest.value, first.tags + rest.tags)

    return _begins_as(rule, rules[0])


def opt(one: Rule, default: Any = NOTHING) -> Rule:
    """The rule where it can be read, and also without it (meaning `default`)."""

    def rule(scope: Scope, at: int) -> Iterator[Hit]:
        yield from one(scope, at)
        yield Hit(at, default)

    return rule


def may(one: Rule, default: Any = NOTHING) -> Rule:
    """The rule where it can be read, and only elsewhere `default`: for words that have no other reading."""

    def rule(scope: Scope, at: int) -> Iterator[Hit]:
        read = False
        for hit in one(scope, at):
            read = True
            yield hit
        if not read:
            yield Hit(at, default)

    return rule


def listed(one: Rule, separator: Rule, most: int = 8) -> Rule:
    """One or more, parted by the separator. Means (items, separators that mean something)."""

    def rule(scope: Scope, at: int, left: int = most) -> Iterator[Hit]:
        for first in one(scope, at):
            yield Hit(first.end, ((first.value,), ()), first.tags)
            if left <= 1:
                continue
            for between in separator(scope, first.end):
                for rest in rule(scope, between.end, left - 1):
                    items, signs = rest.value
                    sign = () if between.value is NOTHING else (between.value,)
                    yield Hit(rest.end, ((first.value, *items), sign + signs), first.tags + between.tags + rest.tags)

    return rule


def made(one: Rule, make: Callable[..., Any]) -> Rule:
    """The rule with its meanings turned into one by `make`; where that gives None, it does not apply."""

    def rule(scope: Scope, at: int) -> Iterator[Hit]:
        for hit in one(scope, at):
            value = make(*hit.value)
            if value is not None:
                yield Hit(hit.end, value, hit.tags)

    return _begins_as(rule, one)


def mute(one: Rule) -> Rule:
    """The rule without its meaning."""

    def rule(scope: Scope, at: int) -> Iterator[Hit]:
        for hit in one(scope, at):
            yield Hit(hit.end, NOTHING, hit.tags)

    return _begins_as(rule, one)
