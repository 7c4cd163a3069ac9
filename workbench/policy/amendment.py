"""What a person made of a plan before it ran: in words, and which of its values are theirs.

A value is the person's own where they have typed it. One that only moved, with its step or to another, is still the
planner's: renaming a step makes nobody the author of what it says. When in doubt it is the planner's, and is asked
about like anything else that is not the user's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.core import refs
from workbench.core.plan import Plan, Step, dump_step
from workbench.core.provenance import WHOLE, Typed, pointer
from workbench.core.tools import digest
from workbench.policy.words import visible


def typed(before: Plan, after: Plan, already: Typed | None = None) -> dict[str, tuple[str, ...]]:
    """The values of each step that a person has typed, as pointers into its params; `WHOLE` where the step is theirs
    with all that it says. `already`: those of `before` that they had typed then."""
    old = {step.id: step for step in before.steps}
    moved = {_key(value) for step in before.steps for _, value in _literals(step.params) if not _says_nothing(value)}
    kept = dict(already or {})
    found = {}
    for step in after.steps:
        there = dict(_literals(old[step.id].params)) if step.id in old else {}
        mine = tuple(
            path
            for path, value in _literals(step.params)
            if (
                path in kept.get(step.id, ())
                if path in there and _key(there[path]) == _key(value)
                else _key(value) not in moved
            )
        )
        if _is_theirs(step, old.get(step.id), before, mine, WHOLE in kept.get(step.id, ())):
            mine = (WHOLE, *mine)
        if mine:
            found[step.id] = mine
    return found


def left_out(before: Plan, after: Plan) -> list[str]:
    """The steps that a person has taken out."""
    there = {step.id for step in after.steps}
    return [step.id for step in before.steps if step.id not in there]


def in_words(before: Plan, after: Plan) -> str:
    """What was changed, in a line: "without s2; s1: city, days; s3 added"."""
    old = {step.id: step for step in before.steps}
    parts = []
    if gone := left_out(before, after):
        parts.append(f"without {', '.join(gone)}")
    parts += [
        f"{step.id}: {', '.join(names)}" for step in after.steps if step.id in old and (names := _changed(old, step))
    ]
    if added := [step.id for step in after.steps if step.id not in old]:
        parts.append(f"{', '.join(added)} added")
    stayed = [step.id for step in after.steps if step.id in old]
    if stayed != [step.id for step in before.steps if step.id in stayed]:
        parts.append("in another order")
    rest = [name for name in ("goal", "mode", "look", "budget") if getattr(before, name) != getattr(after, name)]
    # Which way the steps hang together is written down when a plan is edited, and says nothing new then.
    parts += [name for name in rest if name != "mode" or before.sequential != after.sequential]
    return visible("; ".join(parts))


def _changed(old: Mapping[str, Step], step: Step) -> list[str]:
    """The params and fields of a step that are not what they were."""
    was, now = dump_step(old[step.id]), dump_step(step)
    before, after = was.pop("params"), now.pop("params")
    return [
        name
        for one, other in ((before, after), (was, now))
        for name in {**one, **other}
        if name not in one or name not in other or digest(one[name]) != digest(other[name])
    ]


def _is_theirs(step: Step, was: Step | None, before: Plan, mine: tuple[str, ...], was_theirs: bool) -> bool:
    """Whether a step was not planned at all: not under its name, nothing in it, and not another that was renamed."""
    if any(path not in mine and not _says_nothing(value) for path, value in _literals(step.params)):
        return False
    if was is not None:
        return was_theirs and was.task == step.task
    return bool(mine) or step.task not in {one.task for one in before.steps}


def _literals(params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every value that is written in the params, with its place; references are none."""

    def parts(path: str, item: Any) -> Iterator[tuple[str, Any]]:
        if refs.is_ref(item):
            return
        if isinstance(item, Mapping) and item:
            for key, inner in item.items():
                yield from parts(pointer(path, key), inner)
        elif isinstance(item, list | tuple) and item:
            for index, inner in enumerate(item):
                yield from parts(pointer(path, str(index)), inner)
        else:
            yield path, item

    return parts("", params) if params else iter(())


def _key(value: Any) -> tuple[str, Any]:
    """A value as it is compared: to JSON true is not 1, and 1.0 is."""
    kind = "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    return kind, value if isinstance(value, str | int | float | bool | None) else repr(value)


def _says_nothing(value: Any) -> bool:
    """Whether a value is nobody's in particular."""
    return value is None or isinstance(value, bool) or value in ("", [], {})
