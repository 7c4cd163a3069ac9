"""Runs a plan. `core.progress` decides what is ready; this module only calls tools, waits, and tells what happened.

A failure costs a step and its descendants, never its siblings. Cancellation stops every call, keeps what is finished,
and says so in events before it goes on upwards.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from workbench.calls import Call
from workbench.core import refs, schema
from workbench.core.artifacts import Artifact, to_json
from workbench.core.errors import ReplayMiss
from workbench.core.events import Event, Kind, Stream
from workbench.core.plan import Plan, Retry, Step
from workbench.core.progress import Progress, State
from workbench.core.provenance import Lineage
from workbench.core.provenance import to_json as sources_json
from workbench.core.tools import ToolCall, ToolResult, ToolSpec, digest

_WORD = {
    "transient": "TransientError",
    "denied": "Denied",
    "exceeded": "BudgetExceeded",
    "cancelled": "Cancelled",
}


class Executor:
    """Runs plans with one `call`. `parallel`: steps of one run at once. `durable`: awaited before a write tool acts.

    `on_bug` hears of what no tool can cause; `sleep` and `uniform` are parameters so that tests need no time or luck.
    """

    def __init__(
        self,
        call: Call,
        *,
        durable: Callable[[], Awaitable[None]],
        parallel: int = 4,
        on_bug: Callable[[BaseException], None] = lambda error: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._call = call
        self._durable = durable
        self._parallel = parallel
        self._on_bug = on_bug
        self._sleep = sleep
        self._uniform = uniform

    async def run(
        self,
        plan: Plan,
        tools: Mapping[str, ToolSpec],
        variables: Mapping[str, Artifact],
        stream: Stream,
        earlier: Mapping[str, tuple[str, Any]] | None = None,
        lineage: Lineage | None = None,
    ) -> None:
        """Return when every step has ended; how each ended is in the stream.

        `earlier`: id → tool and value of the steps of earlier rounds; `lineage`: the sources of those and of the plan,
        to which each step's are added. Raises CancelledError after the calls of a
        cancelled run are gone and its open steps are told as cancelled.
        """
        progress = Progress(plan.needs())
        results = dict(earlier or {})
        running: dict[asyncio.Task[None], str] = {}
        lineage = lineage or Lineage()

        def tell(kind: Kind, body: Mapping[str, Any], step: str) -> Event:
            event = stream.tell(kind, body, step=step)
            progress.apply(event)
            return event

        try:
            while not progress.finished:
                for name in progress.ready()[: self._parallel - len(running)]:
                    step = plan.step(name)
                    tool = tools[step.task]
                    seen = list(results) if plan.sequential and tool.reads_context else []
                    made_of = lineage.sources(step.params, seen)
                    tell(Kind.STEP_INTENT, _intent(step, tool) | {"sources": sources_json(made_of)}, name)
                    call = ToolCall(
                        run=stream.run,
                        step=step.id,
                        tool=tool,
                        params=step.params,
                        timeout=step.timeout or tool.timeout,
                        context=tuple((name, *results[name]) for name in seen),
                        sources=made_of,
                    )
                    work = self._step(call, step.retry, results, variables, lineage, tell)
                    running[asyncio.create_task(work, name=f"{stream.run}/{name}")] = name
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    name = running.pop(task)
                    if (bug := task.exception()) is not None:
                        raise bug
                for name, by in progress.blocked().items():
                    tell(Kind.STEP_BLOCKED, {"by": list(by)}, name)
        except BaseException:
            # Cancelled, or the journal is gone: either way no call may outlive the run.
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for name, state in progress.states.items():
                if state in (State.WAITING, State.RUNNING):
                    tell(Kind.STEP_CANCELLED, {"reason": "the run was stopped"}, name)
            raise

    async def _step(
        self,
        call: ToolCall,
        retry: Retry,
        results: dict[str, tuple[str, Any]],
        variables: Mapping[str, Artifact],
        lineage: Lineage,
        tell: Callable[[Kind, Mapping[str, Any], str], Event],
    ) -> None:
        """Run one step; the parameters of `call` are still references."""
        started = time.monotonic()
        tool, name = call.tool, call.step
        lineage.record(name, call.sources, frozenset())

        def failed(kind: str, message: str, hint: str = "", text: str = "") -> None:
            error = {"kind": kind, "message": message, "hint": hint}
            body = {"error": error, "text": text, "seconds": _since(started)}
            tell(Kind.STEP_FAILED, body | {"provenance": sources_json(lineage.steps[name])}, name)

        try:
            values = {step: value for step, (_, value) in results.items()}
            arguments = lineage.arguments(call.params, values, variables)
            params = refs.resolve(call.params, values, variables)
        except LookupError as error:
            return failed("ToolFailed", str(error))
        problems = list(schema.check(params, tool.params, resolved=True))
        if problems:
            return failed("ToolFailed", "; ".join(problems[:3]))
        if tool.effect == "write":
            await self._durable()
        try:
            result = await self._tries(replace(call, params=params, arguments=arguments), retry, tell)
        except ReplayMiss as error:
            failed("ReplayMiss", error.message, error.hint)
            raise  # ends the run: a strict replay goes no further on what it does not have
        except Exception as error:  # noqa: BLE001 - our bug: logged whole, and it costs one step
            self._on_bug(error)
            return failed("InternalError", f"{type(error).__name__}: {error}", "The log has the whole traceback.")
        provenance = lineage.record(name, call.sources, result.reached)
        if result.status != "ok":
            return failed(_WORD.get(result.status, "ToolFailed"), result.error, result.hint, result.text)
        for artifact in result.artifacts:
            tell(Kind.ARTIFACT_MADE, to_json(artifact)["$artifact"], name)
        results[name] = (tool.name, result.value)
        body = {
            "value": to_json(result.value),
            "text": result.text,
            "seconds": _since(started),
            "sources": list(result.sources),
            "provenance": sources_json(provenance),
        }
        tell(Kind.STEP_DONE, body, name)
        return None

    async def _tries(
        self, call: ToolCall, retry: Retry, tell: Callable[[Kind, Mapping[str, Any], str], Event]
    ) -> ToolResult:
        """The last result; transient failures are tried again with full jitter, a write never is."""
        most = 1 if call.tool.effect == "write" else retry.max + 1
        number = 1
        while True:
            attempt = replace(call, attempt=number)
            tell(Kind.STEP_STARTED, {"try": number}, call.step)
            result = await self._call(attempt)
            if result.status != "transient" or number >= most:
                return result
            wait = max(
                self._uniform(0.0, min(retry.cap, retry.base * 2 ** (number - 1))),
                min(result.retry_after or 0.0, 60.0),
            )
            tell(Kind.STEP_RETRIED, {"try": number, "error": result.error, "wait": round(wait, 3)}, call.step)
            await self._sleep(wait)
            number += 1


def _intent(step: Step, tool: ToolSpec) -> dict[str, Any]:
    return {
        "tool": tool.name,
        "version": tool.version,
        "effect": tool.effect,
        "params_sha256": digest(step.params),
    }


def _since(started: float) -> float:
    return round(time.monotonic() - started, 6)
