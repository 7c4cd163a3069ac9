"""Level `process`: a fresh, bare interpreter for each call, on any Unix.

What holds: an own process without the host's memory, keys, environment and open files; ceilings on memory, processor
time, files and output; a deadline; everything of the call ends with it (on Linux daemons included, by `supervisor`;
elsewhere what stays in its process group). What does not: the tool is a process of the user's, so it can read and write
the user's files, use the network, and end the user's other processes. Level `kernel` closes that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import workbench
from workbench.core.artifacts import find
from workbench.core.errors import ToolFailed, Unavailable
from workbench.core.tools import Status, ToolCall, ToolResult
from workbench.sandbox.base import Level, Service
from workbench.sandbox.doors import Doors
from workbench.sandbox.exchange import settle
from workbench.sandbox.files import Inputs, Outputs
from workbench.sandbox.fonts import MAKE_LIST, Fonts
from workbench.sandbox.host import Conversation, Done
from workbench.sandbox.limits import Limits
from workbench.sandbox.process import Process
from workbench.sandbox.scratch import scratch, unwritable, used
from workbench.sandbox.wire import BrokenFrame

MAX_TEXT = 64_000
"""Bytes of printed text that a result keeps."""
_PASSED_ON = ("TZ", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables that describe the machine; every other one stays out of the worker."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a call ended when the worker did not say `done`."""

    status: Status
    error: str
    hint: str = ""


class SpawnedSandbox:
    """Runs each call in a process of its own. `home` is WORKBENCH_HOME, `project` the user's project.

    Holds nothing open between calls, so it may be used from any event loop, many calls at once.
    """

    level: Level = "process"

    def __init__(self, home: Path, project: Path, limits: Limits | None = None) -> None:
        self._home = home
        self._project = project
        self._limits = limits or Limits()
        self._fonts = Fonts(home)

    async def run(
        self,
        call: ToolCall,
        services: Mapping[str, Service],
        artifacts: Path,
        progress: Callable[[str], None] = lambda text: None,
        doors: Doors | None = None,
    ) -> ToolResult:
        """See `Sandbox.run`."""
        doors = doors or Doors()
        doors.listening = True
        try:
            return await self._run(call, services, artifacts, progress)
        finally:
            await doors.close()

    async def _run(
        self,
        call: ToolCall,
        services: Mapping[str, Service],
        artifacts: Path,
        progress: Callable[[str], None],
    ) -> ToolResult:
        if not hasattr(os, "killpg") or not sys.executable:
            raise Unavailable("Workers need Linux or macOS.", hint="On Windows use the workbench inside WSL.")
        draws = Fonts.wanted(call.tool.source)
        if draws:
            await self._fonts.ensure(self._make_fonts)
        started = time.monotonic()
        inputs = Inputs(artifacts)
        with (
            scratch(self._home) as folder,
            Outputs(artifacts, call.run, call.step, self._limits) as outputs,
        ):
            env, cwd = self._room(folder)
            if draws:
                self._fonts.copy_to(Path(env["MPLCONFIGDIR"]))
            try:
                result = await self._call(call, services, inputs, outputs, env, cwd, progress)
            except ToolFailed as error:
                result = ToolResult(status="failed", error=error.message, hint=error.hint)
        return replace(result, seconds=time.monotonic() - started, isolation=self.level)

    async def _make_fonts(self, keep: Callable[[Path], None]) -> None:
        with scratch(self._home) as folder, Outputs(folder, "fonts", "fonts") as outputs:
            env, cwd = self._room(folder)
            await self._call(MAKE_LIST, {}, Inputs(folder), outputs, env, cwd, lambda text: None)
            keep(Path(env["MPLCONFIGDIR"]))

    async def close(self) -> None:
        """Nothing is kept: a call's processes end with the call."""

    async def _call(
        self,
        call: ToolCall,
        services: Mapping[str, Service],
        inputs: Inputs,
        outputs: Outputs,
        env: Mapping[str, str],
        cwd: Path,
        progress: Callable[[str], None],
    ) -> ToolResult:
        process, channel = Process.start(env=env, cwd=cwd, imports=self._imports(), max_output=self._limits.output)
        status, ending = 0, None
        try:
            conversation = Conversation(
                channel,
                call,
                services=services,
                inputs=inputs,
                outputs=outputs,
                limits=self._limits,
                project=self._project,
                progress=progress,
            )
            ending = await self._until_over(conversation, process, cwd.parent, call.timeout)
        finally:
            try:
                status = await process.end()
            finally:
                channel.close()
        if process.flooded.is_set():
            ending = _Ending(
                "output_limit",
                f"The tool printed more than {self._limits.output:,} bytes and was stopped.",
                "Return results instead of printing them.",
            )
        text = _shortened(process.output)
        sources = tuple(conversation.sources)
        if ending is None and not conversation.ready:
            last = text.strip().rpartition("\n")[2] or f"it ended with status {status}"
            raise Unavailable(
                f"A worker could not start: {last}.", hint="`workbench doctor` looks at the installation."
            )
        if ending is None:
            ending = _died(status, self._limits)
        if isinstance(ending, _Ending):
            return ToolResult(status=ending.status, error=ending.error, hint=ending.hint, text=text, sources=sources)
        return replace(await _result(ending, outputs, text), sources=sources)

    async def _until_over(
        self, conversation: Conversation, process: Process, folder: Path, seconds: float
    ) -> Done | _Ending | None:
        """How the call ended; None when the process died without a word. The first of: the tool is done, the worker
        ended, the output is full, the disk is full, the time is up."""
        talk = asyncio.create_task(conversation.talk())
        ended = asyncio.create_task(process.ended())
        flooded = asyncio.create_task(process.flooded.wait())
        disk = asyncio.create_task(_overfull(folder, self._limits.disk))
        tasks: set[asyncio.Task[Any]] = {talk, ended, flooded, disk}
        try:
            done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                return _Ending("timeout", f"The tool took longer than {seconds:g} s and was stopped.")
            if disk in done and talk not in done:
                return _Ending("killed", f"The tool wrote more than {self._limits.disk >> 20:,} MB and was stopped.")
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

    def _room(self, folder: Path) -> tuple[dict[str, str], Path]:
        """The worker's environment and its working directory, both made for this call."""
        work, private = folder / "work", folder / "home"
        try:
            work.mkdir()
            private.mkdir()
        except OSError as error:
            raise unwritable(self._home, error) from error
        env = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(private),
            "TMPDIR": str(private),
            "MPLCONFIGDIR": str(private),
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            # Without it Arrow starts a thread when it is imported.
            "JE_ARROW_MALLOC_CONF": "background_thread:false",
        }
        # The one look at the environment outside of the settings: these describe the processor and the clock.
        env |= {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return env, work

    def _imports(self) -> list[str]:
        """Where a worker may import from: where this process does, without relative places and the project's files."""
        ours = str(Path(workbench.__file__).absolute().parent.parent)
        installed = (Path(sys.prefix), Path(sys.base_prefix))
        project = self._project.absolute()

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


def _died(status: int, limits: Limits) -> _Ending:
    if status >= 0:
        return _Ending("killed", "The worker ended without a result.", "The tool must return, not end the process.")
    with suppress(ValueError):
        name = signal.Signals(-status).name
        if name == "SIGXCPU":
            return _Ending("killed", f"The tool used more than {limits.cpu} s of processor time and was stopped.")
        hint = "The system may have run out of memory." if name == "SIGKILL" else ""
        return _Ending("killed", f"The worker died by {name}.", hint)
    return _Ending("killed", f"The worker died by signal {-status}.")


async def _overfull(folder: Path, most: int) -> None:
    """Return when the files below a folder hold more bytes than that."""
    while await asyncio.to_thread(used, folder, most) <= most:  # noqa: ASYNC110 - the kernel tells nobody of this
        await asyncio.sleep(0.5)
