"""Tools that mean harm. Each ends in a typed result, leaves nothing alive, and costs nobody else anything."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sandbox.conftest import Desk
from workbench.core.artifacts import Artifact
from workbench.core.errors import Unavailable

FIND_CHANNEL = """
import json, os, socket, struct, sys, threading
def channel():
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                return int(name)
        except OSError:
            pass
def send(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    os.write(channel(), struct.pack(">I", len(body)) + body)
"""


def alive(mark: str) -> list[int]:
    """Processes whose working folder, environment or command line holds the mark."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                text = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
                text += os.fsencode((place / "cwd").readlink())
                state = (place / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if mark.encode() in text and state != "Z":
                found.append(int(place.name))
    return found


async def gone(mark: str, within: float = 1.0) -> list[int]:
    until = time.monotonic() + within
    while (left := alive(mark)) and time.monotonic() < until:  # noqa: ASYNC110 - other processes end
        await asyncio.sleep(0.02)
    return left


async def test_printing_a_hundred_megabytes_ends_quickly_and_keeps_little(any_desk: Desk):
    started = time.monotonic()
    result = await any_desk.run("import sys\ndef run(): sys.stdout.write('x' * 100_000_000)")
    assert (result.status, time.monotonic() - started < 5) == ("output_limit", True)
    assert len(result.text) < 100_000
    assert "left out" in result.text


async def test_a_flood_is_told_even_when_the_tool_finished(any_desk: Desk):
    source = "import os\ndef run():\n    os.write(1, b'x' * 1_048_576)\n    os.write(2, b'y')\n    return 1"
    assert (await any_desk.run(source)).status == "output_limit"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("os._exit(0)", "killed", "without a result"),
        ("os._exit(3)", "killed", "without a result"),
        ("ctypes.string_at(0)", "killed", "SIGSEGV"),
        ("os.kill(os.getpid(), 9)", "killed", "SIGKILL"),
        ("os.kill(os.getpid(), 15)", "killed", "SIGTERM"),
        ("os.killpg(0, 9)", "killed", "SIGKILL"),
        ("bytearray(20 << 30)", "failed", "MemoryError"),
        ("mmap.mmap(-1, 40 << 30)", "failed", "memory"),
        ("os.closerange(3, 1000)", "killed", "without a result"),
        ("os.close(1); os.close(2); sys.stdout = None; return 5", "ok", ""),
        ("sys.stdout.close(); return 5", "ok", ""),
        ("raise KeyboardInterrupt", "failed", "KeyboardInterrupt"),
        ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})", "failed", "Odd"),
        ("threading.Thread(target=time.sleep, args=(60,)).start(); return 5", "ok", ""),
        ("signal.signal(15, signal.SIG_IGN); time.sleep(60)", "timeout", "0.8 s"),
        ("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64)); time.sleep(60)", "timeout", "0.8 s"),
        ("os.kill(os.getpid(), 19)", "timeout", "0.8 s"),
    ],
)
async def test_a_tool_that_dies_or_refuses_to(any_desk: Desk, body: str, status: str, words: str):
    head = "import ctypes, mmap, os, signal, sys, threading, time\ndef run():\n    "
    quick = 0.8 if status == "timeout" else 20.0
    started = time.monotonic()
    result = await any_desk.run(head + body, seconds=quick)
    assert result.status == status
    assert words in f"{result.error} {result.hint}"
    assert time.monotonic() - started < 5
    assert await gone(str(any_desk.home)) == []
    assert any_desk.left_over == []


async def test_a_tool_that_kills_its_supervisor_only_ends_itself(desk: Desk, confined: Desk):
    source = "import os, time\ndef run():\n    os.kill(os.getppid(), 9)\n    time.sleep(30)"
    result = await desk.run(source)
    assert (result.status, "SIGKILL" in result.error) == ("killed", True)
    assert await gone(str(desk.home)) == []
    assert "PermissionError" in (await confined.run(source)).error


async def test_children_that_hold_the_output_open_hold_nothing_up(desk: Desk):
    source = """
import os, subprocess, sys, time
def run():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep(60)  # an orphan in a session of its own
    return "done"
"""
    started = time.monotonic()
    result = await desk.run(source)
    assert (result.status, result.value) == ("ok", "done")
    assert time.monotonic() - started < 3
    assert await gone(str(desk.home)) == []


async def test_a_daemon_in_the_session_goes_even_when_its_supervisor_was_killed(desk: Desk):
    source = """
import os, time
def run():
    if os.fork() == 0:
        os.setpgid(0, 0)  # out of the group, still in the session
        time.sleep(60)
    time.sleep(0.1)
    os.kill(os.getppid(), 9)
    time.sleep(60)
"""
    assert (await desk.run(source)).status == "killed"
    assert await gone(str(desk.home)) == []


async def test_a_fork_bomb_ends_with_its_time(desk: Desk):
    result = await desk.run(
        "import os\ndef run():\n    while True:\n        try: os.fork()\n        except OSError: pass", seconds=0.5
    )
    assert result.status in ("timeout", "output_limit")
    assert await gone(str(desk.home), within=3) == []


@pytest.mark.parametrize(
    "body",
    [
        "return len([bytearray(1 << 26) for _ in range(100)])",
        "import numpy\n    return int(numpy.ones(10**10).sum())",
    ],
)
async def test_memory_runs_out_as_a_failure_with_a_hint(small_desk: Desk, body: str):
    result = await small_desk.run(f"import sys\ndef run():\n    {body}")
    assert (result.status, "MemoryError" in result.error, "0.25 GB" in result.hint) == ("failed", True, True)


async def test_endless_recursion_ends_in_a_result(small_desk: Desk):
    source = "import sys\nsys.setrecursionlimit(10**9)\ndef run(n=0): return run(n + 1) + 1"
    assert (await small_desk.run(source)).status in ("failed", "killed")


async def test_one_huge_file_and_many_small_ones_are_stopped(small_desk: Desk):
    one = await small_desk.run(
        "def run():\n    with open('f', 'wb') as f:\n        while True: f.write(b'x' * 100_000)"
    )
    assert (one.status, "File too large" in one.error, "4 MB" in one.hint) == ("failed", True, True)
    many = """
import time
def run():
    for n in range(20):
        with open(str(n), "wb") as file: file.write(b"x" * (2 << 20))
    time.sleep(30)
"""
    result = await small_desk.run(many)
    assert (result.status, "16 MB" in result.error) == ("killed", True)
    assert small_desk.left_over == []


async def test_endless_work_ends_by_processor_time(small_desk: Desk):
    result = await small_desk.run("def run():\n    while True: pass")
    assert (result.status, "1 s of processor time" in result.error) == ("killed", True)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"not json", "not JSON"),
        (b"[1]", "without a kind"),
        (b'{"kind": 5}', "without a kind"),
        (b'{"kind": "make me a sandwich"}', "sandwich"),
        (b'{"kind": "done", "value": NaN}', "not JSON"),
        (b'{"kind": "done", "error": "x"}', "without words"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "not JSON"),
    ],
)
async def test_garbage_on_the_channel_ends_the_call(any_desk: Desk, frame: bytes, words: str):
    result = await any_desk.run(FIND_CHANNEL + f"def run():\n    send({frame!r})\n    import time; time.sleep(30)")
    assert (result.status, words in result.error) == ("killed", True), result.error


async def test_a_value_that_is_nested_too_deep_is_refused_by_the_host_too(any_desk: Desk):
    frame = b'{"kind": "done", "value": ' + b"[" * 500 + b"]" * 500 + b"}"
    result = await any_desk.run(FIND_CHANNEL + f"def run():\n    send({frame!r})\n    os._exit(0)")
    assert (result.status, "deep" in result.error) == ("failed", True)


async def test_a_length_that_lies_ends_the_call_before_anything_is_read(any_desk: Desk):
    source = FIND_CHANNEL + "def run():\n    os.write(channel(), struct.pack('>I', 4_000_000_000) + b'x' * 100)"
    result = await any_desk.run(source)
    assert (result.status, "4,000,000,000 bytes" in result.error) == ("killed", True)
    short = await any_desk.run(
        FIND_CHANNEL + "def run():\n    os.write(channel(), struct.pack('>I', 1000)); os._exit(0)"
    )
    assert short.status == "killed"


async def test_a_result_that_the_tool_sends_itself_is_checked_like_any_other(any_desk: Desk, tmp_path: Path):
    forged = {"$artifact": {"path": "../../../etc/passwd", "mime": "image/png", "bytes": 1, "sha256": "0"}}
    source = FIND_CHANNEL + "def run(value):\n    send({'kind': 'done', 'value': value}); os._exit(0)"
    for value in (forged, {"$artifact": 0}, {"$artifact": -1}, {"$artifact": True}, [{"$artifact": "0"}]):
        code = source.replace("value}", f"json.loads({json.dumps(json.dumps(value))})}}")
        result = await any_desk.run(code, value=None)
        assert (result.status, "never made" in result.error) == ("failed", True), result
    kept = await any_desk.run(source, value="\ud800 fine")
    assert kept.value == "? fine"


async def test_lone_surrogates_do_not_get_out(any_desk: Desk):
    result = await any_desk.run("def run(): return {'\\ud800': ['\\udfff']}")
    assert result.value == {"?": ["?"]}
    json.dumps(result.value, ensure_ascii=False).encode()


async def test_a_parameter_cannot_forge_a_file(any_desk: Desk):
    result = await any_desk.run("def run(value): return 1", value={"x": [{"$artifact": 0}]})
    assert (result.status, "$artifact" in result.error) == ("failed", True)


async def test_a_file_that_is_not_below_the_artifacts_is_not_opened(any_desk: Desk, tmp_path: Path):
    (tmp_path / "secret").write_bytes(b"x")
    for path in ("../../secret", str(tmp_path / "secret"), "r1/none.arrow"):
        handle = Artifact(path=path, mime="image/png", bytes=1, sha256="")
        result = await any_desk.run("def run(value): return value.png.hex()", value=handle)
        assert result.status == "failed", path


async def test_asking_for_files_and_services_without_end_is_bounded(small_desk: Desk):
    source = (
        FIND_CHANNEL
        + """
from workbench import toolkit
def run():
    done = 0
    try:
        for n in range(50):
            toolkit._Host.call.__self__._line.ask({"kind": "output", "as": "frame"}); done += 1
    except toolkit.Failed as error:
        return [done, str(error)]
"""
    )
    result = await small_desk.run(source)
    assert result.value == [4, "a call may return at most 4 tables, pictures and sounds"]
    flood = "from workbench import toolkit\ndef run():\n    for n in range(5000): toolkit.progress('x' * 10_000)"
    assert (await small_desk.run(flood)).status == "ok"
    assert (len(small_desk.told), len(small_desk.told[0])) == (1000, 500)


async def test_a_host_function_that_answers_too_much_is_a_failure_of_the_call(any_desk: Desk):
    async def much(params):
        return "x" * 20_000_000

    source = "from workbench import toolkit\ndef run(): return len(toolkit.call('much'))"
    result = await any_desk.run(source, services={"much": much}, uses=("much",))
    assert (result.status, "limit" in result.error) == ("failed", True)


async def test_a_host_function_of_ours_that_breaks_is_our_bug_and_raised_as_it_is(any_desk: Desk):
    async def broken(params):
        raise ZeroDivisionError("ours")

    source = "from workbench import toolkit\ndef run(): return toolkit.call('broken')"
    with pytest.raises(ZeroDivisionError, match="ours"):
        await any_desk.run(source, services={"broken": broken}, uses=("broken",))
    assert await gone(str(any_desk.home)) == []


async def test_wrong_parameters_for_a_host_function_are_the_tools_failure(any_desk: Desk):
    async def write(params):
        return params["text"]

    source = "from workbench import toolkit\ndef run(): return toolkit.call('write', txt=1)"
    result = await any_desk.run(source, services={"write": write}, uses=("write",))
    assert (result.status, "wrong parameters" in result.error) == ("failed", True)


async def test_waiting_for_a_host_function_counts_to_the_time(any_desk: Desk):
    cancelled = []

    async def slow(params):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    source = "from workbench import toolkit\ndef run(): return toolkit.call('slow')"
    result = await any_desk.run(source, services={"slow": slow}, uses=("slow",), seconds=0.5)
    assert (result.status, cancelled) == ("timeout", [True])


async def test_cancelling_twice_still_ends_everything(desk: Desk):
    marker = desk.folder / "up"
    source = f"""
import os, signal, time
def run():
    signal.signal(15, signal.SIG_IGN)
    if os.fork() == 0: os.setsid()
    open({str(marker)!r}, "w").close()
    time.sleep(60)
"""
    task = asyncio.create_task(desk.run(source))
    while not marker.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(str(desk.home)) == []
    assert desk.left_over == []


OWNER = """
import asyncio, sys
from pathlib import Path
from tests.sandbox.conftest import Desk
async def main():
    await Desk(Path(sys.argv[1])).run('''
import os, time
def run():
    if os.fork() == 0:
        os.setsid()
    time.sleep(60)
''')
asyncio.run(main())
"""


async def test_when_the_owner_is_killed_its_workers_and_their_children_go(tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], env=environment)  # noqa: ASYNC220 - to be killed
    try:
        until = time.monotonic() + 15
        while len(alive(str(tmp_path / "home"))) < 2 and time.monotonic() < until:  # noqa: ASYNC110 - other processes start
            await asyncio.sleep(0.02)
        assert len(alive(str(tmp_path / "home"))) >= 2
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    assert await gone(str(tmp_path / "home")) == []


async def test_a_home_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "home").write_text("not a folder")
    with pytest.raises(Unavailable, match="Cannot write below") as caught:
        await Desk(tmp_path).run("def run(): return 1")
    assert "WORKBENCH_HOME" in caught.value.hint
    assert len(caught.value.lines()) == 2


async def test_a_worker_that_cannot_start_is_unavailable_and_says_why(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Unavailable, match="could not start"):
        await desk.run("def run(): return 1")
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    with pytest.raises(Unavailable, match="No such file"):
        await desk.run("def run(): return 1")


async def test_the_environment_of_the_host_never_reaches_a_worker(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("LD_PRELOAD_CANARY", "sk-canary")
    source = """
import os
def run():
    found = [os.environ.copy()]
    for pid in (os.getpid(), os.getppid()):
        found.append(open(f"/proc/{pid}/environ").read())
    return repr(found)
"""
    result = await desk.run(source)
    assert result.status == "ok"
    assert "canary" not in result.value


async def test_a_tool_does_not_import_from_the_project(any_desk: Desk, monkeypatch: pytest.MonkeyPatch):
    project = any_desk.folder / "project"
    project.mkdir()
    (project / "sibling.py").write_text("")
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.chdir(project)
    result = await any_desk.run("import sibling\ndef run(): return 1")
    assert (result.status, "ModuleNotFoundError" in result.error) == ("failed", True)


def test_any_event_loop_will_do(any_desk: Desk):
    for _ in range(2):
        assert asyncio.run(any_desk.run("def run(): return 1")).value == 1


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_nothing_is_left_open(any_desk: Desk):
    await any_desk.run("def run(): return 1")
    before = open_files()
    for source in ("def run(): return 1", "import os\ndef run(): os._exit(1)", "def run():\n    while True: print(1)"):
        await any_desk.run(source)
    assert open_files() == before
