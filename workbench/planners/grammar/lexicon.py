"""What the words of a request may mean in the user's tables: columns, values, and the tables' own nouns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import permutations

from workbench.core.request import ColumnProfile, Variable
from workbench.planners.grammar.fields import DATE_TYPES, Field, column_forms
from workbench.planners.grammar.views import Sense, Table, View, nouns_of
from workbench.planners.grammar.words import Word, name_parts, plain, singular

LONGEST = 7
"""Words in the longest name or value that is looked for."""

_STOP_WORDS = """
    a an the of in on at by for from to with and or not no is are was were be i we me my us our it its as all any each
    per this that than then there do does did have has had
"""
STOP = frozenset(_STOP_WORDS.split())
"""Words that are read as a value only next to their column's name."""

_DESTINATIONS = frozenset({"dest", "destination", "to", "arrival", "target", "receiver", "recipient"})
_ORIGINS = frozenset({"origin", "source", "from", "departure", "sender", "start"})


def tables(words: Sequence[Word], variables: Sequence[Variable]) -> list[Table]:
    """The offered tables, each with the senses that the words have in it."""
    stems: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    texts: dict[str, list[tuple[int, int]]] = {}
    parts = [_parts(word) for word in words]
    for at in range(len(words)):
        if words[at].kind == "mark":
            continue
        for end in range(at + 1, min(at + LONGEST, len(words)) + 1):
            if words[end - 1].kind == "mark" and not plain(words[end - 1].text):
                continue  # inside of a value, as in O'Brien, but not at its end
            gram = words[at:end]
            stem = tuple(word.stem for word in gram)
            stems.setdefault(stem, []).append((at, end))
            if any(parts[at:end]):
                cut = tuple(part for n in range(at, end) for part in parts[n] or (words[n].stem,))
                stems.setdefault(cut, []).append((at, end))
            for text in _spellings(gram):
                texts.setdefault(text, []).append((at, end))
    found = [_table(variable, words, stems, texts) for variable in variables]
    named = {(at, s.end) for table in found for at, senses in table.senses.items() for s in senses if s.rank < 2}
    return [_without_parts(table, named) for table in found]


def _parts(word: Word) -> tuple[str, ...]:
    """The stems of a word that a name has apart, such as co2 and unitPrice; none for other words."""
    parts = name_parts(word.text) if word.kind == "word" else ()
    return parts if len(parts) > 1 and parts != (word.stem,) else ()


def _without_parts(table: Table, named: set[tuple[int, int]]) -> Table:
    """The table without columns that only end in words which are a whole name elsewhere: `revenue` of one table is not
    the `ad_revenue` of another."""
    if not any(s.rank == 2 for senses in table.senses.values() for s in senses):
        return table
    kept = {
        at: tuple(s for s in senses if s.rank < 2 or (at, s.end) not in named) for at, senses in table.senses.items()
    }
    return Table(table.variable, kept, table.made)


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
    made: dict[str, Field] = {}

    def field(column: ColumnProfile) -> Field:
        if column.name not in made:
            made[column.name] = Field(variable.name, variable.rows, column)
        return made[column.name]

    for noun in nouns_of(variable):
        for at, end in stems.get(noun, ()):
            found.setdefault(at, []).append(Sense(end, "rows", 0, variable.name))
    for column in variable.columns:
        is_date = column.dates or column.type in DATE_TYPES
        for form, rank, kind in column_forms(column.name, is_date):
            if form in stems:
                for at, end in stems[form]:
                    end += end < len(words) and words[end].low in field(column).said_after
                    found.setdefault(at, []).append(Sense(end, kind, rank, variable.name, field(column)))
        if is_date:
            for at, end in _events(words, column.name):
                found.setdefault(at, []).append(Sense(end, "event", 0, variable.name, field(column)))
            for at, end in _verbs(words, column.name):
                found.setdefault(at, []).append(Sense(end, "verb", 0, variable.name, field(column)))
        elif column.values:
            index = _values(column.values)
            for text in index.keys() & texts.keys():
                for at, end in texts[text]:
                    for value in index[text]:
                        weak = text in STOP and not _shouted(words[at:end], value)
                        weak |= len(text) == 1 or (end - at == 1 and words[at].kind == "number")
                        sense = Sense(end, "value", 0, variable.name, field(column), value, weak)
                        found.setdefault(at, []).append(sense)
    for senses in found.values():
        senses += [
            Sense(sense.end, "column", 1, variable.name, field(column))
            for sense in senses
            if sense.kind == "column" and sense.rank == 1 and sense.field is not None and sense.field.in_units
            for column in _same_but_unit(sense.field, variable.columns)
        ]
    return Table(variable, {at: _best(tuple(senses)) for at, senses in found.items()}, made)


def _same_but_unit(field: Field, columns: Sequence[ColumnProfile]) -> Iterator[ColumnProfile]:
    """The other columns with the same name but for a short ending, so that `distance` of a table with distance_km and
    distance_mi is not taken for the one whose unit is known."""
    for column in columns:
        parts = name_parts(column.name)
        same = parts[:-1] == field.parts[:-1] and column.name != field.name
        if same and len(parts[-1]) <= 3 and column.type in ("integer", "number") and not Field("", 0, column).is_key:
            yield column


def _best(senses: tuple[Sense, ...]) -> tuple[Sense, ...]:
    """The longest senses, and of the columns among them those whose name fits best."""
    longest = max((s.end for s in senses), default=0)
    senses = tuple(s for s in senses if s.end == longest)
    others = any(s.kind != "column" for s in senses)
    rank = min((s.rank for s in senses if s.kind == "column"), default=0)
    return tuple(s for s in senses if s.kind != "column" or (s.rank == rank and not (others and rank == 2)))


@lru_cache(maxsize=5_000)
def _values(values: tuple[str, ...]) -> dict[str, list[str]]:
    index: dict[str, list[str]] = {}
    for value in values:
        index.setdefault(plain(value), []).append(value)
    index.pop("", None)
    if set(index) in ({"female", "male"}, {"f", "m"}):  # only where a column tells exactly these two apart
        for of in tuple(index):
            for word in _SEXES[of]:
                index.setdefault(word, []).extend(index[of])
    return index


_WOMEN, _MEN = ("woman", "women", "female", "females"), ("man", "men", "male", "males")
_SEXES = {"female": _WOMEN[:2], "male": _MEN[:2], "f": _WOMEN, "m": _MEN}


def _spellings(gram: Sequence[Word]) -> set[str]:
    """The ways a value may be written where these words stand: as they are, and with the last in the other number."""
    text = " ".join(filter(None, (plain(word.text) for word in gram)))
    if len(gram) == 1 and gram[0].kind == "quoted":
        return {text}
    one = singular(text)
    return {text, one, one + "s", one + "es"} if len(one) > 2 else {text}


def _shouted(gram: Sequence[Word], value: str) -> bool:
    """Whether a value that is also a small word (IT, US) is written as the value."""
    return len(value) > 1 and value.isupper() and [word.text for word in gram] == [value]


def _verbs(words: Sequence[Word], column: str) -> Iterator[tuple[int, int]]:
    """Where the request says what happens on this column's day: `opened` for opened_at, `signed up` for signup_date."""
    name = name_parts(column)[0] if name_parts(column) else column
    for at, word in enumerate(words):
        if word.kind != "word" or not word.low.endswith(("ed", "en", "ew")):
            continue
        base = word.low.removesuffix("ed")
        after = words[at + 1].low if at + 1 < len(words) else ""
        if after in ("up", "in", "out", "off") and base + after == name:
            yield at, at + 2
        elif _same_root(word.low, base, name):
            yield at, at + 1


def _events(words: Sequence[Word], column: str) -> Iterator[tuple[int, int]]:
    """Where the request has the noun of what happens on this column's day: `publication` for published_on."""
    name = (name_parts(column) or (column,))[0]
    for at, word in enumerate(words):
        if (
            word.kind == "word"
            and word.low.endswith(("tion", "sion", "ment", "ing", "al", "ure"))
            and name != word.stem
        ):
            common = next((n for n, (a, b) in enumerate(zip(word.low, name, strict=False)) if a != b), len(name))
            if common >= 4 or word.low.removesuffix("ing") == name.removesuffix("ed").removesuffix("e"):
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
