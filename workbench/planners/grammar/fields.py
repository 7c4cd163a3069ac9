"""What a column is for, read off its name and profile: something to add up, to group by, a key, a date, a flag."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from workbench.core.request import ColumnProfile
from workbench.planners.grammar.words import name_parts, singular

DATE_TYPES = frozenset({"date", "timestamp"})
MAX_GROUPS = {"integer": 50, "number": 12}
"""A numeric column with more distinct values is something to measure, not to group by."""


def _stems(text: str) -> frozenset[str]:
    return frozenset(singular(word) for word in text.split())


UNITS = _stems(
    "mm cm m km g kg mg t lb lbs oz s sec secs second seconds minute minutes mins hour hours hr hrs h ms day days"
    " week weeks usd eur gbp chf c f celsius fahrenheit pct percent kwh kw mw l ml mhz hz hpa ppm mph kmh kph db w v"
    " ppb kpa psi rpm bpm kj kcal ha mi ft yd"
)
_LENGTHS = frozenset({"mm", "cm", "m", "km"})
"""Units that may be squared or cubed: area_m2, flow_m3s."""
TIME_UNITS = _stems("s sec secs second seconds minute minutes mins hour hours hr hrs h ms day days week weeks")
UNIT_WORDS: dict[str, frozenset[str]] = {
    "mm": _stems("mm millimeters millimetres"),
    "cm": _stems("cm centimeters centimetres"),
    "m": _stems("m meters metres"),
    "km": _stems("km kilometers kilometres"),
    "g": _stems("g grams"),
    "kg": _stems("kg kilos kilograms"),
    "minute": _stems("min minutes"),
    "hour": _stems("hours h"),
    "hr": _stems("hours hrs"),
    "h": _stems("hours h"),
    "sec": _stems("seconds sec"),
    "s": _stems("seconds sec"),
    "c": _stems("c degrees celsius"),
    "pct": _stems("percent"),
    "mi": _stems("mi miles"),
    "ft": _stems("ft feet"),
    "ha": _stems("ha hectares"),
    "l": _stems("l liters litres"),
    "t": _stems("t tons tonnes"),
}
"""How a column's unit may be said after a number: "over 24 hours" of wait_hr."""

_ADDITIVE = _stems(
    "revenue sales amount units quantity qty count cost costs profit spend spending expense expenses turnover total"
    " items pieces payment payments visits clicks views impressions downloads donations rainfall precipitation sold"
    " deaths births cases passengers earnings production consumption emissions output defects errors incidents"
    " accidents calls bookings signups sessions goals replies charges fees taxes bonus copies shipments deliveries"
)
_LEVELS = _stems(
    "price rate rating score discount percent pct percentage ratio avg average mean median temp temperature age id code"
    " year lat latitude lon longitude index per limit level rank share margin min max std speed pressure humidity"
    " target change cumulative cum balance salary wage height weight mass length width depth satisfaction"
)
"""A name with one of these does not add up, whatever else is in it: a total_rate is a rate."""
_KEYS = _stems("id key uuid code no nr number num ref sku zip postcode phone")
_DATE_ENDS = _stems("date at on time datetime ts timestamp dt day")
_DERIVED = _stems(
    "min max avg mean median std target planned plan expected predicted forecast previous prev last next lost refund"
    " refunded cancelled budget estimated est first old new cumulative cum total lower upper"
)
"""Words that make a column something else than its last word says: `predicted_revenue` is not "revenue"."""
_LIFETIME = (
    "hire", "hiring", "birth", "born", "dob", "join", "sign", "regist", "found", "built", "expir", "due", "deadline",
    "end", "close", "last", "updat", "modif", "member", "enrol", "graduat", "death", "died", "retire", "leave", "left",
)  # fmt: skip
_YEARS = (("year",), ("yr",), ("vintage",), ("season",))
_USED_UP = _stems("kwh l ml")
_USE = frozenset({"use", "used", "usage", "consumption", "consumed"})
_READING = frozenset({"reading", "readings", "measurement", "measurements"})
_SCORE = _READING | {"score", "scores"}
_FLAG_STARTS = _stems("is has was did")


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A column of one table. Two fields are the same only when they are the same object."""

    table: str
    rows: int
    profile: ColumnProfile

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def parts(self) -> tuple[str, ...]:
        return name_parts(self.profile.name)

    @property
    def numeric(self) -> bool:
        return self.profile.type in ("integer", "number")

    @property
    def is_date(self) -> bool:
        return self.profile.type in DATE_TYPES or self.profile.dates

    @property
    def is_year(self) -> bool:
        """A numeric column of calendar years."""
        return self.numeric and self.parts[-1:] in _YEARS and _calendar(self.profile)

    @property
    def lifetime(self) -> bool:
        """A date in the life of the thing that a row is, such as its birth: not the time of what is measured."""
        return self.is_date and any(part.startswith(_LIFETIME) for part in self.parts)

    @property
    def is_key(self) -> bool:
        """A code for a thing. Keys are counted and grouped by, never added up."""
        return self.profile.type in ("integer", "text", "number") and bool(_KEYS.intersection(self.parts[-1:]))

    @property
    def flag(self) -> bool:
        """True or false, or 1 and 0, or yes and no."""
        p = self.profile
        return (
            self.yes is not None
            or p.type == "boolean"
            or (p.type == "integer" and p.distinct == 2 and (p.minimum, p.maximum) == (0, 1))
        )

    @property
    def yes(self) -> str | None:
        """The value that means yes in a text column of yes and no."""
        values = self.profile.values or ()
        if {value.casefold() for value in values} not in ({"yes", "no"}, {"y", "n"}, {"true", "false"}):
            return None
        return next(value for value in values if value[0] in "yYtT")

    @property
    def unique(self) -> bool:
        """One row for each value."""
        return self.rows > 1 and self.profile.distinct == self.rows and not self.profile.missing

    @property
    def measurable(self) -> bool:
        return self.numeric and not self.is_key and not self.is_year

    @property
    def additive(self) -> bool:
        """Whether its sum means something by itself: revenue does, a price does not."""
        if not self.measurable or self.flag:
            return False
        parts = set(self.parts)
        if "unit" in parts and "units" not in self.name.casefold():  # a unit cost is a price
            return False
        return bool(parts & _ADDITIVE) and not parts & _LEVELS

    @property
    def level(self) -> bool:
        """Whether it is surely none of the numbers that are added up: a temperature, a price, a size."""
        return bool(set(self.parts) & _LEVELS) and not self.additive

    @property
    def in_units(self) -> bool:
        """A number whose name ends in its unit."""
        return self.numeric and len(self.parts) > 1 and self.parts[-1] in UNITS

    @property
    def said_after(self) -> frozenset[str]:
        """Words that may follow the name and say no more: a temperature reading, a satisfaction score, fuel used."""
        unit = self.parts[-1] if self.in_units else ""
        if not self.measurable or self.flag:
            return frozenset()
        if unit in _USED_UP:
            return _USE
        return _READING if unit else _SCORE if self.level else frozenset()

    @property
    def groupable(self) -> bool:
        p = self.profile
        if self.is_key and self.unique:  # that is the rows themselves
            return False
        if p.type in ("text", "boolean") or self.is_year or self.is_key:
            return not p.dates
        if not self.numeric or self.additive or not p.distinct:
            return False
        return p.distinct <= MAX_GROUPS[p.type] and 2 * p.distinct <= self.rows


def _calendar(profile: ColumnProfile) -> bool:
    low, high = profile.minimum, profile.maximum
    return all(isinstance(x, int | float) and float(x).is_integer() and 1000 <= x <= 2999 for x in (low, high))


FormKind = Literal["column", "date"]
Form = tuple[tuple[str, ...], int, FormKind]


@lru_cache(maxsize=20_000)
def column_forms(name: str, is_date: bool) -> tuple[Form, ...]:
    """How a column may be called: (stems, rank, kind). Rank 0 is the whole name, 1 without unit or key ending, 2 its
    last words alone. Kind is `column`, or `date` for what is left of a date column without "date"."""
    parts = name_parts(name)
    forms: dict[tuple[str, ...], tuple[int, FormKind]] = {parts: (0, "column")}

    def add(form: tuple[str, ...], rank: int, kind: FormKind = "column") -> None:
        if form and form not in forms:
            forms[form] = (rank, kind)

    if is_date:
        add(_without_end(parts, _DATE_ENDS), 1, "date")
        if len(parts) > 1 and parts[-1] in _DATE_ENDS:
            add((*parts[:-1], "date"), 1)
        return _listed(forms)
    core = parts
    while len(core) > 1 and (core[-1] in UNITS or (core[-1] in ("2", "3") and core[-2] in _LENGTHS)):
        core = core[:-1]
    if len(core) > 1 and core[0] in _FLAG_STARTS:
        core = core[1:]
    add(core, 1)
    if core != parts and parts[-1] in TIME_UNITS:
        add((*core, "time"), 1)
        add((*core, "duration"), 1)
    if len(core) > 1 and core[-1] in (_KEYS | {"name"}):
        add(core[:-1], 1)
    else:
        for cut in range(1, len(core)):
            if not set(core[:cut]) & _DERIVED and not core[cut].isdigit():
                add(core[cut:], 2)
    for form in list(forms):
        for short, long in _SHORT.items():
            if short in form:
                add(tuple(long if part == short else part for part in form), 1)
            if long in form:
                add(tuple(short if part == long else part for part in form), 1)
    return _listed(forms)


_SHORT = {"qty": "quantity", "temp": "temperature", "amt": "amount", "dept": "department", "sex": "gender",
    "dest": "destination", "dep": "departure", "arr": "arrival", "avg": "average", "max": "maximum", "min": "minimum",
}  # fmt: skip


def _without_end(parts: tuple[str, ...], ends: frozenset[str]) -> tuple[str, ...]:
    while parts and parts[-1] in ends:
        parts = parts[:-1]
    return parts


def _listed(forms: dict[tuple[str, ...], tuple[int, FormKind]]) -> tuple[Form, ...]:
    return tuple((form, rank, kind) for form, (rank, kind) in forms.items())
