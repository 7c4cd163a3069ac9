"""What a request names with `@`, and what of the user's namespace can be named so.

    @sales              a DataFrame, or a figure or picture
    @growth  @growth.s2 a run that a variable holds, or a result of one; `@_` is the last run
    @20261127-1209.s2   the same by a run's id, or the beginning of it
    @cell[-1]  @cell[3] a cell that ran before, from the end or by its number
    @previous           the last table that was made here

All else that begins with `@` is prose: addresses (`me@host`), packages (`@scope/name`), decorators in pasted code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbench.notebook.line import BadLine, near

PREVIOUS = "previous"
Kind = Literal["table", "figure", "run", "cell", "previous"]

_STEP = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
_MENTION = re.compile(
    rf"(?<![\w.@/])@(?:cell\[(?P<cell>-?\d{{1,6}})\]"
    rf"|(?P<id>\d{{8}}-\d{{4,6}}(?:-[0-9a-f]{{1,10}})?)(?![\w-])(?:\.(?P<of>{_STEP}))?"
    rf"|(?P<name>[^\W\d]\w*)(?:\.(?P<part>{_STEP}))?)"
)
_PACKAGE = re.compile(r"@[\w-]+/")
_DECORATOR = re.compile(r"^[ \t]*@[\w.]+(?:\(.*\))?[ \t]*\n(?=[ \t]*(?:@|def |class |async ))", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One thing that a request names. `typed`: as it stands there, with `@`; `name`: of the variable or the beginning
    of a run's id, or the number of a cell; `step`: of a run, "" for all of it."""

    kind: Kind
    typed: str
    name: str
    step: str = ""


def kind_of(name: str, value: Any) -> Kind | None:
    """What a variable of the user is to a request, None when it is nothing to be named. Imports nothing: a value of a
    library that nobody has imported cannot be there."""
    from workbench.notebook import pictures

    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return "table"
    if is_run(value) or is_job(value):
        return "run"
    return "figure" if pictures.is_picture(value) else None


def is_run(value: Any) -> bool:
    """Whether a value is a run."""
    runs = sys.modules.get("workbench.run")
    return runs is not None and isinstance(value, runs.Run)


def is_job(value: Any) -> bool:
    """Whether a value is the handle of a run in the background."""
    background = sys.modules.get("workbench.notebook.background")
    return background is not None and isinstance(value, background.Handle)


def run_of(value: Any) -> Any:
    """The run that a value is, or the handle of; None while that goes on, and for all else."""
    return value if is_run(value) else value.run if is_job(value) else None


def found(text: str, scope: Mapping[str, Any]) -> list[Mention]:
    """What a request names, each once, in the order of the text. Raises BadLine for a name that is not there."""
    prose = {match.span() for pattern in (_PACKAGE, _DECORATOR) for match in pattern.finditer(text)}
    mentions = (_mention(match, scope, prose) for match in _MENTION.finditer(text))
    return list(dict.fromkeys(mention for mention in mentions if mention is not None))


def names(scope: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each name that `@` may stand before, and what it is, in words; tables first, in the order they were made."""
    by_kind: dict[Kind, list[tuple[str, str]]] = {"table": [], "figure": [], "run": []}
    for name, value in list(scope.items()):
        if name.startswith("_") or not name.isidentifier() or (kind := kind_of(name, value)) is None:
            continue
        if kind == "run" and run_of(value) is None:
            continue  # it is not over yet
        by_kind[kind].append((name, _said(kind, value)))
    for several in by_kind.values():
        yield from several
    if run_of(scope.get("_")) is not None:
        yield "_", f"the last run: {_said('run', scope['_'])}"


def steps(value: Any) -> Iterator[tuple[str, str]]:
    """The steps of a run that a variable holds, with their titles."""
    run = run_of(value)
    for step in run.outcome.steps if run is not None else ():
        yield step.id, step.title or step.task


def _mention(match: re.Match[str], scope: Mapping[str, Any], prose: set[tuple[int, int]]) -> Mention | None:
    if match["cell"] is not None:
        return Mention(kind="cell", typed=match[0], name=match["cell"])
    if match["id"] is not None:
        return Mention(kind="run", typed=match[0], name=match["id"], step=match["of"] or "")
    name, typed = match["name"], f"@{match['name']}"
    kind = kind_of(name, scope[name]) if name in scope else None
    if kind == "run":
        return _of_run(match, scope[name])
    if kind is not None and (not name.startswith("_") or kind != "table"):
        return Mention(kind=kind, typed=typed, name=name)
    if any(start <= match.start() < end for start, end in prose):
        return None
    if name == PREVIOUS:
        return Mention(kind="previous", typed=typed, name=name)
    known = [known for known, _ in names(scope)]
    if name in scope and not name.startswith("_"):
        raise BadLine(f"{typed} is not a DataFrame, a figure or a run{near(name, known, '@')}")
    raise BadLine(f"There is no {typed}{near(name, known, '@')}")


def _of_run(match: re.Match[str], run: Any) -> Mention:
    name, step = match["name"], match["part"] or ""
    if run_of(run) is None:
        raise BadLine(f"@{name} goes on in the background: it has no result yet")
    ids = [known for known, _ in steps(run)]
    if step and step not in ids:
        # "…as in @growth.Then" is the end of a sentence; what looks like a step is one.
        if not re.fullmatch(r"[a-z]+\d+", step) and not near_enough(step, ids):
            step = ""
        else:
            raise BadLine(f"@{name} has no step {step}{near(step, ids, f'@{name}.')}")
    return Mention(kind="run", typed=f"@{name}.{step}" if step else f"@{name}", name=name, step=step)


def near_enough(word: str, known: list[str]) -> bool:
    """Whether a word is nearly one of those that are known."""
    import difflib

    return bool(difflib.get_close_matches(word, known, n=1))


def _said(kind: Kind, value: Any) -> str:
    if kind == "table":
        rows, columns = value.shape
        return f"{rows:,} × {columns} table"
    if kind == "run":
        return f"run: {' '.join(run_of(value).outcome.request.split())[:60]}"
    return "figure"
