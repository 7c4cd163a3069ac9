"""Runs one step of a plan: whether at all, with which parameters, how often, and what its end means.

    if ──false──▶ skipped
     │
    foreach ──▶ one call for each item, in parallel ──▶ the list of their results, in order
     │
    one call ──▶ tries, the transient failures again ──▶ its result, or what `on_error` makes of the failure

One owner of tries: a tool's failures are tried again here and nowhere else, a model's where the model is asked. Both
ask the budget of the run whether a further try is left.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from workbench.calls import Call, at_item
from workbench.core import refs, schema
from workbench.core.artifacts import Artifact, to_json
from workbench.core.errors import BudgetExceeded, ReplayMiss
from workbench.core.events import Event, Kind
from workbench.core.plan import MAX_ITEMS, Plan, Step
from workbench.core.provenance import Lineage
from workbench.core.provenance import to_json as sources_json
from workbench.core.recovery import Recovered, effect_key
from workbench.core.tools import ToolCall, ToolResult, ToolSpec, digest
from workbench.policy.run_budget import RunBudget

MAX_RETRY_AFTER = 120.0
"""Seconds. Who asks for more is not waited for: the error says how long it asked for."""
AGAIN = 0.5
"""Seconds after which what is still there is cancelled once more."""
_WORD = {
    "transient": "TransientError",
    "denied": "Denied",
    "exceeded": "BudgetExceeded",
    "cancelled": "Cancelled",
}
_FINAL = frozenset({"BudgetExceeded", "Cancelled", "ReplayMiss"})
"""Failures that no `on_error` passes over."""

Tell = Callable[[Kind, Mapping[str, Any], str], Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How calls are made. `durable`: awaited before a write tool acts. `budget`: of the run. `on_bug` hears of what no
    tool can cause; `sleep` and `uniform` are parameters so that tests need no time or luck."""

    call: Call
    durable: Callable[[], Awaitable[None]]
    on_bug: Callable[[BaseException], None] = lambda error: None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[float, float], float] = random.uniform
    budget: RunBudget = field(default_factory=RunBudget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is around the steps of a plan while it runs: `results`, id → tool and value, grows with it; `slots` are held
    by calls, not by steps that wait."""

    run: str
    plan: Plan
    tools: Mapping[str, ToolSpec]
    variables: Mapping[str, Artifact]
    results: dict[str, tuple[str, Any]]
    lineage: Lineage
    recovered: Recovered
    identities: Mapping[str, str]
    slots: asyncio.Semaphore
    tell: Tell


class _Failure(Exception):
    """How a call failed, as its event says it. `kind` is the name of an error, `text` what the tool printed."""

    def __init__(self, kind: str, message: str, hint: str = "", text: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.hint, self.text = kind, message, hint, text

    def body(self) -> dict[str, Any]:
        return {"error": {"kind": self.kind, "message": self.message, "hint": self.hint}, "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """The item that a foreach is at."""

    index: int
    value: Any


class StepRun:
    """One step while it runs."""

    def __init__(self, step: Step, around: Around, manner: Manner) -> None:
        self._step = step
        self._tool = around.tools[step.task]
        self._around = around
        self._manner = manner
        self._started = time.monotonic()
        context = self._tool.reads_context and around.plan.sequential
        self._seen = list(around.results) if context else []
        self._lineage = around.lineage.at_step(step.id)
        if step.foreach is not None:
            self._lineage = self._lineage.at_item(self._lineage.sources(step.foreach))
        self._made_of = self._lineage.sources([step.when, step.foreach, step.params], self._seen)

    async def run(self) -> None:
        """Return when the step has ended; how is told. Whatever a tool does, nothing is raised for it."""
        step = self._step
        try:
            if step.when is not None and not is_true(self._resolved(step.when)):
                return self._skip(f"{step.when['$ref']} is false")
            if step.foreach is not None:
                return await self._each(self._items())
            result = await self._one(None)
        except _Failure as failure:
            return self._fail(failure)
        except BudgetExceeded as error:  # before it had begun
            return self._tell(Kind.STEP_CANCELLED, {"reason": error.message})
        except ReplayMiss as error:  # ends the run: a strict replay goes no further on what it does not have
            self._fail(_Failure("ReplayMiss", error.message, error.hint))
            raise
        return self._done(result.value, {0: result})

    # -- one call ------------------------------------------------------------------------------------------------------

    async def _one(self, item: _Item | None) -> ToolResult:
        """The result of the step's call, or of that for one item.

        Raises _Failure, and BudgetExceeded before anything has begun.
        """
        manner, around = self._manner, self._around
        async with around.slots:
            if item is None:
                manner.budget.begin_step()
            manner.budget.begin_call()
            manner.budget.retries.begin()
            call = self._begun(item)
            if self._tool.effect == "write":
                await manner.durable()
            result = await self._try(call)
        while (wait := self._patience(call, result)) is not None:
            told = {"try": call.attempt, "error": result.error, "wait": round(wait, 3)}
            self._tell(Kind.STEP_RETRIED, told | at_item(call))
            await manner.sleep(wait)
            async with around.slots:
                try:
                    manner.budget.begin_call()
                except BudgetExceeded as error:
                    raise _Failure("BudgetExceeded", error.message, error.hint) from None
                call = replace(call, attempt=call.attempt + 1)
                result = await self._try(call)
        around.lineage.record(call.step, call.sources, result.reached)
        if result.status == "ok":
            manner.budget.retries.back(call.attempt - 1)
        else:
            hint = result.hint
            if not hint and (result.retry_after or 0.0) > MAX_RETRY_AFTER:
                hint = f"It asks to wait {result.retry_after:.0f} s."
            raise _Failure(_WORD.get(result.status, "ToolFailed"), result.error, hint, result.text)
        for artifact in result.artifacts:
            self._tell(Kind.ARTIFACT_MADE, to_json(artifact)["$artifact"])
        return result

    def _begun(self, item: _Item | None) -> ToolCall:
        """The call with its intent told and its references resolved. Raises _Failure."""
        step, tool, around = self._step, self._tool, self._around
        index = None if item is None else item.index
        self._tell(Kind.STEP_INTENT if item is None else Kind.ITEM_INTENT, self._intent(index))
        around.lineage.record(step.id, self._made_of, frozenset())
        # Only what it refers to: a run may have many results.
        values = {r.step: around.results[r.step][1] for r in refs.find(step.params) if r.step in around.results}
        if item is not None:
            values[refs.ITEM] = item.value
        try:
            arguments = self._lineage.arguments(step.params, values, around.variables)
            params = refs.resolve(step.params, values, around.variables)
        except LookupError as error:
            raise _Failure("ToolFailed", str(error)) from None
        if problems := list(schema.check(params, tool.params, resolved=True)):
            raise _Failure("ToolFailed", "; ".join(problems[:3]))
        return ToolCall(
            run=around.run,
            step=step.id,
            tool=tool,
            params=params,
            timeout=step.timeout or tool.timeout,
            context=tuple((name, *around.results[name]) for name in self._seen),
            arguments=arguments,
            sources=self._made_of,
            key=effect_key(around.run, step.id, index),
            item=index,
            approve=step.approve,
        )

    async def _try(self, call: ToolCall) -> ToolResult:
        self._tell(Kind.STEP_STARTED, {"try": call.attempt} | at_item(call))
        try:
            return await self._manner.call(call)
        except ReplayMiss:
            raise
        except Exception as error:  # noqa: BLE001 - our bug: logged whole, and it costs one step
            self._manner.on_bug(error)
            hint = "The log has the whole traceback."
            raise _Failure("InternalError", f"{type(error).__name__}: {error}", hint) from None

    def _patience(self, call: ToolCall, result: ToolResult) -> float | None:
        """Seconds until the next try, None when there is none: with full jitter, and as long as the other side asked.
        A write is never tried again."""
        retry, asked = self._step.retry, result.retry_after or 0.0
        if result.status != "transient" or call.tool.effect == "write" or call.attempt > retry.max:
            return None
        if asked > MAX_RETRY_AFTER or not self._manner.budget.retries.take():
            return None
        return asked + self._manner.uniform(0.0, min(retry.cap, retry.base * 2 ** (call.attempt - 1)))

    # -- the items of a foreach ----------------------------------------------------------------------------------------

    def _items(self) -> list[Any]:
        """The items, resolved. Raises _Failure when there is no list, or one that is too long."""
        items, where = self._resolved(self._step.foreach), "foreach"
        if refs.is_ref(self._step.foreach):
            where = f"foreach {self._step.foreach['$ref']}"
        if not isinstance(items, list | tuple):
            found = "a table" if isinstance(items, Artifact) and items.is_frame else type(items).__name__
            raise _Failure("ToolFailed", f"{where}: expected a list, got {found}")
        if len(items) > MAX_ITEMS:
            raise _Failure("ToolFailed", f"{where}: {len(items)} items; at most {MAX_ITEMS} are run")
        return list(items)

    async def _each(self, items: list[Any]) -> None:
        step, recovered = self._step, self._around.recovered
        self._manner.budget.begin_step()
        self._tell(Kind.STEP_INTENT, self._intent() | {"items": len(items)})
        self._around.lineage.record(step.id, self._made_of, frozenset())
        values: dict[int, Any] = dict(recovered.items.get(step.id, {}))
        results: dict[int, ToolResult] = {}
        failures: dict[int, _Failure] = {}

        async def one(item: _Item) -> None:
            try:
                result = await self._one(item)
            except BudgetExceeded as error:  # before it had begun
                failures[item.index] = _Failure("BudgetExceeded", error.message, error.hint)
            except _Failure as failure:
                self._item_failed(item.index, failure, values, failures)
            else:
                results[item.index], values[item.index] = result, result.value
                body = {"value": to_json(result.value), **_told([result]), "provenance": self._sources()}
                self._tell(Kind.ITEM_DONE, {"item": item.index, **body})

        doubtful = {place[1] for place in recovered.uncertain if isinstance(place, tuple) and place[0] == step.id}
        for index in sorted(doubtful):
            doubt = recovered.uncertain[step.id, index]
            self._tell(Kind.ITEM_UNCERTAIN, {"item": index, "reason": doubt.why})
        left = [index for index in range(len(items)) if index not in values.keys() | doubtful]
        await together([one(_Item(index=index, value=items[index])) for index in left])
        if doubtful:
            return self._tell(Kind.STEP_UNCERTAIN, {"reason": f"{len(doubtful)} of {len(items)} items are uncertain"})
        if failures:
            return self._fail(_of_items(failures, len(items)))
        return self._done([values[index] for index in sorted(values)], results)

    def _item_failed(
        self, index: int, failure: _Failure, values: dict[int, Any], failures: dict[int, _Failure]
    ) -> None:
        body = {"item": index} | failure.body() | {"provenance": self._sources()}
        on_error = "fail" if failure.kind in _FINAL else self._step.on_error
        if on_error == "default":
            values[index] = self._step.default
            self._tell(Kind.ITEM_DONE, body | {"value": to_json(self._step.default)})
            return
        self._tell(Kind.ITEM_FAILED, body | ({"skipped": True} if on_error == "skip" else {}))
        if on_error != "skip":
            failures[index] = failure

    # -- the end of the step -------------------------------------------------------------------------------------------

    def _done(self, value: Any, results: Mapping[int, ToolResult]) -> None:
        self._around.results[self._step.id] = (self._tool.name, value)
        told = _told([results[index] for index in sorted(results)])
        body = {"value": to_json(value), **told, "seconds": self._seconds(), "provenance": self._sources()}
        self._tell(Kind.STEP_DONE, body)

    def _fail(self, failure: _Failure) -> None:
        """Tell what the step's failure means. The default of a foreach is one for its items, not for the list."""
        step = self._step
        body = failure.body() | {"seconds": self._seconds(), "provenance": self._sources()}
        passes = failure.kind not in _FINAL
        if passes and step.on_error == "skip":
            skip(step, self._around, f"it failed: {failure.message}", body)
        elif passes and step.on_error == "default" and step.stands_in:
            self._around.results[step.id] = (self._tool.name, step.default)
            self._tell(Kind.STEP_DONE, body | {"value": to_json(step.default)})
        else:
            self._tell(Kind.STEP_FAILED, body)

    def _skip(self, reason: str) -> None:
        skip(self._step, self._around, reason)

    def _intent(self, index: int | None = None) -> dict[str, Any]:
        tool = self._tool
        body: dict[str, Any] = {
            "tool": tool.name,
            "version": tool.version,
            "effect": tool.effect,
            "params_sha256": digest(self._step.params),
            "sources": sources_json(self._made_of),
        }
        if index is not None:
            return {"item": index, **body}
        identity = self._around.identities.get(self._step.id)
        return body | ({"identity": identity} if identity else {})

    def _resolved(self, part: Any) -> Any:
        """A part of the step with its references resolved. Raises _Failure when it names what is not there."""
        values = {name: value for name, (_, value) in self._around.results.items()}
        try:
            return refs.resolve(part, values, self._around.variables)
        except LookupError as error:
            raise _Failure("ToolFailed", str(error)) from None

    def _sources(self) -> list[dict[str, str]]:
        return sources_json(self._around.lineage.steps.get(self._step.id, self._made_of))

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 6)

    def _tell(self, kind: Kind, body: Mapping[str, Any]) -> None:
        self._around.tell(kind, body, self._step.id)


def skip(step: Step, around: Around, reason: str, body: Mapping[str, Any] | None = None) -> None:
    """Tell that a step is skipped; its default, where it has one, is its result."""
    told: dict[str, Any] = {**(body or {}), "reason": reason}
    if step.stands_in:
        around.results[step.id] = (step.task, step.default)
        told["value"] = to_json(step.default)
    around.tell(Kind.STEP_SKIPPED, told, step.id)


def is_true(value: Any) -> bool:
    """Whether an `if` lets its step run; `core.plan.Step` says what is false."""
    if isinstance(value, Artifact):
        return not value.is_frame or value.rows != 0
    return bool(value)


async def together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of it at once. When one raises, or this is cancelled, all are gone before that goes on upwards."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        await gone(tasks)
        raise


async def gone(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks until they are gone: whatever swallows a cancellation hears of it again, and a second one of the
    caller changes nothing."""
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(left, timeout=AGAIN)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen


def _told(results: Sequence[ToolResult]) -> dict[str, Any]:
    """What the end of a step says of results beside their values."""
    text = "\n".join(result.text for result in results if result.text)
    return {"text": text, "sources": [source for result in results for source in result.sources]}


def _of_items(failures: Mapping[int, _Failure], count: int) -> _Failure:
    """The failure of a foreach, in the words of its first item that failed; a budget that is used up goes first."""
    first = min(failures, key=lambda index: (failures[index].kind not in _FINAL, index))
    failure = failures[first]
    if failure.kind == "BudgetExceeded":
        return failure
    head = f"{len(failures)} of {count} items failed; item {first + 1}: " if count > 1 else ""
    return _Failure(failure.kind, f"{head}{failure.message}", failure.hint, failure.text)
