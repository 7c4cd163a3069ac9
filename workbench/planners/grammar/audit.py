"""The last check before a plan leaves: every word of the request has a role, and its role shows in what is built.

It knows nothing of how the request was read. It takes the words, what each is said to be used for, and the finished
steps, and looks for the evidence: a column's name, a value's literal, a number, the function of an aggregate. What
cannot be found is named, and the request is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.planners.grammar.fields import Field
from workbench.planners.grammar.query import Period, Yearless
from workbench.planners.grammar.rules import VOCABULARY, Tag
from workbench.planners.grammar.sql import identifier, literal
from workbench.planners.grammar.words import Word

_EVIDENCE: Mapping[tuple[str, Any], str] = {
    ("how", "sum"): r"\bsum\(|\bcount\(",
    ("how", "count"): r"\bcount\(|\bsum\(",
    ("how", "mean"): r"\bavg\(",
    ("how", "median"): r"\bmedian\(",
    ("how", "std"): r"\bstddev\(",
    ("how", "max"): r"\bmax\(",
    ("how", "min"): r"\bmin\(",
    ("how", "highest"): r"\bmax\(|\bDESC\b",
    ("how", "lowest"): r"\bmin\(|\bASC\b",
    ("how", "latest"): r"\bmax\(",
    ("how", "earliest"): r"\bmin\(",
    ("order", True): r"ORDER BY .* DESC\b|= \(SELECT max\(",
    ("order", False): r"ORDER BY .* ASC\b|= \(SELECT min\(",
    ("joint", "or"): r"\bIN \(|\bOR\b",
    ("joint", "vs"): r"\bIN \(|\bOR\b",
    ("not", "not"): r"\bNOT\b|<>",
    ("not", "except"): r"\bNOT\b|<>",
    ("when", "not"): r"\bNOT\b",
    ("when", "except"): r"\bNOT\b",
    ("when", "since"): r">=",
    ("when", "after"): r">=",
    ("when", "before"): r"<",
    ("when", "through"): r"<",
    ("by", "by"): r"GROUP BY|ORDER BY",
    ("by", "each"): r"GROUP BY|ORDER BY",
    ("by", "per"): r"GROUP BY|ORDER BY",
    ("by", None): r"\bavg\(",
    ("rank", None): r"ORDER BY .* (?:DESC|ASC)\b",
    ("distinct", None): r"\bDISTINCT\b",
    ("missing", None): r"IS NULL",
    ("present", None): r"IS NOT NULL",
    ("range", None): r"BETWEEN|>=",
    ("corr", None): r"\bcorr\(",
    ("share", None): r"100\.0 \*",
    ("describe", None): r"SUMMARIZE",
    ("trend", None): r"date_trunc|\byear\b|ORDER BY 1\b",
    ("extreme", True): r"\bmax\(|\bDESC\b",
    ("extreme", False): r"\bmin\(|\bASC\b",
    ("sorted", True): r"ORDER BY .* DESC\b",
    ("sorted", False): r"ORDER BY .* ASC\b",
    ("bins", None): r"\bfloor\(",
    ("like_word", None): r"\bILIKE\b",
    ("spread", None): r"GROUP BY|\Z",
    ("compared", None): r"GROUP BY|\bIN \(",
}


def unproved(words: Sequence[Word], tags: Sequence[Tag], sql: str, chart: Mapping[str, Any] | None) -> list[str]:
    """The words that have no role, two roles, or a role that does not show in the SQL or the chart."""
    used = [0] * len(words)
    lost = []
    for tag in tags:
        for at in range(tag.start, tag.end):
            used[at] += 1
        if not _shown(tag, words, sql, chart):
            lost.append(" ".join(word.text for word in words[tag.start : tag.end]))
    return [word.text for word, times in zip(words, used, strict=True) if times != 1] + lost


def _shown(tag: Tag, words: Sequence[Word], sql: str, chart: Mapping[str, Any] | None) -> bool:
    named = _without_texts(sql)
    match tag.role, tag.value:
        case "glue", _:
            return all(word.low in VOCABULARY for word in words[tag.start : tag.end])
        case "column", Field() as field:
            return _names(named, field.name)
        case "table", str(name):
            return _names(named, name)
        case "like", str(text):
            return re.sub(r"([\\%_])", r"\\\1", text).replace("'", "''") in sql
        case "weekday", day:
            return re.search(rf"isodow\(.*\) (NOT )?IN \([0-9, ]*\b{day}\b", sql) is not None
        case "value", text:
            return literal(text) in sql
        case "number", number:
            return re.search(rf"(?<![\w.]){re.escape(literal(number))}(?![\w.])", sql) is not None
        case "period", Period() as period:
            return any(_day_shown(day, sql) for day in (period.start, period.stop) if day is not None)
        case "period", Yearless():
            return "DATE '" in sql
        case "unit", unit:
            if unit == "weekday":
                return "dayname(" in sql
            if unit == "year":
                return re.search(r"(?i)year", named) is not None
            return f"date_trunc('{unit}'" in sql or (unit == "day" and "AS DATE" in sql)
        case "chart", kind:
            return chart is not None and kind in ("auto", chart.get("kind"))
        case "compare", "=":
            return re.search(r"(?<![<>!])=|\bIN \(", named) is not None
        case "compare", "!=":
            return re.search(r"<>|\bNOT\b", named) is not None
        case "compare", op:
            return re.search(rf"(?<![<>!]){re.escape(op)}(?!=)", named) is not None
        case "joint", "and":
            return "," in sql or " AND " in sql
        case "when", "in" | "from":
            return ">=" in sql or "=" in sql
        case role, value:
            pattern = _EVIDENCE.get((role, value))
            return pattern is not None and re.search(pattern, named) is not None


_QUOTED = re.compile(r"""\"(?:[^"]|"")*\"|'(?:[^']|'')*'""")
_KEPT = re.compile(r"'(?:\d{4}-\d\d-\d\d|day|week|month|quarter|year)'|\".*", re.DOTALL)


def _without_texts(sql: str) -> str:
    """The SQL with its text literals emptied, so that a value cannot stand as evidence for a name or a word."""
    return _QUOTED.sub(lambda found: found[0] if _KEPT.fullmatch(found[0]) else "''", sql)


def _names(sql: str, name: str) -> bool:
    return re.search(rf"(?<![\w\"]){re.escape(identifier(name))}(?![\w\"])", sql) is not None


def _day_shown(day: Any, sql: str) -> bool:
    return day.isoformat() in sql or re.search(rf"(?<!\w){day.year}(?!\w)", sql) is not None
