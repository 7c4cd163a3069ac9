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
from typing import Any, TypeVar

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


class Errands:
    """What only the waiting thread may do for the work, such as asking its user for a line of text."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._busy: int | None = None
        """The thread that makes a call now and can be interrupted, None when there is none."""
        self._given_up = False

    async def run(self, errand: Callable[[], T]) -> T:
        """The result of a call that the waiting thread makes. Raises what the call raises.

        When the work no longer waits for it (a question that took too long), a call that is being made is interrupted.
        """
        done: Future[T] = Future()
        self._queue.put((errand, done))
        try:
            return await asyncio.wrap_future(done)
        except asyncio.CancelledError:
            self._interrupt(done)
            raise

    def _interrupt(self, done: Future[Any]) -> None:
        with self._lock:
            if self._busy is not None and not done.done() and hasattr(signal, "pthread_kill"):
                self._given_up = True
                signal.pthread_kill(self._busy, signal.SIGINT)

    async def input(self, question: str) -> str:
        """The line that the user types, asked for in the waiting thread."""
        return await self.run(lambda: input(question))

    def serve(self, ended: Future[T]) -> T:
        """Make the calls until the work has ended; give its result."""
        ended.add_done_callback(lambda _: self._queue.put(None))
        while True:
            try:
                if (item := self._queue.get()) is None:
                    return ended.result()
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


def wait(work: Coroutine[Any, Any, T], *, patience: float = 5.0, errands: Errands | None = None) -> T:
    """The result of work on the background loop, from a thread that may block.

    Meanwhile this thread runs the `errands` of the work, when there are any.

    On KeyboardInterrupt the work is cancelled and given `patience` seconds to say how it ended: its own error is
    raised, else the interrupt. Raises RuntimeError when called on the loop's own thread, which would wait for itself.
    """
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is not None and here is _loop:
        work.close()
        raise RuntimeError("this code already runs on the workbench's loop: use `await` here")
    running: list[asyncio.Task[Any]] = []
    stopped: list[bool] = []
    ended: Future[T] = Future()  # made before the work starts: an interrupt may come before `submit` returns

    async def held() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - inside a coroutine there is one
        running.append(task)
        if stopped:  # before it began: it begins all the same, so that it can say how it ended
            task.cancel()
        try:
            ended.set_result(await work)
        except asyncio.CancelledError:
            ended.cancel()
            ended.set_running_or_notify_cancel()
        except BaseException as error:  # noqa: BLE001 - the caller's to handle; raised here it would end the loop
            ended.set_exception(error)

    def cancel() -> None:
        stopped.append(True)
        if running:
            running[0].cancel()

    try:
        submit(held())
        return errands.serve(ended) if errands else ended.result()
    except KeyboardInterrupt:
        loop().call_soon_threadsafe(cancel)
        try:
            return ended.result(patience)
        except (CancelledError, TimeoutError):
            raise KeyboardInterrupt from None
