"""The layers around one tool call. Each is a few lines that take a `Call` and give a `Call`.

    recalled(granted(approved(budgeted(audited(limited(cleaned(routed(sandboxed(...)))))))))

`audited` hears of everything that is tried, so that also a call which a limit refused leaves its audit record. What
`recalled` finds on record is not done again, so there is nothing to grant, to ask about, to count, or to run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core.errors import BudgetExceeded, Denied, Unavailable, WorkbenchError
from workbench.core.events import Event, Kind
from workbench.core.fingerprint import of_call
from workbench.core.tools import Status, ToolCall, ToolResult
from workbench.core.usage import Use
from workbench.policy.budgets import A_CALL, Budgets
from workbench.policy.gate import Gate
from workbench.sandbox.base import Sandbox, Service
from workbench.sandbox.doors import Doors

Call = Callable[[ToolCall], Awaitable[ToolResult]]
"""One try of one tool call. Never raises for what the tool does; see `ToolResult.status`."""

Tell = Callable[[Kind, Mapping[str, Any], str], Event]
"""`tell(kind, body, step)`: reports an event of the run."""


def sandboxed(
    sandbox: Sandbox, services: Callable[[ToolCall, Doors], Mapping[str, Service]], artifacts: Path, tell: Tell
) -> Call:
    """The call itself: in a worker, with the host functions that this tool may use."""

    async def call(what: ToolCall) -> ToolResult:
        def progress(text: str) -> None:
            tell(Kind.STEP_PROGRESS, {"text": text} | at_item(what), what.step)

        doors = Doors()
        return await sandbox.run(what, services(what, doors), artifacts, progress, doors)

    return call


def routed(call: Call, elsewhere: Mapping[str, Call]) -> Call:
    """Calls each tool where it runs (`ToolSpec.runs`): in a worker by `call`, else by that name."""

    async def routed_call(what: ToolCall) -> ToolResult:
        return await elsewhere.get(what.tool.runs, call)(what)

    return routed_call


def granted(call: Call, grant: Callable[[ToolCall], ToolCall]) -> Call:
    """Calls with what the user's settings let this call open, such as the file of a named database."""

    async def granted_call(what: ToolCall) -> ToolResult:
        return await call(grant(what))

    return granted_call


def recalled(call: Call, recall: Callable[[ToolCall], Awaitable[ToolResult | None]]) -> Call:
    """Calls only what `recall` has no result of. It raises ReplayMiss when a call must not be made."""

    async def recalled_call(what: ToolCall) -> ToolResult:
        result = await recall(what)
        return await call(what) if result is None else result

    return recalled_call


def limited(call: Call, admit: Callable[[], None]) -> Call:
    """Calls only as often as the user may; `admit` raises BudgetExceeded."""

    async def limited_call(what: ToolCall) -> ToolResult:
        try:
            admit()
        except BudgetExceeded as error:
            return _not_called(error)
        return await call(what)

    return limited_call


def approved(call: Call, gate: Gate, tell: Tell) -> Call:
    """Calls only what policy, or a person that it asks, allows; the result knows what the tool has reached.

    Outside of what counts seconds, for a person may take their time; a call that is not allowed leaves an audit record
    too.
    """

    async def approved_call(what: ToolCall) -> ToolResult:
        denied = await gate.admit(what)
        if denied is None:
            return gate.leave(what, await call(what))
        no = _not_called(denied)

        async def refused(what: ToolCall) -> ToolResult:
            return no

        return await audited(refused, tell)(what)

    return approved_call


def cleaned(call: Call, clean: Callable[[ToolResult], ToolResult]) -> Call:
    """Nothing of a result is used before `clean` has taken out of it what must not leave the worker."""

    async def cleaned_call(what: ToolCall) -> ToolResult:
        return await asyncio.to_thread(clean, await call(what))

    return cleaned_call


def budgeted(call: Call, budgets: Budgets, tell: Tell, artifacts: Path) -> Call:
    """Calls only within the user's budget: set aside before, counted after. Pictures beyond it are removed again, and
    the call has failed: how many there will be nobody knows before."""

    def told(kind: Kind, body: Mapping[str, Any], *, step: str | None = None) -> Event:
        return tell(kind, body, step or "")

    async def budgeted_call(what: ToolCall) -> ToolResult:
        if not budgets.limits:
            return await call(what)
        started = time.monotonic()
        try:
            held = await budgets.reserve(A_CALL, told, what.step)
        except (BudgetExceeded, Unavailable) as error:
            return _not_called(error)
        try:
            result = await call(what)
        finally:
            held.settle(Use(calls=1, seconds=round(time.monotonic() - started, 6)))
        images = [artifact for artifact in result.artifacts if artifact.is_image]
        if not images:
            return result
        try:
            pictures = await budgets.reserve(Use(images=len(images)), told, what.step)
        except (BudgetExceeded, Unavailable) as error:
            for artifact in images:
                (artifacts / artifact.path).unlink(missing_ok=True)
            return replace(_not_called(error), isolation=result.isolation)
        pictures.settle(Use(images=len(images)))
        return result

    return budgeted_call


def audited(call: Call, tell: Tell) -> Call:
    """Leaves one audit record for each try: what was asked and what came back, as hashes, and how it ended."""

    async def audited_call(what: ToolCall) -> ToolResult:
        started = time.monotonic()
        result: ToolResult | None = None
        try:
            result = await call(what)
            return result
        finally:
            body = account(what, result)
            tell(Kind.TOOL_CALLED, {**body, "seconds": round(time.monotonic() - started, 6)}, what.step)

    return audited_call


def account(what: ToolCall, result: ToolResult | None) -> dict[str, Any]:
    """The body of `tool.called`; None for a call that was stopped before it had a result."""
    body = {
        "tool": what.tool.name,
        "version": what.tool.version,
        "try": what.attempt,
        **({"entry": what.entry} if what.entry != "run" else {}),
        "status": result.status if result is not None else "cancelled",
        "request_sha256": what.request_sha256(),
        "response_sha256": result.response_sha256() if result is not None else None,
        "isolation": result.isolation if result is not None else "",
        "asked": of_call(what).told(),
        **at_item(what),
    }
    if result is None or result.status == "ok":
        return body
    failure = {"error": result.error, "hint": result.hint, "text": result.text, "retry_after": result.retry_after}
    return body | {"failure": failure}


def at_item(call: ToolCall) -> dict[str, int]:
    """What an event says of a call of a foreach besides."""
    return {} if call.item is None else {"item": call.item}


def _not_called(error: WorkbenchError) -> ToolResult:
    """What a call gives that was not made."""
    status: Status = "failed"
    if isinstance(error, BudgetExceeded | Denied):
        status = "exceeded" if isinstance(error, BudgetExceeded) else "denied"
    return ToolResult(status=status, error=error.message, hint=error.hint)
