"""The one bridge from code without `await` to the event loop: a single background thread serves cells and scripts.

A cell that waits stays interruptible: the stop button raises KeyboardInterrupt in the waiting thread, the work is
cancelled on the loop, and what it says about its end (a `Cancelled` error with the finished steps) is what the caller
gets. The coroutine runs in a copy of the caller's context, so that late output lands in the cell that asked.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from workbench.core.errors import Denied

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_owner = 0


def loop() -> asyncio.AbstractEventLoop:
    """This process's background loop, started at the first call. A forked child gets one of its own."""
    global _loop, _owner, _lock
    if _owner != os.getpid():
        # The thread did not come along in a fork, and the lock may have been held by one that did not either.
        _lock, _loop, _owner = threading.Lock(), None, os.getpid()
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="workbench-loop", daemon=True).start()
        return _loop


def submit(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Start work on the background loop and return at once; `cancel()` on the future cancels the work."""
    return asyncio.run_coroutine_threadsafe(work, loop())


class Left(Exception):
    """The thread no longer waits; the work goes on without it."""


_Errand = tuple[Callable[[], Any], Future[Any]]
_LEAVE: _Errand = (lambda: None, Future())


class Errands:
    """What only the waiting thread may do for the work, such as asking its user for a line of text."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[_Errand | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._busy: int | None = None
        """The thread that makes a call now and can be interrupted, None when there is none."""
        self._given_up = False
        self._left = False

    async def run(self, errand: Callable[[], T]) -> T:
        """The result of a call that the waiting thread makes. Raises what the call raises, Denied when no thread waits
        any more.

        When the work no longer waits for it (a question that took too long), a call that is being made is interrupted.
        """
        if self._left:
            raise Denied("No cell waits for this run any more, so nothing can be called in the kernel.")
        done: Future[T] = Future()
        self._queue.put((errand, done))
        try:
            return await asyncio.wrap_future(done)
        except asyncio.CancelledError:
            self._interrupt(done)
            raise

    def leave(self) -> None:
        """Let the waiting thread go: it raises Left when it has made the calls that were asked for before."""
        self._left = True
        self._queue.put(_LEAVE)

    def _interrupt(self, done: Future[Any]) -> None:
        with self._lock:
            if self._busy is not None and not done.done() and hasattr(signal, "pthread_kill"):
                self._given_up = True
                signal.pthread_kill(self._busy, signal.SIGINT)

    async def input(self, question: str) -> str:
        """The line that the user types, asked for in the waiting thread."""
        return await self.run(lambda: input(question))

    def serve(self, ended: Future[T]) -> T:
        """Make the calls until the work has ended; give its result. Raises Left, see `leave`."""
        ended.add_done_callback(lambda _: self._queue.put(None))
        while True:
            try:
                if (item := self._queue.get()) is None:
                    return ended.result()
                if item is _LEAVE:
                    raise Left
                errand, done = item
                if done.set_running_or_notify_cancel():
                    self._make(errand, done)
            except KeyboardInterrupt:
                with self._lock:
                    ours, self._given_up, self._busy = self._given_up, False, None
                if not ours:
                    raise

    def _make(self, errand: Callable[[], T], done: Future[T]) -> None:
        with self._lock:
            # Only the main thread hears of a signal.
            self._busy = threading.get_ident() if threading.current_thread() is threading.main_thread() else None
        try:
            result = errand()
        except Exception as error:  # noqa: BLE001 - the work asked for the call, so it hears what became of it
            self._idle()
            done.set_exception(error)
        else:
            self._idle()
            done.set_result(result)

    def _idle(self) -> None:
        with self._lock:
            self._busy = None


class Begun(Generic[T]):
    """Work on the background loop that somebody waits for, leaves, or cancels. `ended` has what became of it; whoever
    cancels a wait for that cancels no work. Made before the work starts: an interrupt may come before that returns."""

    def __init__(self) -> None:
        self.ended: Future[T] = Future()
        self.ended.set_running_or_notify_cancel()
        self._task: asyncio.Task[Any] | None = None
        self._stopped = False

    def start(self, work: Coroutine[Any, Any, T]) -> None:
        """Start the work, in a copy of the caller's context. Once."""
        submit(self._held(work))

    def cancel(self) -> None:
        """Cancel the work, also before it has begun. From any thread."""
        loop().call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def _held(self, work: Coroutine[Any, Any, T]) -> None:
        self._task = asyncio.current_task()
        if self._stopped and self._task is not None:
            self._task.cancel()  # it begins all the same, so that it can say how it ended
        try:
            self.ended.set_result(await work)
        except asyncio.CancelledError:
            self.ended.set_exception(CancelledError())
        except BaseException as error:  # noqa: BLE001 - the caller's to handle; raised here it would end the loop
            self.ended.set_exception(error)


def wait(
    work: Coroutine[Any, Any, T],
    *,
    patience: float = 5.0,
    errands: Errands | None = None,
    begun: Begun[T] | None = None,
) -> T:
    """The result of work on the background loop, from a thread that may block.

    Meanwhile this thread runs the `errands` of the work, when there are any. `begun`: what the work is held by, for
    whoever wants to leave it and take it up elsewhere; Left is raised then, and the work goes on.

    On KeyboardInterrupt the work is cancelled and given `patience` seconds to say how it ended: its own error is
    raised, else the interrupt. Raises RuntimeError when called on the loop's own thread, which would wait for itself.
    """
    if is_here():
        work.close()
        raise RuntimeError("this code already runs on the workbench's loop: use `await` here")
    begun = begun or Begun()
    try:
        begun.start(work)
        return errands.serve(begun.ended) if errands else begun.ended.result()
    except KeyboardInterrupt:
        begun.cancel()
        try:
            return begun.ended.result(patience)
        except (CancelledError, TimeoutError):
            raise KeyboardInterrupt from None


def is_here() -> bool:
    """Whether this code runs on the background loop, where nothing may wait for it."""
    try:
        return asyncio.get_running_loop() is _loop
    except RuntimeError:
        return False
