"""Many requests at once: each a run of its own, and all of them as one list."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from workbench.core.errors import BudgetExceeded, Cancelled, Refused, WorkbenchError
from workbench.run import Run
from workbench.scheduler.base import Job, Scheduler

Asks = Callable[..., Coroutine[Any, Any, Run]]
"""`Workbench.ask`."""

Request = str | Mapping[str, Any]
"""A request in words, or {"request": words, …} with options of `ask` for this one."""

TERMINATED = 128 + signal.SIGTERM
"""The exit code of a process that was asked to end, and did when its runs were on disk."""


class Runs(list[Run | WorkbenchError]):
    """What became of many requests, in their order: each a run, or the error with its `.run` (None when there is none).

    `requests` are their words, shown beside them."""

    def __init__(self, results: Sequence[Run | WorkbenchError], requests: Sequence[str]) -> None:
        super().__init__(results)
        self.requests = tuple(requests)

    @property
    def failed(self) -> list[WorkbenchError]:
        """The errors among them."""
        return [result for result in self if isinstance(result, WorkbenchError)]

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Request, status, what came of it, cost: as a table shows them."""
        return [(asked, *_said(result)) for asked, result in zip(self.requests, self, strict=True)]

    def __repr__(self) -> str:
        from workbench.render import table_text

        return table_text(COLUMNS, self.rows(), width=100)

    def _repr_html_(self) -> str:
        from workbench.render import STYLE, framed, table_html

        return STYLE + framed(table_html(COLUMNS, self.rows()))


COLUMNS = ("request", "status", "answer or error", "cost")
NOT_STARTED = "Not started: everything was stopped before."


async def ask_many(
    ask: Asks,
    requests: Sequence[Request],
    scheduler: Scheduler,
    options: Mapping[str, Any],
    ended: Callable[[int, Run | WorkbenchError], None] = lambda number, result: None,
) -> Runs:
    """Every request as a run of its own. `options` are those of `ask`, for all; `ended` hears each result as it comes.

    Raises Refused for what is no request, before anything runs; Cancelled when it was stopped, with what had come of
    each by then in `.data["runs"]`. What was told by then is on disk.
    """
    words = [_words(request) for request in requests]
    results: list[Run | WorkbenchError] = [Cancelled(NOT_STARTED) for _ in requests]

    def heard(number: int, result: Any) -> None:
        results[number] = _judged(result)
        ended(number, results[number])

    def job(request: Request, text: str) -> Job:
        own = {} if isinstance(request, str) else {k: v for k, v in request.items() if k != "request"}
        return lambda: _in_turn(lambda: ask(text, **{**options, **own}))

    try:
        await scheduler.run([job(request, text) for request, text in zip(requests, words, strict=True)], heard)
    except asyncio.CancelledError:
        raise _stopped(Runs(results, words)) from None
    runs = Runs(results, words)
    if any(isinstance(result, Cancelled) and result.message == NOT_STARTED for result in runs):
        raise _stopped(runs)
    return runs


@contextmanager
def graceful(stop: Callable[[float], None], seconds: float) -> Iterator[list[int]]:
    """Inside, SIGTERM does not end the process: what runs gets `seconds` to finish, and a second one ends it at once.
    Gives a list that then holds the signal's number. Does nothing but on the main thread, or where somebody else has a
    handler of his own."""
    heard: list[int] = []

    def terminate(number: int, frame: FrameType | None) -> None:
        stop(0.0 if heard else seconds)
        heard.append(number)

    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield heard
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


async def _in_turn(asked: Callable[[], Coroutine[Any, Any, Run]]) -> Run:
    """The run; where a user may start only so many requests a minute, the next waits for its turn."""
    while True:
        try:
            return await asked()
        except BudgetExceeded as error:
            seconds = error.data.get("seconds")
            if error.run is not None or not isinstance(seconds, int):
                raise
        await asyncio.sleep(seconds)


def _words(request: Request) -> str:
    text: object = request.get("request") if isinstance(request, Mapping) else request
    if not isinstance(text, str) or not text.strip():
        raise Refused(
            f"{request!r:.200} is no request.", hint='Give words, or {"request": words} with options of `ask`.'
        )
    return text


def _judged(result: Any) -> Run | WorkbenchError:
    if isinstance(result, Run | WorkbenchError):
        return result
    if isinstance(result, asyncio.CancelledError):
        return Cancelled("Stopped before it began.")
    return WorkbenchError(f"{type(result).__name__}: {result}", hint="A bug of ours; the log has the whole traceback.")


def _stopped(runs: Runs) -> Cancelled:
    done = sum(isinstance(result, Run) for result in runs)
    hint = "What was finished is on record: `workbench runs` lists it."
    return Cancelled(f"Stopped. {done} of {len(runs)} requests were finished.", hint=hint, runs=runs)


def _said(result: Run | WorkbenchError) -> tuple[str, str, str]:
    if isinstance(result, Run):
        return result.status, result.answer, str(result.cost)
    run: Run | None = result.run
    status = run.status if run is not None else "cancelled" if isinstance(result, Cancelled) else "failed"
    return status, f"{type(result).__name__}: {result}", str(run.cost) if run is not None else ""
