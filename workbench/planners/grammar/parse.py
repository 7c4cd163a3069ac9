"""From words to parts: every way to cut a request into phrases of the grammar, each word in exactly one.

A request is a row of parts in nearly any order; `assemble` decides which rows make sense. Cutting finds all rows, so a
request with two meanings is seen to have two, instead of being given whichever came first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workbench.planners.grammar import phrases
from workbench.planners.grammar.conditions import BE, CONDITION, THE
from workbench.planners.grammar.rules import NOTHING, VOCABULARY, Hit, Rule, Tag, alt, made, may, mute, opt, phrase, seq
from workbench.planners.grammar.scope import Scope, column, named, rows, whole
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


_SOLD = {
    "sold": {"sale", "order", "unit", "quantity", "qty", "revenue", "sold"},
    "bought": {"sale", "order", "unit", "quantity", "qty", "revenue", "purchase"},
    "purchased": {"sale", "order", "unit", "quantity", "qty", "revenue", "purchase"},
    "placed": {"order"},
    "made": {"order", "sale", "purchase", "payment", "booking", "donation", "visit", "appointment"},
}
VOCABULARY.update(_SOLD)


def _happened(scope: Scope, at: int) -> Iterator[Hit]:
    """Verbs that say no more than that the rows exist: orders are placed, measurements recorded."""
    if at >= len(scope.lows) or any(True for _ in scope.at(at, "verb")):
        return
    low = scope.lows[at]
    if low in _SOLD:
        table = scope.view.table
        about = {part for name in (table.name, *table.fields) for part in name_parts(name)}
        if about & _SOLD[low]:
            yield Hit(at + 1, NOTHING, (Tag(at, at + 1, "glue"),))


_ROWS_HEAD = seq(phrases.ROWS_NOUN, may(phrase("table", "data", "dataset", "data frame", "dataframe", "frame")))
_ROWS_OF = seq(phrase("of", "for", "in", "from", "among", "across", "on", "within", "about", "using"), THE, _ROWS_HEAD)
_NAMED = seq(
    opt(phrase("of", "for", "in", "from", "on", "using", "with", "among", "across", "the", "in the", "of the")), named
)

_VERBS = ("is", "are", "was", "were", "have", "has", "had", "come", "comes", "came", "have been", "has been")

RULES: tuple[tuple[str, Rule], ...] = (
    (
        "glue",
        alt(
            phrase(
                "please", "can you", "could you", "i want", "i need", "i would like", "to see", "to know", "tell me", "there", "we",
                "in total", "altogether", "the", "a", "an", "all", "all the", "our", "my", "?", "!", ".", "in the data", "in the dataset",
                "in the table", "in this table", "from the data", "in my data", "in our data", "us", "me", "only", "just", "now",
                "recorded", "observed", "measured", "logged", "do we have", "are there", "exist", "values", "value", "thanks", "thank you", "exactly", "in all", "their", "its", "i have",
            ),
            phrase("values of", "the values of"),
            _happened,
        ),
    ),
    ("ask", phrase("what is", "what are", "what was", "what were", "what", "what s", "what is the", "calculate", "compute", "find", "get")),
    ("list", phrase("rank", "show", "show me", "list", "give me", "display", "print", "give", "find", "get", "return", "fetch", role="glue")),
    ("which", phrase("which", "what", "in which", "which are", "what are", "which is", "for which")),
    (
        "verb",
        alt(
            BE,
            phrase("have", "has", "had", "come", "comes", "came", "do", "does", "did"),
            phrase(*(f"{who} {verb}" for who in ("that", "which", "who") for verb in _VERBS)),
        ),
    ),
    ("link", phrase("and", "but", ",", ";", "and only", "but only", "and also", ", and")),
    ("filter", CONDITION),
    ("measures", phrases.MEASURES),
    ("dims", made(phrases.DIMS, lambda said, dims: (said, dims[0]))),
    ("dims", made(phrases.OPENED_BY, lambda day, said, unit: (said, (phrases.Dim(day, unit),)))),
    ("each", phrases.every_dim),
    ("count", mute(phrases.COUNT)),
    ("distinct", mute(phrases.DISTINCT)),
    ("noun", made(seq(column(lambda f: f.groupable or f.additive)), lambda f: phrases.Dim(f))),
    ("unit", phrases.unit_dim),
    ("rows", made(_ROWS_HEAD, lambda name: (name, False))),
    ("rows", made(_ROWS_OF, lambda found: (found[0], True))),
    ("rows", made(_NAMED, lambda name: (name, True))),
    ("perrow", made(seq(phrase("per", role="by"), rows), lambda name: name)),
    ("top", seq(phrases.TOP, opt(whole, None))),
    ("n", whole),
    ("super", phrases.superlative),
    ("order", made(seq(mute(phrases.RANK_BY), phrases.ONE_MEASURE), lambda m: m)),
    ("chart", phrases.CHART),
    ("corr", phrases.CORRELATION),
    ("scatter", phrases.SCATTER),
    ("hist", phrases.HISTOGRAM),
    ("spread", phrases.SPREAD),
    ("trend", phrase("trend of", "trend in", "trends in", "trend for", "trend", "trends", "over time", "trend line of", role="trend")),
    ("compare", phrase("compare", "comparison of", "comparing", "compare the", "comparison between", role="compared")),
    (
        "share",
        phrase(
            "share of", "percentage of", "percent of", "what share of", "what percentage of", "what percent of", "the share of",
            "the percentage of", "shares of", "percentage share of", role="share",
        ),
    ),
    (
        "describe",
        phrase(
            "describe", "summarise", "summarize", "summary of", "overview of", "profile", "summary statistics of",
            "summary statistics for", "descriptive statistics of", "descriptive statistics for", role="describe",
        ),
    ),
    ("first", made(seq(phrase("first", "head", "the first"), opt(whole, 1), phrases.ROW_WORDS), lambda n: n)),
    ("first", made(seq(whole, phrases.ROW_WORDS), lambda n: n)),
)  # fmt: skip


def cuts(scope: Scope) -> tuple[list[tuple[Part, ...]], int]:
    """Every way to cut the words into parts, and how far the longest attempt came."""
    count = len(scope.words)
    parts: dict[int, list[Part]] = {}
    dead: set[int] = set()
    found: list[tuple[Part, ...]] = []
    furthest = 0

    def at(position: int) -> list[Part]:
        if position not in parts:
            seen: dict[tuple[str, int, Any], Part] = {}
            for kind, rule in RULES:
                for hit in rule(scope, position):
                    value = None if hit.value is NOTHING else hit.value
                    if hit.end > position:
                        seen.setdefault(
                            (kind, hit.end, repr_key(value)), Part(kind, value, position, hit.end, hit.tags)
                        )
            parts[position] = list(seen.values())
        return parts[position]

    def walk(position: int, row: tuple[Part, ...]) -> bool:
        nonlocal furthest
        furthest = max(furthest, position)
        if position == count:
            found.append(row)
            return True
        if position in dead or len(found) >= MOST_CUTS:
            return False
        reached = False
        for part in at(position):
            reached |= walk(part.end, (*row, part))
        if not reached:
            dead.add(position)
        return reached

    walk(0, ())
    return found, furthest


def repr_key(value: Any) -> Any:
    """A key under which equal meanings meet; fields are compared as objects."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value
