"""From words to parts: every way to cut a request into phrases of the grammar, each word in exactly one.

A request is a row of parts in nearly any order; `assemble` decides which rows make sense. Cutting finds all rows, so a
request with two meanings is seen to have two, instead of being given whichever came first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workbench.planners.grammar import measures, phrases
from workbench.planners.grammar.adjectives import are_people, superlatives
from workbench.planners.grammar.conditions import CONDITION
from workbench.planners.grammar.phrases import SORTED
from workbench.planners.grammar.query import Dim, Measure
from workbench.planners.grammar.rules import (
    NOTHING,
    VOCABULARY,
    Hit,
    Rule,
    Tag,
    alt,
    first_words,
    made,
    may,
    mute,
    opt,
    phrase,
    seq,
)
from workbench.planners.grammar.scope import Scope, column, named, other_rows, own_rows, whole
from workbench.planners.grammar.small import BE, THE
from workbench.planners.grammar.words import name_parts

MOST_CUTS = 300
"""Ways to cut one request that are looked at; a request with more is not understood."""


@dataclass(frozen=True, slots=True)
class Part:
    """A phrase: what it is, what it means, which words, and what each of them is used for."""

    kind: str
    value: Any
    start: int
    end: int
    tags: tuple[Tag, ...]


_BUSINESS = frozenset({"sale", "order", "unit", "quantity", "qty", "revenue", "purchase", "sold"})
_HAPPENINGS = {
    "sold": _BUSINESS,
    "bought": _BUSINESS,
    "purchased": _BUSINESS,
    "placed": frozenset({"order"}),
    "made": frozenset({"order", "sale", "purchase", "payment", "booking", "donation", "visit", "appointment"}),
}
"""Verbs that say no more than that the rows exist, by the words that a table must have for that."""

VOCABULARY.update(_HAPPENINGS)


def _happened(scope: Scope, at: int) -> Iterator[Hit]:
    """`placed` of orders, unless a date column says when that was."""
    about = _HAPPENINGS.get(scope.lows[at]) if at < len(scope.lows) else None
    if about is None or any(True for _ in scope.at(at, "verb")):
        return
    table = scope.view.table
    if about & {part for name in (table.name, *table.fields) for part in name_parts(name)}:
        yield Hit(at + 1, NOTHING, (Tag(at, at + 1, "glue"),))


def _did_make(scope: Scope, at: int) -> Iterator[Hit]:
    """The end of `how many trips did Ana make`."""
    last = at == len(scope.lows) - 1 or scope.words[at + 1].kind == "mark"
    if scope.lows[at] == "make" and last and {"did", "do", "does"} & set(scope.lows[:at]) and not scope.senses.get(at):
        yield from _MAKE(scope, at)


_MAKE = phrase("make")
_GLUE = phrase(
    "please|can you|could you|i want|i need|i would like|to see|to know|tell me|there|we|in total|altogether|the|a|an"
    "|all|all the|our|my|?|!|.|in the data|in the dataset|in the table|in this table|from the data|in my data"
    "|in our data|us|me|only|just|recorded|observed|measured|logged|do we have|are there|exist|values|value|values of"
    "|the values of|thanks|thank you|, thanks|, please|in all|i have"
)
_OWNERS = phrase("their|its")


def _their(scope: Scope, at: int) -> Iterator[Hit]:
    """`their` of something that the request has named: what an earlier request was about is not remembered."""
    if scope.lows[at] in ("their", "its") and any(
        sense.kind in ("rows", "column") for before in range(at) for sense in scope.senses.get(before, ())
    ):
        yield from _OWNERS(scope, at)


_ASK = phrase("what|what is|what are|what was|what were|what s|what is the|calculate|compute|find|get")
_RANK = phrase("rank", role="rank")
_LIST = phrase("show|show me|list|give me|display|print|give|find|get|return|fetch")
_WHICH = phrase("which|what|in which|which are|what are|which is|for which|on which")


def _who(scope: Scope, at: int) -> Iterator[Hit]:
    """`who has …` where the rows are people."""
    if are_people(scope):
        yield from _WHO(scope, at)


_WHO = phrase("who|who is|who are")
_TREND = phrase("trend|trends|trend of|trend in|trends in|trend for|trend line of|over time", role="trend")
_COMPARE = phrase("compare|comparison of|comparing|compare the|comparison between", role="compared")
_SHARE = phrase(
    "share of|percentage of|percent of|what share of|what percentage of|what percent of|the share of|the percentage of"
    "|shares of|percentage share of",
    role="share",
)
_DESCRIBE = phrase(
    "describe|summarise|summarize|summary of|overview of|profile|summary statistics of|summary statistics for"
    "|descriptive statistics of|descriptive statistics for",
    role="describe",
)
_THAT_ARE = phrase(
    *(
        f"{who} {verb}"
        for who in ("that", "which", "who")
        for verb in ["is", "are", "was", "were", "have", "has", "had", "come", "comes", "came", "have been", "has been"]
    )
)


def _relative(scope: Scope, at: int) -> Iterator[Hit]:
    """`that are`, but not at the start, where "who has" asks who."""
    return _THAT_ARE(scope, at) if at else iter(())


_VERB = alt(BE, phrase("have|has|had|come|comes|came|do|does|did|work|works|live|lives"), _relative)
_HEAD = seq(measures.ROWS_NOUN, may(phrase("table|data|dataset|data frame|dataframe|frame")))
_OF_ROWS = seq(phrase("of|for|in|from|among|across|on|within|about|using"), THE, _HEAD)
_OF_NAMED = seq(opt(phrase("of|for|in|from|on|using|with|among|across|the|in the|of the")), named)
_OTHER_ROWS = made(seq(opt(phrase("of|for|in|from|by")), THE, other_rows), lambda name: name)
_WITHIN = made(
    seq(
        mute(phrase("in|of|within|among", role="share")),
        THE,
        alt(measures.ONE, made(seq(measures.own_rows_noun), lambda name: (Measure("count"),))),
    ),
    lambda found: found[0] if len(found) == 1 else None,
)
"""`in revenue`, after `share of Electronics`: what the whole is."""
_FIRST = alt(seq(phrase("first|head|the first"), opt(whole, 1), measures.ROW_WORDS), seq(whole, measures.ROW_WORDS))

RULES: tuple[tuple[str, Rule], ...] = (
    ("glue", _GLUE),
    ("glue", _their),
    ("glue", _did_make),
    ("happened", _happened),
    ("ask", _ASK),
    ("list", _LIST),
    ("rank", _RANK),
    ("which", _WHICH),
    ("verb", _VERB),
    ("link", phrase("and|but|,|;|and only|but only|and also|, and")),
    ("filter", CONDITION),
    ("measures", measures.measures),
    ("dims", phrases.DIMS),
    ("dims", phrases.OPENED_BY),
    ("each", phrases.every_dim),
    ("count", mute(measures.COUNT)),
    ("distinct", mute(measures.DISTINCT)),
    ("noun", made(seq(column(lambda f: f.groupable or f.additive)), Dim)),
    ("unit", phrases.unit_dim),
    ("rows", made(_HEAD, lambda name: (name, False))),
    ("rows", made(_OF_ROWS, lambda found: (found[0], True))),
    ("rows", made(_OF_NAMED, lambda name: (name, True))),
    ("others", _OTHER_ROWS),
    ("perrow", made(seq(phrase("per", role="by"), own_rows), lambda name: name)),
    ("top", seq(phrases.TOP, opt(whole, None))),
    ("n", whole),
    ("super", measures.superlative),
    ("most", made(measures.MOST, lambda down: (down,))),
    ("extreme", superlatives),
    ("who", _who),
    ("sorted", SORTED),
    ("order", made(seq(mute(phrases.RANK_BY), measures.ONE), lambda one: one)),
    ("chart", phrases.CHART),
    ("corr", phrases.CORRELATION),
    ("scatter", phrases.SCATTER),
    ("hist", phrases.HISTOGRAM),
    ("spread", phrases.SPREAD),
    ("trend", _TREND),
    ("compare", _COMPARE),
    ("share", _SHARE),
    ("within", _WITHIN),
    ("describe", _DESCRIBE),
    ("first", made(_FIRST, lambda number: number)),
)
"""What a part may be. `rows` is (table, after a preposition); `others` the noun of the joined table."""


_BEGUN = [(kind, rule, first_words(rule)) for kind, rule in RULES]


def cuts(scope: Scope) -> tuple[list[tuple[Part, ...]], int]:
    """Every way to cut the words into parts, and how far the longest attempt came."""
    count = len(scope.words)
    parts: dict[int, list[Part]] = {}
    dead: set[int] = set()
    found: list[tuple[Part, ...]] = []
    furthest = 0

    def walk(position: int, row: tuple[Part, ...]) -> bool:
        nonlocal furthest
        furthest = max(furthest, position)
        if position == count:
            found.append(row)
            return True
        if position in dead or len(found) > MOST_CUTS:
            return False
        if position not in parts:
            parts[position] = _parts(scope, position)
        reached = False
        for part in parts[position]:
            reached |= walk(part.end, (*row, part))
        if not reached:
            dead.add(position)
        return reached

    walk(0, ())
    return (found if len(found) <= MOST_CUTS else []), furthest


def _parts(scope: Scope, position: int) -> list[Part]:
    """The parts that start at a position, equal ones once."""
    seen: dict[tuple[str, int, Any], Part] = {}
    low = scope.lows[position]
    for kind, rule, words in _BEGUN:
        for hit in rule(scope, position) if words is None or low in words else ():
            value = None if hit.value is NOTHING else hit.value
            if hit.end > position:
                seen.setdefault((kind, hit.end, value), Part(kind, value, position, hit.end, hit.tags))
    return list(seen.values())
