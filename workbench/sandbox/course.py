"""The course of one call, the same at every level: a room is made, a worker gets in, they talk, everything is ended.

What differs is how a worker is started (`Start`), and with it what it can reach.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import workbench
from workbench.core.artifacts import find
from workbench.core.errors import Denied, ToolFailed, Unavailable
from workbench.core.tools import Status, ToolCall, ToolResult
from workbench.sandbox.base import Level, Service, enough
from workbench.sandbox.exchange import settle
from workbench.sandbox.files import Inputs, Outputs
from workbench.sandbox.fonts import MAKE_LIST, Fonts
from workbench.sandbox.host import Conversation, Done
from workbench.sandbox.limits import Limits
from workbench.sandbox.output import Output
from workbench.sandbox.scratch import scratch, unwritable, used
from workbench.sandbox.wire import BrokenFrame

T = TypeVar("T")
MAX_TEXT = 64_000
"""Bytes of printed text that a result keeps."""
LOOK = 0.05
"""Seconds between two looks at the size of the scratch folder."""
_PASSED_ON = ("TZ", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables that describe the machine; every other one stays out of the worker."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is made for one call: a folder, in which the tool works and which it takes for its home. Only one, because
    each that goes costs milliseconds on some disks."""

    folder: Path

    @property
    def fonts(self) -> Path:
        """Where matplotlib keeps its list; made for tools that draw."""
        return self.folder / ".matplotlib"

    def told(self) -> Mapping[str, Any]:
        """The room as the worker hears of it."""
        place = str(self.folder)
        env = {"HOME": place, "TMPDIR": place, "MPLCONFIGDIR": str(self.fonts), "MPLBACKEND": "Agg"}
        return {"cwd": place, "env": env}


class Worker(Protocol):
    """A running worker as the course sees it. `why` is what its supervisor says about the end, when it says more than
    the status."""

    channel: socket.socket
    output: Output
    why: str

    async def ended(self) -> None:
        """Return when the worker has ended."""
        ...

    async def end(self) -> int:
        """End every process of the call and give the worker's exit status, -n for signal n. Within two seconds, and not
        given up half-way: a cancellation goes on when it is done."""
        ...


Start = Callable[[ToolCall, Room], Awaitable[Worker]]
"""Starts a worker for a call. Raises Unavailable when it cannot, Denied when the call may not."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a call ended when the worker did not say `done`."""

    status: Status
    error: str
    hint: str = ""


class Course:
    """Runs calls of one level. Holds nothing open between calls: any event loop may use it, many calls at once."""

    def __init__(
        self,
        home: Path,
        project: Path,
        level: Level,
        limits: Limits,
        accepts: str,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        self._home = home
        self._project = project
        self._level = level
        self._limits = limits
        self._accepts = accepts
        self._sync = sync
        self._fonts = Fonts(home)

    async def run(
        self,
        call: ToolCall,
        services: Mapping[str, Service],
        artifacts: Path,
        progress: Callable[[str], None],
        start: Start,
    ) -> ToolResult:
        """See `Sandbox.run`."""
        if (problem := self._too_low(call)) is not None:
            return problem
        draws = Fonts.wanted(call.tool.source)
        if draws:
            await self._fonts.ensure(lambda keep: self._make_fonts(keep, start))
        started = time.monotonic()
        inputs = Inputs(artifacts)
        with (
            scratch(self._home) as folder,
            Outputs(artifacts, call.run, call.step, self._limits, self._sync) as outputs,
        ):
            room = Room(folder)
            if draws:
                self._shelve(room)
                self._fonts.copy_to(room.fonts)
            try:
                result = await self._call(call, services, inputs, outputs, room, progress, start)
            except ToolFailed as error:
                result = ToolResult(status="failed", error=error.message, hint=error.hint)
            except Denied as error:
                result = ToolResult(status="denied", error=error.message, hint=error.hint)
        return replace(result, seconds=time.monotonic() - started, isolation=self._level)

    def _too_low(self, call: ToolCall) -> ToolResult | None:
        needed = call.tool.isolation
        if enough(self._level, needed) or self._accepts == self._level:
            return None
        return ToolResult(
            status="denied",
            error=f"{call.tool.name} needs isolation level {needed}, and {self._level} is in force.",
            hint=f"`workbench doctor --sandbox` says why. WORKBENCH_ISOLATION={self._level} lets it run all the same.",
            isolation=self._level,
        )

    async def _make_fonts(self, keep: Callable[[Path], None], start: Start) -> None:
        with scratch(self._home) as folder, Outputs(folder, "fonts", "fonts") as outputs:
            room = Room(folder)
            self._shelve(room)
            await self._call(MAKE_LIST, {}, Inputs(folder), outputs, room, lambda text: None, start)
            keep(room.fonts)

    def _shelve(self, room: Room) -> None:
        try:
            room.fonts.mkdir()
        except OSError as error:
            raise unwritable(self._home, error) from error

    async def _call(
        self,
        call: ToolCall,
        services: Mapping[str, Service],
        inputs: Inputs,
        outputs: Outputs,
        room: Room,
        progress: Callable[[str], None],
        start: Start,
    ) -> ToolResult:
        worker = await start(call, room)
        status, ending = 0, None
        try:
            conversation = Conversation(
                worker.channel,
                call,
                services=services,
                inputs=inputs,
                outputs=outputs,
                limits=self._limits,
                project=self._project,
                room=room.told(),
                progress=progress,
            )
            ending = await self._until_over(conversation, worker, room.folder, outputs, call.timeout)
        finally:
            try:
                status = await worker.end()
            finally:
                worker.channel.close()
        if worker.output.flooded.is_set():
            ending = _Ending(
                "output_limit",
                f"The tool printed more than {self._limits.output:,} bytes and was stopped.",
                "Return results instead of printing them.",
            )
        text = _shortened(worker.output.data)
        sources = tuple(conversation.sources)
        if ending is None and not conversation.ready:
            last = text.strip().rpartition("\n")[2] or f"it ended with status {status}"
            raise Unavailable(
                f"A worker could not start: {last}.", hint="`workbench doctor` looks at the installation."
            )
        if ending is None:
            ending = _died(status, worker.why, self._limits)
        if isinstance(ending, _Ending):
            return ToolResult(status=ending.status, error=ending.error, hint=ending.hint, text=text, sources=sources)
        return replace(await _result(ending, outputs, text), sources=sources)

    async def _overfull(self, folder: Path, outputs: Outputs) -> int:
        """Return when the call's files hold more bytes than they may: the limit that was broken."""
        most, returned = self._limits.disk, self._limits.returned
        while await asyncio.to_thread(used, folder, most) <= most:
            if outputs.size() > returned:
                return returned
            await asyncio.sleep(LOOK)
        return most

    async def _until_over(
        self, conversation: Conversation, worker: Worker, folder: Path, outputs: Outputs, seconds: float
    ) -> Done | _Ending | None:
        """How the call ended; None when the process died without a word. The first of: the tool is done, the worker
        ended, the output is full, the disk is full, the time is up."""
        talk = asyncio.create_task(conversation.talk())
        ended = asyncio.create_task(worker.ended())
        flooded = asyncio.create_task(worker.output.flooded.wait())
        disk = asyncio.create_task(self._overfull(folder, outputs))
        tasks: set[asyncio.Task[Any]] = {talk, ended, flooded, disk}
        try:
            done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                return _Ending("timeout", f"The tool took longer than {seconds:g} s and was stopped.")
            if disk in done and talk not in done:
                return _Ending("killed", f"The tool wrote more than {disk.result() >> 20:,} MB and was stopped.")
            if ended in done and talk not in done:
                # Its last frame may still lie in the channel.
                await asyncio.wait({talk}, timeout=0.5)
            elif talk in done:
                await asyncio.wait({ended}, timeout=0.5)
            if not talk.done():
                return None
            return talk.result()
        except BrokenFrame as error:
            return _Ending("killed", f"The worker sent {error} and was stopped.")
        except EOFError:
            await asyncio.wait({ended}, timeout=0.5)
            return None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def environment() -> dict[str, str]:
    """What a worker's process starts with: nothing of the user's. The rest comes with the call (`Room.told`)."""
    env = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # Without it Arrow starts a thread when it is imported.
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }
    # The one look at the environment outside of the settings: these describe the processor and the clock.
    return env | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def imports(project: Path) -> list[str]:
    """Where a worker may import from: where this process does, without relative places and the project's files."""
    ours = str(Path(workbench.__file__).absolute().parent.parent)
    installed = (Path(sys.prefix), Path(sys.base_prefix))
    project = project.absolute()

    def may(place: str) -> bool:
        path = Path(place)
        return path.is_absolute() and (
            place == ours
            or not path.is_relative_to(project)
            or any(path.is_relative_to(prefix) for prefix in installed)
            or path.name in ("site-packages", "dist-packages")
        )

    kept = [place for place in dict.fromkeys(sys.path) if may(place)]
    return kept if ours in kept else [ours, *kept]


async def to_the_end(work: Awaitable[T]) -> T:
    """The result of work that is not given up half-way: a cancellation goes on when it is done."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
        except BaseException:  # noqa: BLE001, S110 - raised below, by its owner
            pass
    if cancelled or task.cancelled():
        raise asyncio.CancelledError
    return task.result()


async def _result(done: Done, outputs: Outputs, text: str) -> ToolResult:
    if done.error is not None:
        error = done.error
        after = error.get("after")
        trace = str(error.get("trace") or "")
        return ToolResult(
            status="transient" if error.get("kind") == "transient" else "failed",
            error=str(error.get("message") or "The tool failed without saying why."),
            hint=str(error.get("hint") or ""),
            retry_after=float(after) if isinstance(after, int | float) else None,
            text=f"{text.rstrip()}\n{trace}".lstrip() if trace else text,
        )
    # Checking and hashing a large table takes a while, and the loop serves other calls.
    value = await asyncio.to_thread(settle, done.value, outputs)
    return ToolResult(status="ok", value=value, text=text, artifacts=tuple(dict.fromkeys(find(value))))


def _shortened(output: bytes | bytearray) -> str:
    """What was printed, without the middle when it is long: every run keeps it in its record."""
    if len(output) <= MAX_TEXT:
        return output.decode("utf-8", "replace")
    head, tail = output[: MAX_TEXT * 3 // 4], output[-MAX_TEXT // 4 :]
    left_out = f"\n[… {len(output) - MAX_TEXT:,} bytes left out …]\n"
    return head.decode("utf-8", "replace") + left_out + tail.decode("utf-8", "replace")


def _died(status: int, why: str, limits: Limits) -> _Ending:
    if why == "disk":
        return _Ending("killed", f"The tool wrote more than {limits.disk >> 20:,} MB and was stopped.")
    if why == "memory":
        return _Ending("killed", f"The tool used more than {limits.memory / (1 << 30):g} GB of memory and was stopped.")
    if status >= 0:
        return _Ending("killed", "The worker ended without a result.", "The tool must return, not end the process.")
    with suppress(ValueError):
        name = signal.Signals(-status).name
        if name == "SIGXCPU":
            return _Ending("killed", f"The tool used more than {limits.cpu} s of processor time and was stopped.")
        hint = "The system may have run out of memory." if name == "SIGKILL" else ""
        return _Ending("killed", f"The worker died by {name}.", hint)
    return _Ending("killed", f"The worker died by signal {-status}.")
