"""Where rules read: the words, what they may mean in one view, and the rules that read names, values and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from workbench.planners.grammar.fields import UNIT_WORDS, UNITS, Field
from workbench.planners.grammar.rules import VOCABULARY, Hit, Rule, Tag
from workbench.planners.grammar.views import Sense, View
from workbench.planners.grammar.words import Word, is_number_word, number

Test = Callable[[Field], bool]


@dataclass(slots=True)
class Scope:
    """The words of a request in one view. `problems` collects why a complete reading was not good enough."""

    words: Sequence[Word]
    view: View
    senses: Mapping[int, tuple[Sense, ...]]
    today: date
    problems: list[str] = field(default_factory=list)
    lows: tuple[str, ...] = ()
    dates: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        self.lows = tuple(word.low if word.kind != "quoted" else "" for word in self.words)
        self.dates = tuple(self.view.dates())

    def at(self, at: int, kind: str) -> Iterator[Sense]:
        """The senses of a kind that start at a position."""
        return (sense for sense in self.senses.get(at, ()) if sense.kind == kind)

    @staticmethod
    def known(word: Word) -> bool:
        """Whether a word is a word of the grammar, whatever the tables hold."""
        return (
            word.kind in ("number", "date", "sign")
            or word.low in VOCABULARY
            or word.stem in _UNIT_STEMS
            or is_number_word(word.low)
        )


def column(test: Test = lambda f: True, *, kind: str = "column") -> Rule:
    """A column by its name, also with the noun of its table: "customer segment", "segment of the customer"."""

    def rule(scope: Scope, at: int) -> Iterator[Hit]:
        for sense in scope.at(at, kind):
            if sense.field is not None and test(sense.field):
                own = (Tag(at, sense.end, "column", sense.field),)
                yield Hit(sense.end, sense.field, own)
                yield from _of_its_rows(scope, sense, sense.field, own)
        for noun in scope.at(at, "rows"):
            for sense in scope.at(noun.end, kind):
                if sense.field is not None and sense.table == noun.table and test(sense.field):
                    tags = Tag(at, noun.end, "table", noun.table), Tag(noun.end, sense.end, "column", sense.field)
                    yield Hit(sense.end, sense.field, tags)

    return rule


def _of_its_rows(scope: Scope, sense: Sense, field: Field, own: tuple[Tag, ...]) -> Iterator[Hit]:
    """`of the customer`, after a column of the joined table."""
    if (
        scope.view.other is None
        or sense.table != scope.view.other.name
        or scope.lows[sense.end : sense.end + 1] != ("of",)
    ):
        return
    start = sense.end + 2 if scope.lows[sense.end + 1 : sense.end + 2] in (("the",), ("a",)) else sense.end + 1
    for noun in scope.at(start, "rows"):
        if noun.table == sense.table:
            yield Hit(noun.end, field, (*own, Tag(sense.end, start, "glue"), Tag(start, noun.end, "table", noun.table)))


def value_of(scope: Scope, at: int) -> Iterator[Hit]:
    """A value of a text column, as (field, value), even one that looks like a small word: after "sex is"."""
    for sense in scope.at(at, "value"):
        yield Hit(sense.end, (sense.field, sense.value), (Tag(at, sense.end, "value", sense.value),))


def value(scope: Scope, at: int) -> Iterator[Hit]:
    """A value of a text column, as (field, value), with or without its column's name beside it."""
    for sense in scope.at(at, "value"):
        tag = Tag(at, sense.end, "value", sense.value)
        if not sense.weak:
            yield Hit(sense.end, (sense.field, sense.value), (tag,))
        for after in column(lambda f, own=sense.field: f is own)(scope, sense.end):  # type: ignore[misc]
            yield Hit(after.end, (sense.field, sense.value), (tag, *after.tags))
    for before in column(lambda f: f.profile.values is not None)(scope, at):
        for sense in scope.at(before.end, "value"):
            if sense.field is before.value:
                tags = (*before.tags, Tag(before.end, sense.end, "value", sense.value))
                yield Hit(sense.end, (sense.field, sense.value), tags)


def rows(scope: Scope, at: int) -> Iterator[Hit]:
    """The noun of one of the view's tables, as its name."""
    for sense in scope.at(at, "rows"):
        yield Hit(sense.end, sense.table, (Tag(at, sense.end, "table", sense.table),))


def own_rows(scope: Scope, at: int) -> Iterator[Hit]:
    """The noun of the rows that are counted: those of the view's first table."""
    return (hit for hit in rows(scope, at) if hit.value == scope.view.table.name)


def other_rows(scope: Scope, at: int) -> Iterator[Hit]:
    """The noun of the table that is joined."""
    return (hit for hit in rows(scope, at) if hit.value != scope.view.table.name)


def named(scope: Scope, at: int) -> Iterator[Hit]:
    """`@name` of one of the view's tables."""
    if at < len(scope.words) and scope.words[at].kind == "name":
        name = scope.words[at].text[1:]
        if name in {table.name for table in scope.view.tables}:
            yield Hit(at + 1, name, (Tag(at, at + 1, "table", name),))


def count_of(scope: Scope, at: int) -> Iterator[Hit]:
    """A number, as it is."""
    if at < len(scope.words):
        found = number(scope.words[at])
        if found is not None:
            yield Hit(at + 1, found, (Tag(at, at + 1, "number", found),))


def whole(scope: Scope, at: int) -> Iterator[Hit]:
    """A whole number from 1."""
    return (hit for hit in count_of(scope, at) if isinstance(hit.value, int) and 1 <= hit.value <= 100_000)


def quoted(scope: Scope, at: int) -> Iterator[Hit]:
    """Text in quotes."""
    if at < len(scope.words) and scope.words[at].kind == "quoted" and len(scope.words[at].text) > 2:
        text = scope.words[at].text[1:-1]
        yield Hit(at + 1, text, (Tag(at, at + 1, "value", text),))


def unit_word(scope: Scope, at: int, field: Field, before: str = "") -> Iterator[Hit]:
    """The column's own unit where it is said ("over 24 hours" of wait_hours), after the word `before` if there is one;
    also nothing at all."""
    yield Hit(at, None)
    own = [part for part in field.parts if part in UNITS]
    if field.parts[1:] and field.parts[-1] == "min":  # duration_min; a minimum comes first (min_price)
        own.append("minute")
    if before and scope.lows[at : at + 1] != (before,):
        return
    place = at + 1 if before else at
    if own and place < len(scope.words) and scope.words[place].stem in UNIT_WORDS.get(own[-1], {own[-1]}):
        yield Hit(place + 1, None, (Tag(at, place + 1, "column", field),))


_UNIT_STEMS = UNITS.union(*UNIT_WORDS.values())


def sign(role: str, **meanings: str) -> Rule:
    """A comparison sign, as its meaning."""
    signs = {text: op for op, texts in meanings.items() for text in texts.split()}

    def rule(scope: Scope, at: int) -> Iterator[Hit]:
        if at < len(scope.words) and scope.words[at].kind == "sign" and scope.words[at].text in signs:
            op = signs[scope.words[at].text]
            yield Hit(at + 1, op, (Tag(at, at + 1, role, op),))

    return rule
