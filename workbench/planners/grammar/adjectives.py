"""Words that say a column and a direction at once: heaviest, cheaper than, newest, cost less than.

Each scale names the parts of column names that it may speak of. A word counts only where exactly one column of the
table fits: "longest" of a table with a length and a duration is asked back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbench.planners.grammar.fields import UNITS, Field
from workbench.planners.grammar.rules import VOCABULARY, Hit, Rule, Tag, phrase
from workbench.planners.grammar.scope import Scope
from workbench.planners.grammar.views import PERSONS, nouns_of


@dataclass(frozen=True, slots=True)
class Scale:
    """`most` and `least` are superlatives, `more` and `less` comparatives, `verbs` stand before a comparison.

    Phrases are parted by |. `parts` are stems of column names; no parts stands for the table's dates.
    """

    parts: frozenset[str]
    most: str
    least: str
    more: str = ""
    less: str = ""
    verbs: str = ""


_SCALES = (
    Scale(
        frozenset({"weight", "mass", "wt"}),
        "heaviest",
        "lightest",
        "heavier than",
        "lighter than",
        "weigh|weighs|weighing|weighed",
    ),
    Scale(frozenset({"age"}), "oldest", "youngest", "older than", "younger than"),
    Scale(frozenset({"height"}), "tallest", "shortest", "taller than", "shorter than"),
    Scale(
        frozenset({"length", "duration", "distance", "runtime", "page", "minute"}),
        "longest",
        "shortest",
        "longer than",
        "shorter than",
        "last|lasts|lasting|lasted",
    ),
    Scale(
        frozenset({"price", "cost", "fare"}),
        "most expensive|priciest|costliest",
        "cheapest|least expensive",
        "more expensive than|dearer than",
        "cheaper than|less expensive than",
        "cost|costs|costing|priced",
    ),
    Scale(frozenset({"depth"}), "deepest", "shallowest", "deeper than", "shallower than"),
    Scale(frozenset({"width"}), "widest", "narrowest", "wider than", "narrower than"),
    Scale(frozenset({"speed"}), "fastest", "slowest", "faster than", "slower than"),
    Scale(
        frozenset({"temperature", "temp"}),
        "hottest|warmest",
        "coldest|coolest",
        "hotter than|warmer than",
        "colder than|cooler than",
    ),
    Scale(
        frozenset({"salary", "wage", "pay", "earning"}),
        "highest paid|best paid",
        "lowest paid|worst paid",
        verbs="earn|earns|earning|earned",
    ),
    Scale(
        frozenset({"rating", "score"}),
        "highest rated|best rated|top rated",
        "lowest rated|worst rated",
        verbs="rated",
    ),
    Scale(frozenset({"population"}), "most populous|most populated", "least populous|least populated"),
    Scale(frozenset(), "newest|most recent|latest", "oldest|earliest"),
)


_GENERAL = frozenset(
    {"body", "unit", "count", "num", "number", "n", "annual", "base", "list", "overall", "average", "avg"}
)
"""Words of a column's name beside the scale's own that do not make it the measure of something else."""
_WORTH = frozenset(
    {"revenue", "amount", "total", "turnover", "sale", "spend", "payment", "quantity", "qty", "unit", "value"}
)


def _fields(scope: Scope, scale: Scale) -> list[Field]:
    """The columns that a scale may speak of: `body_mass_g` of heavy things, not `bill_length` of long ones."""
    table = scope.view.table
    if not scale.parts:
        return [f for f in scope.dates if not _BORN & set(f.parts)]
    own = {part for noun in nouns_of(table.variable) for part in noun} | _GENERAL | UNITS
    found = [
        f
        for f in table.fields.values()
        if f.measurable and not f.flag and scale.parts & set(f.parts) and set(f.parts) <= scale.parts | own
    ]
    # What is dear about an order, its price for one or what is paid for all?
    dear = "price" in scale.parts
    if dear and (
        are_people(scope) or any(f.additive and _WORTH & set(f.parts) for f in table.fields.values() if found)
    ):
        return []
    return found


_BORN = frozenset({"birth", "born", "dob", "birthday"})


def _superlatives() -> list[tuple[Rule, Scale, bool]]:
    made = []
    for scale in _SCALES:
        for texts, down in ((scale.most, True), (scale.least, False)):
            made.append((phrase(texts, role="extreme", value=down), scale, down))
    return made


_SUPERLATIVES = _superlatives()
_COMPARATIVES = [
    (phrase(texts, role="compare", value=op), scale, op)
    for scale in _SCALES
    for texts, op in ((scale.more, ">"), (scale.less, "<"))
    if texts
]
_VERBS = [(phrase(scale.verbs), scale) for scale in _SCALES if scale.verbs]
VOCABULARY.update({"than"})


def superlatives(scope: Scope, at: int) -> Iterator[Hit]:
    """`heaviest`: (down, field), where one column of the table fits."""
    found = [
        (hit, down, field)
        for rule, scale, down in _SUPERLATIVES
        for hit in rule(scope, at)
        for field in _fields(scope, scale)
    ]
    if any(not field.is_date for _, _, field in found):  # who has an age is old by it
        found = [one for one in found if not one[2].is_date]
    elif any(word.low == "oldest" for word in scope.words[at : at + 1]) and are_people(scope):
        found = []  # the oldest customer is not the one who came first
    if len(found) > 1:
        word = " ".join(scope.lows[at : found[0][0].end])
        ways = " or ".join(sorted(field.name for _, _, field in found))
        scope.problems.append(f"“{word}” by {ways}? Say “with the highest …” or “with the lowest …”.")
        return
    for hit, down, field in found:
        yield Hit(hit.end, (down, field), (*hit.tags, Tag(at, at, "column", field)))


def are_people(scope: Scope) -> bool:
    """Whether the rows are persons."""
    return bool(PERSONS & {part for noun in nouns_of(scope.view.table.variable) for part in noun[-1:]})


def comparatives(scope: Scope, at: int) -> Iterator[Hit]:
    """`older than`: (op, field), where one column of the table fits."""
    for rule, scale, op in _COMPARATIVES:
        for hit in rule(scope, at):
            fields = _fields(scope, scale)
            if len(fields) == 1:
                yield Hit(hit.end, (op, fields[0]), hit.tags)


def measured(scope: Scope, at: int) -> Iterator[Hit]:
    """`cost` or `weigh` before a comparison: the field, where one column of the table fits."""
    for rule, scale in _VERBS:
        for hit in rule(scope, at):
            fields = _fields(scope, scale)
            if len(fields) == 1:
                yield Hit(hit.end, fields[0], (Tag(at, hit.end, "column", fields[0]),))
