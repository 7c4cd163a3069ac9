"""Runs cases inside the room, as the throwaway user, and tells what became of each.

    python -m tests.hostile.driver < {"level": …, "home": …, "cases": […]}

It is the host that an attack wants to harm: it holds the keys, listens, and calls the sandbox. Each line that it
writes is JSON: `{"begin": id}` and `{"end": outcome}`. When it dies between the two, the attack has won.
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.hostile.case import Case, Outcome
from tests.hostile.listeners import Listeners
from tests.hostile.plants import PLACEHOLDER, Neighbour, Plants, differences, facts
from workbench import toolkit
from workbench.core.tools import Permissions, ToolCall, ToolResult, ToolSpec
from workbench.sandbox.base import Sandbox
from workbench.sandbox.choose import ChosenSandbox
from workbench.sandbox.doors import Doors
from workbench.sandbox.limits import Limits
from workbench.sandbox.portable import SpawnedSandbox

SOURCE = """
CODE = {code!r}
def run():
    scope = {{"__name__": "__main__"}}
    exec(compile(CODE, "script", "exec"), scope)
    return scope.get("RESULT")
"""
KEY = "OPENAI_API_KEY"
GRACE = 3.0
"""Seconds that a machine with better things to do may be late by."""
MAX_TEXT = 2 << 20
MAX_GROWTH = 300 << 20
"""Bytes that a call may cost its host at most."""
SHARED = ("/tmp", "/var/tmp", "/dev/shm")


def build(level: str, plants: Plants, limits: Limits | None = None) -> Sandbox:
    """The sandbox that is said to hold this level, as the workbench makes it."""
    if level == "process":
        return SpawnedSandbox(plants.workbench, plants.project, limits)
    return ChosenSandbox(plants.workbench, plants.project, (plants.config,), level, limits)


class Host:
    """State of the host that an attack has no business with."""

    def __init__(self, neighbour: Neighbour) -> None:
        self._pids = {"host": os.getpid(), "neighbour": neighbour.pid}
        self._neighbour = neighbour
        self.signals: list[int] = []
        for number in set(signal.Signals) - {
            signal.SIGCHLD,
            signal.SIGKILL,
            signal.SIGSTOP,
            signal.SIGPIPE,
            signal.SIGSEGV,
            signal.SIGBUS,
        }:
            signal.signal(number, lambda number, frame: self.signals.append(number))

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = {"neighbour": self._neighbour.state.replace("R", "S"), "signals": list(self.signals)}
        for name, pid in self._pids.items():
            with suppress(ProcessLookupError):
                found[f"{name}: group"] = (os.getpgid(pid), os.getsid(pid))
                found[f"{name}: priority"] = os.getpriority(os.PRIO_PROCESS, pid)
                found[f"{name}: processors"] = sorted(os.sched_getaffinity(pid))
                found[f"{name}: scheduler"] = os.sched_getscheduler(pid)
                found[f"{name}: disk priority"] = ctypes.CDLL(None).syscall(252, 1, pid)
                for limit in range(16):
                    found[f"{name}: limit {limit}"] = resource.prlimit(pid, limit)
                for entry in ("oom_score_adj", "coredump_filter", "comm"):
                    found[f"{name}: {entry}"] = Path(f"/proc/{pid}/{entry}").read_text()
        return found


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def forget_peak() -> None:
    """Let the kernel count the most memory of this process anew."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The most resident bytes since then."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough


def family() -> dict[int, str]:
    """Every process of this user but this one, with its state."""
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            with suppress(OSError, IndexError):
                status = (place / "status").read_text()
                uid = next(line.split()[1] for line in status.splitlines() if line.startswith("Uid:"))
                if int(uid) == os.getuid():
                    found[int(place.name)] = (place / "stat").read_text().rpartition(")")[2].split()[0]
    return found


def parent(pid: int) -> int:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


class Driver:
    def __init__(self, level: str, home: Path, tell: Callable[[Mapping[str, Any]], None]) -> None:
        self.level = level
        self.tell = tell
        self.plants = Plants(home, os.environ[KEY])
        self.plants.plant()
        self.listeners = Listeners(self.plants.sockets)
        self.neighbour = Neighbour(self.plants)
        self.host = Host(self.neighbour)
        self.sandbox: Sandbox | None = None
        self.servers: set[int] = set()
        self.calls = 0
        # What a user's own Python finds modules in: the folder of the script that runs, the home, a library of theirs.
        sys.path[1:1] = [str(self.plants.documents), str(home), str(self.plants.library)]
        os.chdir(self.plants.project)

    async def play(self, cases: list[Case]) -> None:
        if self.level != "none":
            self.sandbox = build(self.level, self.plants)
            assert await self.sandbox.prepare() == self.level
            self.servers = await self._servers(self.sandbox)
        for case in cases:
            self.tell({"begin": case.id})
            outcome = await (self.bare(case) if self.level == "none" else self.confined(case))
            self.tell({"end": asdict(outcome)})
            if any(harm.startswith(("host", "alive")) for harm in outcome.harms):
                break  # what was done to this host must not count against the next case: another one takes over
        if self.sandbox is not None:
            await self.sandbox.close()
        self.neighbour.end()
        self.listeners.close()

    async def _servers(self, sandbox: Sandbox) -> set[int]:
        """What of the sandbox lives on from call to call."""
        seen = []
        for _ in range(2):
            await self.call("print(1)", sandbox)
            seen.append(set(family()) - {self.neighbour.pid})
        return seen[0] & seen[1]

    def fill(self, code: str) -> str:
        names = {**self.plants.names(), **self.listeners.names(), "@PID@": str(os.getpid())}
        unknown = set(PLACEHOLDER.findall(code)) - names.keys()
        if unknown:
            raise LookupError(f"nothing is planted for {', '.join(sorted(unknown))}")
        return PLACEHOLDER.sub(lambda found: names[found.group()], code)

    async def call(
        self,
        code: str,
        sandbox: Sandbox,
        seconds: float = 20.0,
        door: bool = False,
        reads: tuple[str, ...] = (),
        writes: tuple[str, ...] = (),
    ) -> Said:
        self.calls += 1
        doors, said = Doors(), Said()

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()

        async def open_door(params: Mapping[str, Any]) -> int:
            return await doors.open(echo)

        tool = ToolSpec(
            name="script",
            summary="",
            params={},
            version="0",
            source=SOURCE.format(code=self.fill(code)).encode(),
            uses=("door",) if door else (),
            permissions=Permissions(read=reads, write=writes),
        )
        call = ToolCall(
            run=f"r{self.calls}",
            step="s1",
            tool=tool,
            params={},
            timeout=seconds,
            reads=(str(self.plants.data),),
        )
        started = time.monotonic()
        try:
            said.result = await sandbox.run(
                call, {"door": open_door}, self.plants.workbench / "artifacts", said.lines.append, doors
            )
        except Exception as error:  # noqa: BLE001 - a sandbox never raises for what a tool does
            said.raised = f"alive: the sandbox raised {type(error).__name__}: {error}"
        said.seconds = time.monotonic() - started
        return said

    async def confined(self, case: Case) -> Outcome:
        """One case in the sandbox under test, and every effect it had."""
        shared = self.sandbox
        assert shared is not None
        own = build(self.level, self.plants, Limits(**case.limits)) if case.limits else None
        sandbox = own or shared
        before = self._before()
        harms: list[str] = []
        beside = asyncio.create_task(self.call(case.beside, shared, case.seconds)) if case.beside else None
        said = await self.call(case.code, sandbox, case.seconds, case.door, tuple(case.reads), tuple(case.writes))
        every = [said]
        if beside is not None:
            every.append(await beside)
            if every[-1].result.status != "ok":
                harms.append(f"alive: the call beside it ended as {every[-1].result.status}: {every[-1].result.error}")
        if case.then:
            every.append(await self.call(case.then, sandbox, case.seconds))
        if own is not None:
            await own.close()
        for one in every:
            harms += self._judge(one, case)
        numbers = [
            set(line.split()[1:]) for one in every for line in one.text.splitlines() if line.startswith("RANDOM")
        ]
        if len(numbers) > 1 and numbers[0] & numbers[1]:
            harms.append("token: two calls draw the same random numbers")
        if case.oracle == "benign" and said.result.status != "ok":
            harms.append(f"benign: {said.result.error}")
        harms += await self._after(before, case)
        if not (await self.call("print(6 * 7)", shared)).text.startswith("42"):
            harms.append("alive: the next call does not work")
        if gone := self.servers - family().keys():
            harms.append(f"alive: the sandbox's server {gone} is gone")
            self.servers = await self._servers(shared)
        result = said.result
        return Outcome(
            id=case.id,
            harms=tuple(dict.fromkeys(harms)),
            status=result.status,
            error=f"{result.error} {result.hint}".strip(),
            text=said.text[:2000],
            seconds=round(said.seconds, 3),
        )

    def _judge(self, said: Said, case: Case) -> list[str]:
        """Effects that show in what a call gave and how long it took."""
        texts = said.texts(self.plants.workbench / "artifacts")
        harms = [said.raised] if said.raised else []
        harms += self.plants.leaks({name: text[:MAX_TEXT] + text[-MAX_TEXT:] for name, text in texts.items()})
        harms += [f"token: {line}" for line in said.text.splitlines() if "PWNED-" in line][:3]
        total = sum(len(text) for name, text in texts.items() if not name.startswith("file"))
        if total > MAX_TEXT + Limits(**case.limits).result:
            harms.append(f"outcap: {total:,} bytes")
        for artifact in said.result.artifacts:
            if hashlib.sha256(texts[f"file {artifact.path}"]).hexdigest() != artifact.sha256:
                harms.append("intact: a result changed after it was checked")
        if said.seconds > case.seconds + GRACE:
            harms.append(f"time: it took {said.seconds:.1f} s instead of {case.seconds:g}")
        return harms

    def _before(self) -> dict[str, Any]:
        self.listeners.take()
        forget_peak()
        return {
            "files": self.plants.picture(),
            "scratch": self._scratch(),
            "shared": {place: listing(place) for place in SHARED},
            "host": self.host.state(),
            "open": open_files(),
            "memory": resident(),
            "family": family(),
        }

    def _scratch(self) -> set[str]:
        with suppress(OSError):
            return set(os.listdir(self.plants.workbench / "scratch"))  # noqa: PTH208 - names are enough
        return set()

    def _strangers(self, known: Set[int]) -> set[int]:
        """Processes that came, but for the sandbox's own: its server, and one worker that waits for the next call."""
        found = family().keys() - known - self.servers
        if self.level == "process":
            waiting = {pid for pid in found if parent(pid) == os.getpid()}
            if len(waiting) <= 1:
                found -= waiting | {pid for pid in found if parent(pid) in waiting}
        return found

    async def _after(self, before: Mapping[str, Any], case: Case) -> list[str]:
        """Effects outside of the call, a second later where something could live on."""
        harms = []
        until = time.monotonic() + 1.0
        lives = before["family"].keys()
        while (left := self._strangers(lives)) and time.monotonic() < until:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.02)
        if left:
            harms.append(f"survivor: {len(left)} processes are left: {left}")
        if self.plants.heartbeat.exists():
            await asyncio.sleep(max(0.0, until - time.monotonic()))
            if time.time() - self.plants.heartbeat.stat().st_mtime < 0.5:
                harms.append("survivor: the heart still beats")
        heard = self.listeners.take()
        harms += [f"listen: {name} heard {data[:40]!r}" for name, data in heard[:5]]
        harms += self.plants.leaks({f"what {name} heard": data for name, data in heard})
        with suppress(OSError):
            harms += self.plants.leaks({"the output file": self.plants.out.read_bytes()})
        changed = differences(before["files"], self.plants.picture())
        for place in SHARED:
            changed += differences(before["shared"][place], listing(place))
        host = self.host.state()
        harms += [
            f"host: {name} became {host.get(name)}" for name, was in before["host"].items() if host.get(name) != was
        ]
        harms += [f"intact: {name} is left in scratch" for name in self._scratch() - before["scratch"]]
        if open_files() > before["open"] + 2:
            harms.append(f"host: {open_files() - before['open']} descriptors were left in it")
        if (grown := peak() - before["memory"]) > MAX_GROWTH:
            harms.append(f"host: it grew by {grown >> 20} MB")
        if changed:
            harms += changed[:5]
            self.plants.restore()
        if not self.neighbour.state.startswith(("S", "R")):
            self.neighbour.end()
            self.neighbour = Neighbour(self.plants)
            self.host = Host(self.neighbour)
        return harms

    async def bare(self, case: Case) -> Outcome:
        """One case as a plain process of the user's, which is what a sandbox has to be measured against."""
        before = self._before()
        folder = Path(tempfile.mkdtemp(dir=self.plants.sockets))
        started = time.monotonic()
        process = subprocess.Popen(  # noqa: ASYNC220 - nothing else happens meanwhile
            [sys.executable, "-c", self.fill(case.code)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(self.plants.library)},
            stdin=subprocess.DEVNULL,
            stdout=(folder / "printed").open("wb"),
            stderr=subprocess.STDOUT,
            close_fds=False,
        )
        harms = []
        try:
            process.wait(case.seconds + 1)
        except subprocess.TimeoutExpired:
            harms.append("time: nothing ends it")
        seconds = time.monotonic() - started
        printed = (folder / "printed").read_bytes()
        said = Said(ToolResult(status="ok" if process.poll() == 0 else "failed", text=printed.decode(errors="replace")))
        said.seconds = 0.0
        harms += self._judge(said, case)
        process.kill()
        process.wait()
        harms += await self._after(before, case)
        for pid in family().keys() - {self.neighbour.pid}:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        return Outcome(
            id=case.id,
            harms=tuple(dict.fromkeys(harms)),
            status=said.result.status,
            text=said.text[-2000:],
            seconds=round(seconds, 3),
        )


class Said:
    """All that a call gave: its result and the lines that it reported."""

    def __init__(self, result: ToolResult | None = None) -> None:
        self.result = result or ToolResult(status="failed")
        self.lines: list[str] = []
        self.seconds = 0.0
        self.raised = ""

    @property
    def text(self) -> str:
        return self.result.text

    def texts(self, artifacts: Path) -> dict[str, bytes]:
        result = self.result
        found = {
            "text": result.text.encode(errors="replace"),
            "value": json.dumps(result.value, default=str, ensure_ascii=False).encode(errors="replace"),
            "error": f"{result.error} {result.hint}".encode(errors="replace"),
            "sources": json.dumps(result.sources, default=dict).encode(),
            "progress": "\n".join(self.lines).encode(errors="replace"),
        }
        for artifact in result.artifacts:
            found[f"file {artifact.path}"] = (artifacts / artifact.path).read_bytes()
        return found


def listing(place: str) -> dict[str, Any]:
    with suppress(OSError):
        return {entry.path: facts(Path(entry.path)) for entry in os.scandir(place)}
    return {}


def main() -> None:
    # Lines go to where standard output was; whatever else writes there goes to the log.
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    spec = json.loads(sys.stdin.read())
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)

    def tell(message: Mapping[str, Any]) -> None:
        lines.write(json.dumps(message) + "\n")

    driver = Driver(spec["level"], Path(spec["home"]), tell)
    toolkit.progress("")
    asyncio.run(driver.play([Case(**case) for case in spec["cases"]]))


if __name__ == "__main__":
    main()
