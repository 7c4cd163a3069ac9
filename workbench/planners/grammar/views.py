"""Tables and pairs of tables as a request sees them: what its words may mean in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from workbench.core.request import ColumnProfile, Variable
from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.words import name_parts

_NOT_NOUNS = frozenset({"df", "data", "frame", "table", "dataset", "list", "record", "log", "raw", "clean"})
_WORDS_FOR_PEOPLE = """
    person employee customer client user member student pupil passenger patient player staff worker driver athlete
    author teacher voter donor guest visitor child respondent participant subscriber candidate actor
"""
PERSONS = frozenset(_WORDS_FOR_PEOPLE.split())
SenseKind = Literal["rows", "column", "date", "verb", "event", "value"]
"""rows: the table's noun. column: a column. date: a date column by its name without "date". verb: a date column by what
happens on that day ("opened"), event: by the noun of it ("publication"). value: a value of a text column."""


@dataclass(frozen=True, slots=True)
class Sense:
    """One meaning of the words up to `end`. `weak`: only next to the column's name."""

    end: int
    kind: SenseKind
    rank: int
    table: str
    field: Field | None = None
    value: str = ""
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One offered table with its fields, and what the words at each position may mean in it."""

    variable: Variable
    senses: Mapping[int, tuple[Sense, ...]]
    made: dict[str, Field]

    @property
    def fields(self) -> Mapping[str, Field]:
        """All columns. Made when first asked for: most tables are never looked into."""
        if len(self.made) < len(self.variable.columns):
            for column in self.variable.columns:
                if column.name not in self.made:
                    self.made[column.name] = Field(self.name, self.variable.rows, column)
        return self.made

    @property
    def name(self) -> str:
        return self.variable.name

    @property
    def called(self) -> bool:
        """Whether the request calls the table by its noun."""
        return any(sense.kind == "rows" for senses in self.senses.values() for sense in senses)

    def covers(self) -> set[int]:
        """The words that have a meaning in this table."""
        return {at for start, found in self.senses.items() for sense in found for at in range(start, sense.end)}


@dataclass(frozen=True, slots=True)
class View:
    """What one question looks at: a table, or a table with the rows of another that its key points to.

    The rows of a joined view are those of the first table, so only its columns are measured.
    """

    table: Table
    other: Table | None = None
    key: str = ""
    senses: Mapping[int, tuple[Sense, ...]] = field(default_factory=dict)

    @property
    def tables(self) -> tuple[Table, ...]:
        return (self.table,) if self.other is None else (self.table, self.other)

    def covers(self) -> set[int]:
        return set().union(*(table.covers() for table in self.tables))

    def dates(self) -> list[Field]:
        """The date columns of the first table; the one named after its rows alone, where there is one: order_date of
        orders, loaned_on of loans."""
        found = [f for f in self.table.fields.values() if f.is_date]
        nouns = {name for noun in nouns_of(self.table.variable) for name in noun[-1:]}
        own = [f for f in found if any(part == noun or _done(part, noun) for part in f.parts for noun in nouns)]
        return own if len(own) == 1 else found


def _done(part: str, noun: str) -> bool:
    return len(noun) >= 4 and part in (f"{noun}ed", f"{noun}d")


def nouns_of(variable: Variable) -> list[tuple[str, ...]]:
    """What one row may be called: by the table's name, by a key that is unique (order_id: orders), and by a column
    that numbers persons (respondent)."""
    parts = tuple(part for part in name_parts(variable.name) if part not in _NOT_NOUNS and not part.isdigit())
    nouns = [parts, parts[-1:]] if parts else []
    for column in variable.columns:
        own = name_parts(column.name)
        if len(own) > 1 and own[-1] in ("id", "no", "number") and _is_unique(column, variable.rows):
            nouns.append(own[:-1])
        elif len(own) == 1 and own[0] in PERSONS and _numbers_rows(column, variable.rows):
            nouns.append(own)
    return list(dict.fromkeys(nouns))


def _is_unique(column: ColumnProfile, rows: int) -> bool:
    return rows > 1 and column.distinct == rows and not column.missing


def _numbers_rows(column: ColumnProfile, rows: int) -> bool:
    """Whether the column counts the rows from 0 or 1 on, without a gap."""
    low, high = column.minimum, column.maximum
    whole = column.type == "integer" and isinstance(low, int) and isinstance(high, int) and _is_unique(column, rows)
    return whole and low in (0, 1) and high - low + 1 == rows
