"""The probes of `sandbox.conformance`: each is a tool's source and what has to come of it.

One file, though long: it is the list that every sandbox is held to.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.core.artifacts import Artifact
from workbench.core.errors import Denied, TransientError
from workbench.core.tools import Permissions, ToolCall, ToolResult, ToolSpec
from workbench.sandbox.base import Sandbox, Service


@dataclass(slots=True)
class Bench:
    """A sandbox with what a probe needs around it: a folder, and the lines that were reported."""

    sandbox: Sandbox
    workdir: Path
    lines: list[str] = field(default_factory=list)

    async def run(
        self,
        source: str,
        params: Mapping[str, Any] | None = None,
        *,
        services: Mapping[str, Service] | None = None,
        uses: tuple[str, ...] = (),
        seconds: float = 60.0,
        context: tuple[tuple[str, str, Any], ...] = (),
    ) -> ToolResult:
        """The result of one call of a tool with this source."""
        tool = ToolSpec(
            name="probe",
            summary="A probe.",
            params={},
            version="",
            source=source.encode(),
            uses=uses,
            permissions=Permissions(),
        )
        call = ToolCall(run="probe", step="s1", tool=tool, params=params or {}, timeout=seconds, context=context)
        return await self.sandbox.run(call, services or {}, self.workdir / "artifacts", self.lines.append)


Probe = Callable[[Bench], Awaitable[None]]
PROBES: dict[str, Probe] = {}


class Seen(Exception):
    """A probe's outcome was not what it has to be."""


def _probe(name: str) -> Callable[[Probe], Probe]:
    def add(probe: Probe) -> Probe:
        PROBES[name] = probe
        return probe

    return add


def _expect(result: ToolResult, status: str, *words: str) -> ToolResult:
    said = f"{result.error} {result.hint}"
    if result.status != status or not all(word in said for word in words):
        raise Seen(f"{result.status}: {said.strip()[:300]}")
    return result


def _same(found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Seen(f"{found!r:.200} instead of {wanted!r:.200}")


JSON: Mapping[str, Any] = {
    "text": "ünïcode 🙂 {{x}} $y",
    "whole": 2**53,
    "real": -0.5,
    "yes": True,
    "none": None,
    "list": [[], {}],
}


@_probe("values come back as they went in")
async def _values(bench: Bench) -> None:
    result = await bench.run("def run(value):\n    print('said')\n    return value", {"value": JSON})
    _same(_expect(result, "ok").value, JSON)
    _same(result.text, "said\n")
    _same(result.isolation, bench.sandbox.level)


@_probe("Python's own types become JSON")
async def _types(bench: Bench) -> None:
    source = """
import datetime, decimal, enum, pathlib
class Colour(enum.Enum): RED = "red"
def run():
    return {"nan": float("nan"), "inf": [float("inf")], "set": {2, 1}, "tuple": (1, 2), 3: "key",
            "date": datetime.date(2025, 1, 2), "time": datetime.datetime(2025, 1, 2, 3, 4),
            "dec": decimal.Decimal("1.5"), "enum": Colour.RED, "path": pathlib.PurePosixPath("a/b")}
"""
    wanted: dict[str, Any] = {
        "nan": None,
        "inf": [None],
        "set": [1, 2],
        "tuple": [1, 2],
        "3": "key",
        "date": "2025-01-02",
    }
    wanted |= {"time": "2025-01-02T03:04:00", "dec": 1.5, "enum": "red", "path": "a/b"}
    _same(_expect(await bench.run(source), "ok").value, wanted)


FRAME = """
import datetime, pandas as pd
def run():
    return pd.DataFrame({
        "whole": [1, 2, 3], "gaps": pd.array([1, None, 3], dtype="Int64"), "real": [1.5, None, 3.0],
        "text": ["a", None, "ü"], "yes": [True, False, True], "maybe": pd.array([True, None, False], dtype="boolean"),
        "when": pd.to_datetime(["2025-01-02 03:04:05", None, "2026-01-01 00:00:00"]),
        "day": [datetime.date(2025, 1, 2), None, datetime.date(2026, 1, 1)],
        "kind": pd.Categorical(["x", "y", "x"]), "empty": [None, None, None],
    })
"""
WORDS = ("integer", "integer", "number", "text", "boolean", "boolean", "timestamp", "date", "text", "text")


@_probe("tables travel with their types")
async def _frames(bench: Bench) -> None:
    made = _expect(await bench.run(FRAME), "ok")
    frame = made.value
    if not isinstance(frame, Artifact) or not frame.is_frame:
        raise Seen(f"{frame!r:.200} instead of a table")
    _same((frame.rows, tuple(column.type for column in frame.columns)), (3, WORDS))
    _same(frame.preview[1], (2, None, None, None, False, None, None, None, "y", None))
    _same(made.artifacts, (frame,))
    back = _expect(await bench.run("def run(frame):\n    return {'same': frame}", {"frame": frame}), "ok")
    _same(back.value["same"].sha256, frame.sha256)


@_probe("a column that cannot travel is refused by name")
async def _columns(bench: Bench) -> None:
    source = "import pandas as pd\ndef run():\n    return pd.DataFrame({'fine': [1], 'odd': [object()]})"
    _expect(await bench.run(source), "failed", "'odd'")
    twice = "import pandas as pd\ndef run():\n    return pd.DataFrame([[1, 2]], columns=['a', 'a'])"
    _expect(await bench.run(twice), "failed", "'a'")


PICTURE = """
import struct, zlib
from workbench import toolkit
def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
PNG = (b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
       + chunk(b"IDAT", zlib.compress(b"\\0\\0")) + chunk(b"IEND", b""))
"""


@_probe("pictures travel, other bytes do not")
async def _pictures(bench: Bench) -> None:
    made = _expect(await bench.run(PICTURE + "def run(): return toolkit.Image(PNG, 'Title', 'What it shows')"), "ok")
    _same((made.value.mime, made.value.title, made.value.alt), ("image/png", "Title", "What it shows"))
    _same((bench.workdir / "artifacts" / made.value.path).read_bytes()[:4], b"\x89PNG")
    _expect(await bench.run(PICTURE + "def run(): return toolkit.Image(b'<svg/>', 'x')"), "failed", "PNG")
    _expect(await bench.run(PICTURE + "def run(): return toolkit.Image(PNG[:-8], 'x')"), "failed", "cut short")


SOUND = """
import io, wave
from workbench import toolkit
out = io.BytesIO()
with wave.open(out, "wb") as file:
    file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
    file.writeframes(bytes(8000))
WAV = out.getvalue()
"""


@_probe("sounds travel, and their length is found by the host")
async def _sounds(bench: Bench) -> None:
    made = _expect(await bench.run(SOUND + "def run(): return toolkit.Audio(WAV, 'Title', 'What it says')"), "ok")
    facts = (made.value.mime, made.value.seconds, made.value.title, made.value.alt)
    _same(facts, ("audio/wav", 0.5, "Title", "What it says"))
    _same((bench.workdir / "artifacts" / made.value.path).read_bytes()[:4], b"RIFF")
    _expect(await bench.run(SOUND + "def run(): return toolkit.Audio(WAV[:99], 'x')"), "failed", "cut short")
    _expect(await bench.run(SOUND + "def run(): return toolkit.Audio('x', 'x')"), "failed", "bytes of a sound")


ASK = "from workbench import toolkit\ndef run(service): return toolkit.call(service, n=20)"


@_probe("host functions answer, when they are declared")
async def _services(bench: Bench) -> None:
    async def double(params: Mapping[str, Any]) -> Any:
        return {"n": params["n"] * 2}

    async def no(params: Mapping[str, Any]) -> Any:
        raise Denied("not you", hint="Ask.")

    async def later(params: Mapping[str, Any]) -> Any:
        raise TransientError("not now", retry_after=3.0)

    services = {"sum.double": double, "sum.no": no, "sum.later": later}
    answer = await bench.run(ASK, {"service": "sum.double"}, services=services, uses=("sum",))
    _same(_expect(answer, "ok").value, {"n": 40})
    _expect(
        await bench.run(ASK, {"service": "sum.no"}, services=services, uses=("sum.no",)), "failed", "not you", "Ask."
    )
    waits = await bench.run(ASK, {"service": "sum.later"}, services=services, uses=("sum",))
    _same(_expect(waits, "transient", "not now").retry_after, 3.0)
    _expect(await bench.run(ASK, {"service": "sum.double"}, services=services, uses=("sum.no",)), "failed", "USES")
    _expect(await bench.run(ASK, {"service": "sum.none"}, services=services, uses=("sum",)), "failed", "USES")


@_probe("host functions answer many threads at once")
async def _threads(bench: Bench) -> None:
    async def echo(params: Mapping[str, Any]) -> Any:
        await asyncio.sleep(0.001 * (params["n"] % 7))
        return params["n"]

    source = """
from concurrent.futures import ThreadPoolExecutor
from workbench import toolkit
def run():
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda n: toolkit.call("echo", n=n), range(50)))
"""
    _same(_expect(await bench.run(source, services={"echo": echo}, uses=("echo",)), "ok").value, list(range(50)))


@_probe("progress and sources are told")
async def _told(bench: Bench) -> None:
    source = "from workbench import toolkit\ndef run():\n    toolkit.progress('half')\n    toolkit.source('T', 'https://x.y')"
    result = _expect(await bench.run(source), "ok")
    _same((bench.lines, list(result.sources)), (["half"], [{"title": "T", "url": "https://x.y"}]))


@_probe("earlier results are there to read")
async def _context(bench: Bench) -> None:
    frame = _expect(await bench.run("import pandas as pd\ndef run(): return pd.DataFrame({'n': [1, 2]})"), "ok").value
    source = (
        "from workbench import toolkit\ndef run(): return [int(c['value']['t'].n.sum()) for c in toolkit.context()]"
    )
    result = await bench.run(source, context=(("s0", "make", {"t": frame}),))
    _same(_expect(result, "ok").value, [3])


@_probe("a failure is told in the tool's words")
async def _failures(bench: Bench) -> None:
    head = "from workbench import toolkit\ndef run():\n    "
    _expect(
        await bench.run(head + "raise toolkit.Failed('no such city', hint='Spell it.')"), "failed", "no such", "Spell"
    )
    again = _expect(await bench.run(head + "raise toolkit.Try('busy', after=2)"), "transient", "busy")
    _same(again.retry_after, 2.0)
    raised = _expect(await bench.run(head + "return 1 / 0"), "failed", "ZeroDivisionError", "line 3")
    if "Traceback" not in raised.text:
        raise Seen("no traceback in the text")
    _expect(await bench.run(head + "raise SystemExit(3)"), "failed", "SystemExit")
    _expect(await bench.run("def run(:"), "failed", "SyntaxError", "line 1")
    _expect(await bench.run("def run(a): pass", {"b": 1}), "failed", "parameters")


HANG = """
import os, time
from workbench import toolkit
def run():
    pids, (heard, say) = [os.getpid()], os.pipe()
    for depth in range(3):
        try:
            child = os.fork()
        except PermissionError:
            continue  # a level at which there are no further processes
        if child == 0:
            if depth:
                os.setsid()  # a daemon, away from group and session
            if depth == 2 and os.fork():
                os._exit(0)  # and one that is nobody's child
            os.write(say, b"%d " % os.getpid())
            while True:
                time.sleep(1)
        else:
            pids.append(int(os.read(heard, 100)))
    toolkit.progress(" ".join(map(str, pids)))
    while True:
        time.sleep(1)
"""


@_probe("a tool that hangs is stopped with all it started")
async def _hangs(bench: Bench) -> None:
    started = time.monotonic()
    _expect(await bench.run(HANG, seconds=1.5), "timeout", "1.5 s")
    if (seconds := time.monotonic() - started) > 5:
        raise Seen(f"it took {seconds:.1f} s")
    await _gone(bench)


@_probe("a tool that is cancelled is gone before the cancellation goes on")
async def _cancelled(bench: Bench) -> None:
    task = asyncio.create_task(bench.run(HANG))
    while not bench.lines and not task.done():  # noqa: ASYNC110 - a line is all it says
        await asyncio.sleep(0.02)
    task.cancel()
    try:
        _expect(await task, "cancelled")
    except asyncio.CancelledError:
        await _gone(bench)


async def _gone(bench: Bench) -> None:
    """None of the processes that the tool told of is there any more."""
    if not bench.lines:
        raise Seen("the probe did not run")
    pids = [int(pid) for pid in bench.lines[0].split()]
    until = time.monotonic() + 1.0
    while (alive := [pid for pid in pids if _lives(pid)]) and time.monotonic() < until:  # noqa: ASYNC110 - no child of ours
        await asyncio.sleep(0.02)
    if alive:
        raise Seen(f"still alive: {alive}")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's by now
        return False
    return True


@_probe("a flood of output ends in a result")
async def _flood(bench: Bench) -> None:
    started = time.monotonic()
    result = _expect(await bench.run("def run():\n    while True: print('x' * 10_000)"), "output_limit")
    if len(result.text) > 2_000_000 or time.monotonic() - started > 10:
        raise Seen(f"{len(result.text)} characters after {time.monotonic() - started:.1f} s")


@_probe("a worker that dies is told by its signal")
async def _dies(bench: Bench) -> None:
    _expect(await bench.run("import ctypes\ndef run(): ctypes.string_at(0)"), "killed", "SIGSEGV")
    _expect(await bench.run("import os\ndef run(): os.abort()"), "killed", "SIGABRT")
    _expect(await bench.run("import os\ndef run(): os._exit(0)"), "killed", "without a result")


@_probe("memory has a ceiling")
async def _memory(bench: Bench) -> None:
    _expect(await bench.run("def run(): return len(bytearray(60 << 30))"), "failed", "MemoryError", "GB")


@_probe("the environment is clean")
async def _environment(bench: Bench) -> None:
    os.environ["WORKBENCH_PROBE_API_KEY"] = "canary-7351"
    try:
        source = "import os\ndef run(): return [dict(os.environ), open('/proc/self/environ').read(), open(0).read()]"
        result = _expect(await bench.run(source), "ok")
    finally:
        del os.environ["WORKBENCH_PROBE_API_KEY"]
    if "canary-7351" in repr(result.value) or "PYTHONPATH" in result.value[0]:
        raise Seen("the worker sees the host's environment")
    _same(result.value[2], "")


@_probe("the working folder is empty, private and gone afterwards")
async def _scratch(bench: Bench) -> None:
    source = """
import os, pathlib, tempfile
def run():
    found = os.listdir(".")
    pathlib.Path("mine").write_text("x")
    pathlib.Path("locked").mkdir(mode=0)
    return {"cwd": os.getcwd(), "found": found, "temp": tempfile.gettempdir(), "home": str(pathlib.Path.home())}
"""
    value = _expect(await bench.run(source), "ok").value
    _same(value["found"], [])
    _same(_present(value["cwd"], value["temp"], value["home"]), [])


def _present(*places: str) -> list[str]:
    return [place for place in places if Path(place).exists()]


@_probe("no descriptor of the host is open in a worker")
async def _descriptors(bench: Bench) -> None:
    source = """
import os
def run():
    return sorted({os.readlink(f"/proc/self/fd/{n}").partition(":")[0] for n in os.listdir("/proc/self/fd")
                   if os.path.lexists(f"/proc/self/fd/{n}")})
"""
    inherited = os.open(bench.workdir, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        result = _expect(await bench.run(source), "ok")
    finally:
        os.close(inherited)
    if odd := [kind for kind in result.value if kind not in ("/dev/null", "pipe", "socket") and "/proc/" not in kind]:
        raise Seen(f"open: {odd}")


@_probe("a result that is too large is refused")
async def _large(bench: Bench) -> None:
    _expect(await bench.run("def run(): return 'x' * 6_000_000"), "failed", "limit")


@_probe("what is no JSON is refused by its place")
async def _not_json(bench: Bench) -> None:
    _expect(await bench.run("def run(): return {'a': [b'x']}"), "failed", "the result.a[0]", "bytes")
    _expect(await bench.run("def run():\n    a = []\n    a.append(a)\n    return a"), "failed", "contains itself")
    _expect(
        await bench.run("def run(): return {'$artifact': {'path': '../../x', 'mime': 'image/png'}}"),
        "failed",
        "$artifact",
    )
    deep = "def run():\n    a = []\n    for _ in range(500): a = [a]\n    return a"
    _expect(await bench.run(deep), "failed", "deep")


@_probe("eight calls at once")
async def _at_once(bench: Bench) -> None:
    source = "import time\ndef run(n):\n    time.sleep(0.05)\n    return n"
    results = await asyncio.gather(*(bench.run(source, {"n": n}) for n in range(8)))
    _same([_expect(result, "ok").value for result in results], list(range(8)))
