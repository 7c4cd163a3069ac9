"""What the words of a request may mean in the user's tables: columns, values, and the tables' own nouns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations
from typing import Literal

from workbench.core.request import ColumnProfile, Variable
from workbench.planners.grammar.fields import Field, column_forms
from workbench.planners.grammar.words import Word, name_parts, plain, singular

LONGEST = 7
"""Words in the longest name or value that is looked for."""

_NOT_NOUNS = frozenset({"df", "data", "frame", "table", "dataset", "list", "record", "log", "raw", "clean"})
STOP = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "in",
        "on",
        "at",
        "by",
        "for",
        "from",
        "to",
        "with",
        "and",
        "or",
        "not",
        "no",
        "is",
        "are",
        "was",
        "were",
        "be",
        "i",
        "we",
        "me",
        "my",
        "us",
        "our",
        "it",
        "its",
        "as",
        "all",
        "any",
        "each",
        "per",
        "this",
        "that",
        "than",
        "then",
        "there",
        "do",
        "does",
        "did",
        "have",
        "has",
        "had",
    ]
)
"""Words that are read as a value only next to their column's name."""

_DESTINATIONS = frozenset({"dest", "destination", "to", "arrival", "target", "receiver", "recipient"})
_ORIGINS = frozenset({"origin", "source", "from", "departure", "sender", "start"})

SenseKind = Literal["rows", "column", "date", "verb", "value"]
"""rows: the table's noun. column: a column. date: a date column by its name without "date". verb: a date column by what
happens on that day ("opened"). value: a value of a text column."""


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
    fields: Mapping[str, Field]
    senses: Mapping[int, tuple[Sense, ...]]

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
        """The date columns of the first table; the one named after its rows alone, where there is one (order_date)."""
        found = [f for f in self.table.fields.values() if f.is_date]
        nouns = {name for noun in _nouns(self.table.variable) for name in noun[-1:]}
        own = [f for f in found if nouns & set(f.parts)]
        return own if len(own) == 1 else found


def tables(words: Sequence[Word], variables: Sequence[Variable]) -> list[Table]:
    """The offered tables, each with the senses that the words have in it."""
    stems: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    texts: dict[str, list[tuple[int, int]]] = {}
    for at in range(len(words)):
        if words[at].kind == "mark":
            continue
        for end in range(at + 1, min(at + LONGEST, len(words)) + 1):
            if words[end - 1].kind == "mark" and end == at + 1:
                break
            gram = words[at:end]
            stems.setdefault(tuple(word.stem for word in gram), []).append((at, end))
            for text in _spellings(gram):
                texts.setdefault(text, []).append((at, end))
    return [_table(variable, words, stems, texts) for variable in variables]


def joined(found: Sequence[Table]) -> Iterator[View]:
    """Views of two tables that share exactly one key, where that key is unique in the second."""
    for first, second in permutations(found, 2):
        shared = [name for name in first.fields if name in second.fields]
        keys = [name for name in shared if second.fields[name].is_key]
        if len(keys) == 1 and second.fields[keys[0]].unique and not first.fields[keys[0]].unique:
            yield View(first, second, keys[0], _merged(first, second))


def _merged(first: Table, second: Table) -> dict[int, tuple[Sense, ...]]:
    merged = {}
    for at in first.senses.keys() | second.senses.keys():
        own = first.senses.get(at, ())
        # A column that both tables have is the first table's.
        more = tuple(s for s in second.senses.get(at, ()) if s.field is None or s.field.name not in first.fields)
        merged[at] = _best((*own, *more))
    return merged


def _table(
    variable: Variable,
    words: Sequence[Word],
    stems: Mapping[tuple[str, ...], list[tuple[int, int]]],
    texts: Mapping[str, list[tuple[int, int]]],
) -> Table:
    found: dict[int, list[Sense]] = {}
    fields = {c.name: Field(variable.name, variable.rows, c) for c in variable.columns}
    for noun in _nouns(variable):
        for at, end in stems.get(noun, ()):
            found.setdefault(at, []).append(Sense(end, "rows", 0, variable.name))
    for one in fields.values():
        for form, rank, kind in column_forms(one.name, one.is_date):
            for at, end in stems.get(form, ()):
                sense_kind: SenseKind = "date" if kind == "date" else "column"
                found.setdefault(at, []).append(Sense(end, sense_kind, rank, variable.name, one))
        if one.is_date:
            for at, end in _verbs(words, one):
                found.setdefault(at, []).append(Sense(end, "verb", 0, variable.name, one))
        elif one.profile.values:
            index = _values(one.profile.values)
            for text in index.keys() & texts.keys():
                for at, end in texts[text]:
                    for value in index[text]:
                        weak = text in STOP and not _shouted(words[at:end], value)
                        weak |= end - at == 1 and words[at].kind == "number"
                        found.setdefault(at, []).append(Sense(end, "value", 0, variable.name, one, value, weak))
    return Table(variable, fields, {at: _best(tuple(senses)) for at, senses in found.items()})


def _best(senses: tuple[Sense, ...]) -> tuple[Sense, ...]:
    """The longest senses, and of the columns among them those whose name fits best."""
    longest = max((s.end for s in senses), default=0)
    senses = tuple(s for s in senses if s.end == longest)
    others = any(s.kind != "column" for s in senses)
    rank = min((s.rank for s in senses if s.kind == "column"), default=0)
    return tuple(s for s in senses if s.kind != "column" or (s.rank == rank and not (others and rank == 2)))


def _nouns(variable: Variable) -> list[tuple[str, ...]]:
    """What one row may be called: by the table's name, and by a key that is unique (order_id: orders)."""
    parts = tuple(part for part in name_parts(variable.name) if part not in _NOT_NOUNS and not part.isdigit())
    nouns = [parts, parts[-1:]] if parts else []
    for column in variable.columns:
        own = name_parts(column.name)
        if len(own) > 1 and own[-1] == "id" and _is_unique(column, variable.rows):
            nouns.append(own[:-1])
    return list(dict.fromkeys(nouns))


def _is_unique(column: ColumnProfile, rows: int) -> bool:
    return rows > 1 and column.distinct == rows and not column.missing


@lru_cache(maxsize=5_000)
def _values(values: tuple[str, ...]) -> dict[str, list[str]]:
    index: dict[str, list[str]] = {}
    for value in values:
        index.setdefault(plain(value), []).append(value)
    index.pop("", None)
    return index


def _spellings(gram: Sequence[Word]) -> set[str]:
    """The ways a value may be written where these words stand: as they are, and with the last in the other number."""
    text = " ".join(plain(word.text) for word in gram)
    if len(gram) == 1 and gram[0].kind == "quoted":
        return {text}
    one = singular(text)
    return {text, one, one + "s", one + "es"} if len(one) > 2 else {text}


def _shouted(gram: Sequence[Word], value: str) -> bool:
    """Whether a value that is also a small word (IT, US) is written as the value."""
    return len(value) > 1 and value.isupper() and [word.text for word in gram] == [value]


def _verbs(words: Sequence[Word], one: Field) -> Iterator[tuple[int, int]]:
    """Where the request says what happens on this column's day: `opened` for opened_at, `signed up` for signup_date."""
    name = one.parts[0]
    for at, word in enumerate(words):
        if word.kind != "word" or not word.low.endswith(("ed", "en", "ew")):
            continue
        base = word.low.removesuffix("ed")
        after = words[at + 1].low if at + 1 < len(words) else ""
        if after in ("up", "in", "out", "off") and base + after == name:
            yield at, at + 2
        elif _same_root(word.low, base, name):
            yield at, at + 1


def _same_root(word: str, base: str, name: str) -> bool:
    common = next((at for at, (a, b) in enumerate(zip(word, name, strict=False)) if a != b), min(len(word), len(name)))
    return common >= 4 or (common == 3 and common in (len(name), len(base)))


def fits_preposition(one: Field, preposition: str) -> bool:
    """Whether "from X" or "to X" may mean this column: X is where something ends only in a column that says so."""
    parts = set(one.parts)
    if preposition == "to":
        return bool(parts & _DESTINATIONS)
    if preposition == "from":
        return not parts & _DESTINATIONS
    return not parts & (_DESTINATIONS | _ORIGINS) or preposition == ""
