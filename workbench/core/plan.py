"""The plan: a short list of steps, as data.

`[{"task": "web_search", "params": {"query": "x"}}]` is a valid plan as it is. Without any `needs` or reference a plan
runs in list order, each step seeing the earlier results as context; otherwise the graph is exactly what is declared by
references and `needs`. `read` checks everything at once, so that a model gets all its errors in one answer.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.core import refs, schema
from workbench.core.errors import PlanInvalid
from workbench.core.tools import ToolSpec

MAX_STEPS = 50
MAX_DEPTH = 50
"""How deep lists and objects of a plan may lie in each other."""


class Retry(BaseModel):
    """How often and how patiently a transient failure is tried again; `base` and `cap` in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max: int = Field(2, ge=0, le=10)
    base: float = Field(0.5, ge=0, le=60)
    cap: float = Field(20.0, ge=0, le=600)


class Step(BaseModel):
    """One call of one tool. `needs` are ids that must be done first, beyond those that references imply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field("", pattern=rf"^(?:{refs.STEP_ID})?$")
    task: str = Field(min_length=1, max_length=200)
    params: dict[str, Any] = Field(default_factory=dict)
    needs: tuple[str, ...] = ()
    title: str = Field("", max_length=200)
    timeout: Annotated[float, Field(gt=0, le=3600)] | None = None
    retry: Retry = Retry()


class Plan(BaseModel):
    """Steps, what they are for, and how they depend on each other.

    `look`: when the steps are done, the planner sees their results and may add a further round of steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    goal: str = Field("", max_length=4000)
    mode: Literal["graph", "sequential"] | None = None
    look: bool = False
    steps: tuple[Step, ...] = Field(min_length=1, max_length=MAX_STEPS)

    @property
    def sequential(self) -> bool:
        """Whether steps run in list order with the earlier results as context."""
        if self.mode is not None:
            return self.mode == "sequential"
        return not any(step.needs or any(True for _ in _step_refs(step)) for step in self.steps)

    def needs(self) -> dict[str, tuple[str, ...]]:
        """Step id → ids of this plan that must be done before it, in list order. Earlier rounds are done already."""
        if self.sequential:
            ids = [step.id for step in self.steps]
            return {step: tuple(ids[index - 1 : index]) for index, step in enumerate(ids)}
        own = {step.id for step in self.steps}
        return {
            step.id: tuple(
                name
                for name in dict.fromkeys([*step.needs, *(r.step for r in _step_refs(step) if r.step)])
                if name in own
            )
            for step in self.steps
        }

    def step(self, step_id: str) -> Step:
        """The step of that id. Raises KeyError."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    def dump(self) -> dict[str, Any]:
        """The plan as plain JSON, without what is default."""
        fields = self.model_dump(exclude_defaults=True, exclude={"steps"})
        return fields | {"steps": [dump_step(step) for step in self.steps]}


def dump_step(step: Step) -> dict[str, Any]:
    """A step as plain JSON: id, task and params always, the rest where it is not default."""
    # The params are passed on as they are: pydantic's own JSON mode fails on half characters.
    rest = step.model_dump(exclude_defaults=True, exclude={"id", "task", "params"})
    if step.needs:
        rest["needs"] = list(step.needs)
    return {"id": step.id, "task": step.task, "params": step.params, **rest}


def read(
    raw: str | bytes | Sequence[Any] | Mapping[str, Any],
    tools: Mapping[str, ToolSpec],
    variables: Sequence[str] = (),
    earlier: Sequence[str] = (),
) -> Plan:
    """The plan that `raw` spells (JSON text, a bare list of steps, or an object), checked against tools and variables.

    `earlier`: ids of the steps of earlier rounds, to which this plan may refer. Raises PlanInvalid with every error
    that was found.
    """
    plan = load(raw, earlier)
    errors = list(_check(plan, tools, variables, earlier))
    if errors:
        raise PlanInvalid(errors, hint="Mend the steps named here and try again.")
    return plan


def load(raw: str | bytes | Sequence[Any] | Mapping[str, Any], earlier: Sequence[str] = ()) -> Plan:
    """The plan's shape alone, with ids given to steps that have none. Raises PlanInvalid."""
    if isinstance(raw, str | bytes):
        try:
            raw = json.loads(raw)
        except ValueError as error:
            raise PlanInvalid([f"the plan is not JSON: {error}"]) from error
        except RecursionError:
            raise PlanInvalid(["the plan is nested too deeply"]) from None
    if _deeper(raw, MAX_DEPTH):
        raise PlanInvalid(["the plan is nested too deeply"])
    if isinstance(raw, Mapping):
        fields = dict(raw)
    elif isinstance(raw, Sequence):
        fields = {"steps": list(raw)}
    else:
        raise PlanInvalid([f"expected a list of steps or an object with `steps`, got {type(raw).__name__}"])
    try:
        plan = Plan.model_validate(fields)
    except ValidationError as error:
        raise PlanInvalid([_say(e["loc"], e["msg"]) for e in error.errors()]) from error
    return plan.model_copy(update={"steps": tuple(_with_ids(plan.steps, earlier))})


def _deeper(value: Any, most: int) -> bool:
    """Whether lists and objects lie deeper in each other than `most`; found without recursion, so any depth is safe."""
    level: list[Any] = [value]
    for _ in range(most + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                inner.extend(item.values())
            elif isinstance(item, list | tuple):
                inner.extend(item)
        if not inner:
            return False
        level = inner
    return True


def _say(location: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, location)) or 'plan'}: {message}"


def _with_ids(steps: Sequence[Step], earlier: Sequence[str]) -> Iterator[Step]:
    taken = {step.id for step in steps} | set(earlier)
    for number, step in enumerate(steps, 1 + len(earlier)):
        if step.id:
            yield step
            continue
        name = f"s{number}"
        while name in taken:
            name += "_"
        taken.add(name)
        yield step.model_copy(update={"id": name})


def _check(
    plan: Plan, tools: Mapping[str, ToolSpec], variables: Sequence[str], earlier: Sequence[str]
) -> Iterator[str]:
    ids = [step.id for step in plan.steps]
    for step_id in sorted(set(ids) & set(earlier)):
        yield f"{step_id}: a step of an earlier round has this id"
    for step_id in sorted({i for i in ids if ids.count(i) > 1}):
        yield f"{step_id}: two steps have this id"
    for step in plan.steps:
        tool = tools.get(step.task)
        if tool is None:
            yield f"{step.id}: there is no tool {step.task!r}{_near(step.task, tools)}"
        else:
            for problem in schema.check(step.params, tool.params):
                yield f"{step.id}: {problem}"
        yield from _check_links(step, [*ids, *earlier], variables)
    if plan.sequential:
        seen: set[str] = set()
        for step in plan.steps:
            late = {r.step for r in _step_refs(step) if r.step} | set(step.needs)
            for name in sorted(late & set(ids) - seen):
                yield f"{step.id}: needs {name}, which comes later in a sequential plan"
            seen.add(step.id)
        return
    try:
        TopologicalSorter(plan.needs()).prepare()
    except CycleError as error:
        yield "the steps wait for each other in a circle: " + " → ".join(error.args[1])


def _check_links(step: Step, ids: Sequence[str], variables: Sequence[str]) -> Iterator[str]:
    for name in step.needs:
        if name not in ids:
            yield f"{step.id}: needs {name!r}, and there is no such step{_near(name, ids)}"
    try:
        found = list(refs.find(step.params))
    except ValueError as error:
        yield f"{step.id}: {error}"
        return
    for ref in found:
        if ref.step is not None and ref.step not in ids:
            yield f"{step.id}: refers to {ref}, and there is no such step{_near(ref.step, ids)}"
        if ref.variable is not None and ref.variable not in variables:
            near = _near(ref.variable, variables)
            yield f"{step.id}: refers to @{ref.variable}, and no such variable is offered{near}"


def _step_refs(step: Step) -> Iterator[refs.Ref]:
    try:
        yield from (ref for ref in refs.find(step.params) if ref.step)
    except ValueError:  # told by `_check_links`
        return


def _near(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, list(known), n=2)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f" (there are: {', '.join(list(known)[:20])})" if known else " (there are none)"
