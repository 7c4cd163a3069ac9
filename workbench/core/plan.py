"""The plan: a short list of steps, as data.

`[{"task": "web_search", "params": {"query": "x"}}]` is a valid plan as it is. Without any `needs` or reference a plan
runs in list order, each step seeing the earlier results as context; otherwise the graph is exactly what is declared by
references and `needs`. `read` checks everything at once, so that a model gets all its errors in one answer.

What a step does beside its call is data too: `if` (run it or not), `foreach` (once for each item of a list), `on_error`
(what its failure means), `approve` (ask before). None of them is an expression.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.core import refs, schema
from workbench.core.budget import Budget
from workbench.core.errors import PlanInvalid
from workbench.core.tools import ToolSpec

MAX_STEPS = 50
MAX_DEPTH = 50
"""How deep lists and objects of a plan may lie in each other."""
MAX_ITEMS = 200
"""How many items a `foreach` may go over."""

OnError = Literal["fail", "skip", "default", "replan"]
"""What the failure of a step means, when no further try is left. fail: the run fails; steps that do not need this one
finish. skip: the step counts as skipped. default: its `default` is its result. replan: the planner sees the error and
may add other steps, at most twice in a run; what it does not mend fails the run."""


class Retry(BaseModel):
    """How often and how patiently a transient failure is tried again; `base` and `cap` in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max: int = Field(2, ge=0, le=10)
    base: float = Field(0.5, ge=0, le=60)
    cap: float = Field(20.0, ge=0, le=600)


class Step(BaseModel):
    """One call of one tool. `needs` are ids that must be done first, beyond those that references imply.

    `if` is a reference. The step is skipped when what it names is false: null, false, 0, an empty text, list or object,
    or a table without rows. Everything else is true, also the text "false". There is no "not" and no comparison: let a
    step compute what is to be tested.

    `foreach` is a list, or a reference to one, of at most 200 items. The tool is called once for each, in parallel, and
    `{"$ref": "item"}` or `{{item#/part}}` in the params is the item. The result is the list of results in the order of
    the items. Of an item that failed, `on_error` says: skip leaves it out, default puts `default` in its place, else
    the step fails and the results of the other items are kept for when the run is taken up again.

    A skipped step has no result, and a step that refers to it is skipped too; one that only waits for it runs. With a
    `default`, outside of a foreach, that is its result, and nothing else is skipped.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field("", pattern=rf"^(?:{refs.STEP_ID})?$")
    task: str = Field(min_length=1, max_length=200)
    params: dict[str, Any] = Field(default_factory=dict)
    needs: tuple[str, ...] = ()
    title: str = Field("", max_length=200)
    timeout: Annotated[float, Field(gt=0, le=3600)] | None = None
    retry: Retry = Retry()
    when: Any = Field(None, alias="if")
    foreach: Any = None
    on_error: OnError = "fail"
    default: Any = None
    approve: bool = False

    @property
    def has_default(self) -> bool:
        """Whether a default is given; null is one."""
        return "default" in self.model_fields_set

    @property
    def stands_in(self) -> bool:
        """Whether the default stands for the result of the whole step; that of a foreach is one for its items."""
        return self.has_default and self.foreach is None

    def references(self) -> Iterator[refs.Ref]:
        """Every reference of the step, wherever it stands. Raises ValueError on a malformed one."""
        if self.when is None and self.foreach is None:  # as in most steps
            return refs.find(self.params)
        return refs.find([self.when, self.foreach, self.params])


class Plan(BaseModel):
    """Steps, what they are for, and how they depend on each other.

    `look`: when the steps are done, the planner sees their results and may add a further round of steps. `budget`: what
    the run may use; it can only narrow what the user allows. A plan without steps is never read from a reply or a file:
    it says that what the user has put beside a request answers it, and that nothing is to be run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    goal: str = Field("", max_length=4000)
    mode: Literal["graph", "sequential"] | None = None
    look: bool = False
    budget: Budget | None = None
    steps: tuple[Step, ...] = Field(max_length=MAX_STEPS)

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

    def uses(self) -> dict[str, frozenset[str]]:
        """Step id → ids of this plan whose results it refers to."""
        own = {step.id for step in self.steps}
        return {step.id: frozenset(str(r.step) for r in _step_refs(step) if r.step in own) for step in self.steps}

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
    rest = step.model_dump(
        exclude_defaults=True, exclude={"id", "task", "params", "when", "foreach", "default"}, by_alias=True
    )
    if step.needs:
        rest["needs"] = list(step.needs)
    rest |= {name: value for name, value in (("if", step.when), ("foreach", step.foreach)) if value is not None}
    if step.has_default:
        rest["default"] = step.default
    return {"id": step.id, "task": step.task, "params": step.params, **rest}


def read(
    raw: str | bytes | Sequence[Any] | Mapping[str, Any],
    tools: Mapping[str, ToolSpec],
    variables: Sequence[str] = (),
    earlier: Collection[str] | Mapping[str, bool] = (),
) -> Plan:
    """The plan that `raw` spells (JSON text, a bare list of steps, or an object), checked against tools and variables.

    `earlier`: ids of the steps of earlier rounds, to which this plan may refer; as a mapping also whether they have a
    result, without which it may not. Raises PlanInvalid with every error that was found.
    """
    plan = load(raw, earlier)
    if not plan.steps:
        raise PlanInvalid(["steps: a plan has at least one step"])
    errors = list(_check(plan, tools, variables, earlier))
    if errors:
        raise PlanInvalid(errors, hint="Mend the steps named here and try again.")
    return plan


def load(raw: str | bytes | Sequence[Any] | Mapping[str, Any], earlier: Collection[str] = ()) -> Plan:
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
        found = error.errors()
        # A step that is wrong also counts as one too few: that says nothing more.
        told = [e for e in found if e["loc"] != ("steps",) or e["type"] != "too_short"] or found
        raise PlanInvalid([_say(e["loc"], e["msg"]) for e in told]) from error
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


def _with_ids(steps: Sequence[Step], earlier: Collection[str]) -> Iterator[Step]:
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
    plan: Plan, tools: Mapping[str, ToolSpec], variables: Sequence[str], earlier: Collection[str]
) -> Iterator[str]:
    ids = [step.id for step in plan.steps]
    lost = {name for name, has_result in earlier.items() if not has_result} if isinstance(earlier, Mapping) else set()
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
        yield from _check_links(step, [*ids, *(name for name in earlier if name not in lost)], variables, lost)
        yield from _check_flow(step)
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


def _check_links(step: Step, ids: Sequence[str], variables: Sequence[str], lost: Collection[str] = ()) -> Iterator[str]:
    for name in step.needs:
        if name in lost:
            yield f"{step.id}: needs {name}, which has no result"
        elif name not in ids:
            yield f"{step.id}: needs {name!r}, and there is no such step{_near(name, ids)}"
    try:
        found = list(step.references())
    except ValueError as error:
        yield f"{step.id}: {error}"
        return
    if step.foreach is None and any(ref.is_item for ref in found):
        yield f"{step.id}: refers to an item, and has no foreach"
    for ref in found:
        if ref.step in lost:
            yield f"{step.id}: refers to {ref}, and {ref.step} has no result"
        elif ref.step is not None and not ref.is_item and ref.step not in ids:
            yield f"{step.id}: refers to {ref}, and there is no such step{_near(ref.step, ids)}"
        if ref.variable is not None and ref.variable not in variables:
            near = _near(ref.variable, variables)
            yield f"{step.id}: refers to @{ref.variable}, and no such variable is offered{near}"


_FLOW = frozenset({"when", "foreach", "on_error", "default"})


def _check_flow(step: Step) -> Iterator[str]:
    """What is wrong with the fields that say whether, how often and with what end a step runs."""
    if step.id == refs.ITEM:
        yield f"{step.id}: no step can have this id: it names the item of a foreach"
    if step.model_fields_set.isdisjoint(_FLOW):
        return
    if step.when is not None and not refs.is_ref(step.when):
        yield f'{step.id}: `if` takes a reference and nothing else: {{"$ref": "s1#/found"}}'
    if step.foreach is not None:
        yield from _check_list(step)
    for name, part in (("if", step.when), ("foreach", step.foreach), ("default", step.default)):
        if any(ref.is_item for ref in _found(part)):
            yield f"{step.id}: `{name}` refers to an item, which only params can"
    if step.on_error == "default" and not step.has_default:
        yield f"{step.id}: on_error is default, and no default is given"
    used = step.on_error == "default" or (step.foreach is None and (step.when is not None or step.on_error == "skip"))
    if step.has_default and not used:
        yield f"{step.id}: its default is never used: it belongs to `if`, or to on_error default or skip"
    if any(not ref.is_item for ref in _found(step.default)):
        yield f"{step.id}: default holds a reference; it has to be a plain value"


def _check_list(step: Step) -> Iterator[str]:
    if refs.is_ref(step.foreach):
        if any(ref.variable for ref in _found(step.foreach)):
            yield f"{step.id}: foreach goes over a list, and {step.foreach['$ref']} is a table"
    elif not isinstance(step.foreach, list | tuple):
        yield f'{step.id}: foreach takes a list, or a reference to one: {{"$ref": "s1#/results"}}'
    elif len(step.foreach) > MAX_ITEMS:
        yield f"{step.id}: foreach has {len(step.foreach)} items; at most {MAX_ITEMS} are run"


def _step_refs(step: Step) -> Iterator[refs.Ref]:
    try:
        found = list(step.references())
    except ValueError:  # told by `_check_links`
        return
    yield from (ref for ref in found if ref.step and not ref.is_item)


def _found(value: Any) -> list[refs.Ref]:
    try:
        return list(refs.find(value))
    except ValueError:  # as above
        return []


def _near(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, list(known), n=2)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f" (there are: {', '.join(list(known)[:20])})" if known else " (there are none)"
