"""Traps of confinement, each as it was found: by what really happens to files, sockets and processes of ours."""

import asyncio
import json
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import Desk, confined_desk
from workbench.core.tools import Permissions, ToolCall, ToolResult, ToolSpec
from workbench.sandbox.doors import Doors
from workbench.sandbox.forked import ConfinedSandbox


async def call(desk: Desk, source: str, doors: Doors | None = None, **permissions: tuple[str, ...]) -> ToolResult:
    reads = permissions.pop("reads", ())
    tool = ToolSpec(
        name="tool", summary="", params={}, version="0", source=source.encode(), permissions=Permissions(**permissions)
    )
    what = ToolCall(run="r1", step="s1", tool=tool, params={}, timeout=20.0, reads=reads)
    return await desk.sandbox.run(what, {}, desk.artifacts, doors=doors)


async def value(desk: Desk, source: str, doors: Doors | None = None, **permissions: tuple[str, ...]) -> Any:
    result = await call(desk, source, doors, **permissions)
    assert result.status == "ok", f"{result.error} {result.text}"
    return result.value


async def test_duckdb_lives_and_counts_where_cgroup_files_cannot_be_written(confined: Desk):
    source = """
import duckdb
def run():
    kept = duckdb.connect("own.db")
    kept.execute("create table t as select range as n from range(100000)")
    return [kept.sql("select sum(n)::bigint from t").fetchall()[0][0], duckdb.sql("select 42").fetchall()[0][0]]
"""
    assert await value(confined, source) == [4999950000, 42]


async def test_metadata_of_others_files_stays_and_copying_goes_on(confined: Desk, tmp_path: Path):
    kept = tmp_path / "kept"
    kept.write_text("x")
    kept.chmod(0o640)
    before = kept.stat()
    source = f"""
import os, shutil, zipfile
def run():
    for attack in (lambda p: os.chmod(p, 0), lambda p: os.utime(p, (1, 1)), lambda p: os.chown(p, 12345, 12345),
                   lambda p: os.setxattr(p, "user.x", b"x")):
        try: attack({str(kept)!r})
        except OSError: pass
    open("a", "w").write("x")
    shutil.copy2("a", "b")
    with zipfile.ZipFile("z", "w") as z: z.write("b")
    zipfile.ZipFile("z").extractall("out")
    return os.listdir("out")
"""
    assert await value(confined, source) == ["b"]
    after = kept.stat()
    assert (after.st_mode, after.st_mtime, after.st_uid) == (before.st_mode, before.st_mtime, before.st_uid)


async def test_the_project_is_closed_but_for_what_was_granted(confined: Desk):
    project = confined.project
    for name in ("data/a.csv", "data/.env", "data/deep/.git/config", "data/deep/b.csv", "other/c.csv", "out/old"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(name)
    source = f"""
import os, pathlib
def seen(path):
    try: return pathlib.Path({str(project)!r}, path).read_text()
    except OSError as error: return type(error).__name__
def run():
    written = []
    for name in ("data/new", "data/a.csv", "out/new", "out/old"):
        try: pathlib.Path({str(project)!r}, name).write_text("changed"); written.append(name)
        except OSError: pass
    os.remove({str(project / "out" / "old")!r})
    names = sorted(os.listdir({str(project / "data")!r}))
    return [[seen(p) for p in ("data/a.csv", "data/.env", "data/deep/.git/config", "data/deep/b.csv", "other/c.csv")],
            written, names]
"""
    no = "PermissionError"
    found = await value(confined, source, read=("data",), write=("out",))
    assert found == [
        ["data/a.csv", no, no, "data/deep/b.csv", no],
        ["out/new", "out/old"],
        [".env", "a.csv", "deep"],  # names may be seen
    ]
    assert (project / "data" / "a.csv").read_text() == "data/a.csv"
    assert not (project / "out" / "old").exists()


async def test_a_grant_that_cannot_be_held_is_a_denied_result(confined: Desk):
    (confined.project / ".git").mkdir(parents=True)
    result = await call(confined, "def run(): return 1", write=(".",))
    assert (result.status, "hidden" in result.error) == ("denied", True)


async def test_a_file_that_the_host_names_can_be_read_and_not_changed(confined: Desk, tmp_path: Path):
    (tmp_path / "one").write_text("one")
    (tmp_path / "two").write_text("two")
    source = f"""
def attempt(path, mode):
    try: return open(path, mode).read() if mode == "r" else open(path, mode).close()
    except OSError as error: return type(error).__name__
def run(): return [attempt({str(tmp_path / "one")!r}, "r"), attempt({str(tmp_path / "one")!r}, "a"),
                   attempt({str(tmp_path / "two")!r}, "r")]
"""
    found = await value(confined, source, reads=(str(tmp_path / "one"),))
    assert found == ["one", "PermissionError", "PermissionError"]


async def test_of_proc_a_worker_sees_only_itself(confined: Desk):
    source = f"""
import os
def attempt(path):
    try: return len(open(path, "rb").read()) > 0
    except OSError: return False
def run(): return [attempt("/proc/self/cmdline"), attempt("/proc/self/environ"), attempt("/proc/cpuinfo"),
                   attempt("/proc/{os.getpid()}/cmdline"), attempt("/proc/{os.getpid()}/environ"),
                   attempt(f"/proc/{{os.getppid()}}/environ"), attempt(f"/proc/{{os.getppid()}}/maps")]
"""
    assert await value(confined, source) == [True, True, True, False, False, False, False]


async def test_a_worker_has_no_privileges_to_gain_or_to_use(confined: Desk):
    text = await value(confined, "def run(): return open('/proc/self/status').read()")
    facts = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(facts[kind], 16) == 0
    if os.getuid() == 0:
        assert int(facts["CapBnd"], 16) == 0


async def test_threads_have_an_exact_ceiling_for_any_user(tmp_path: Path):
    desk = confined_desk(tmp_path, processes=20)
    source = """
import threading
def run():
    wait, started = threading.Event(), 0
    try:
        for _ in range(100):
            threading.Thread(target=wait.wait, daemon=True).start()
            started += 1
    except RuntimeError as error:
        return [started, str(error)]
"""
    assert await value(desk, source) == [18, "can't start new thread"]  # with the main thread and the channel's


async def test_memory_that_could_be_shared_is_counted_too(tmp_path: Path):
    desk = confined_desk(tmp_path, memory=64 << 20)
    source = """
import mmap, time
def run():
    held = mmap.mmap(-1, 1 << 30)
    for at in range(0, 1 << 30, 4096): held[at] = 1
    time.sleep(30)
"""
    result = await call(desk, source)
    assert (result.status, "of memory" in result.error) == ("killed", True)


async def test_files_without_a_name_are_counted_too(tmp_path: Path):
    desk = confined_desk(tmp_path, disk=8 << 20)
    for keep in ("held.append(file)", "held.append(mmap.mmap(file.fileno(), 0)); file.close()"):
        source = f"""
import mmap, os, time
def run():
    held = []
    for n in range(8):
        file = open("f", "w+b")
        os.remove("f")
        file.write(b"x" * (4 << 20)); file.flush()
        {keep}
    time.sleep(30)
"""
        result = await call(desk, source)
        assert (result.status, "8 MB" in result.error) == ("killed", True)


DOOR = """
import asyncio, errno, socket
def said(address, family=socket.AF_INET):
    with socket.socket(family) as s:
        s.settimeout(5)
        try: s.connect(address)
        except OSError as error: return errno.errorcode[error.errno]
        s.sendall(b"hello")
        return s.recv(100).decode()
async def again(port):
    reader, writer = await asyncio.open_connection("localhost", port)
    writer.write(b"again")
    return (await reader.read(100)).decode()
"""


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data.upper())
        await writer.drain()


async def test_a_door_is_reached_by_blocking_and_asynchronous_sockets_and_nothing_else_is(confined: Desk):
    with socket.create_server(("127.0.0.1", 0)) as outside:
        outside.setblocking(False)
        doors = Doors()
        port, other = await doors.open(echo), outside.getsockname()[1]
        source = f"""{DOOR}
def run():
    return [said(("127.0.0.1", {port})), said(("::1", {port}), socket.AF_INET6), asyncio.run(again({port})),
            said(("127.0.0.1", {other})), said(("203.0.113.1", {port})), said(("127.0.0.1", {port + 1}))]
"""
        found = await value(confined, source, doors)
        assert found == ["HELLO", "HELLO", "AGAIN", "ECONNREFUSED", "ENETUNREACH", "ECONNREFUSED"]
        with pytest.raises(BlockingIOError):
            outside.accept()


async def test_a_connection_keeps_the_flags_of_the_workers_socket(confined: Desk):
    doors = Doors()
    port = await doors.open(echo)
    source = f"""
import fcntl, os, socket
def run():
    found = []
    for blocking in (True, False):
        with socket.socket() as s:
            s.setblocking(blocking)
            before = s.fileno()
            found.append([s.connect_ex(("127.0.0.1", {port})), s.fileno() == before, os.get_blocking(before),
                          os.get_inheritable(before), s.getpeername()[0]])
    return found
"""
    assert await value(confined, source, doors) == [
        [0, True, True, False, "127.0.0.1"],
        [0, True, False, False, "127.0.0.1"],
    ]


async def test_a_port_that_another_thread_changes_leads_to_doors_of_the_call_only(confined: Desk):
    with socket.create_server(("127.0.0.1", 0), backlog=200) as outside:
        outside.setblocking(False)
        doors = Doors()
        port, other = await doors.open(echo), outside.getsockname()[1]
        source = f"""
import ctypes, socket, struct, threading
def run():
    libc, stop = ctypes.CDLL(None, use_errno=True), threading.Event()
    good = struct.pack("=H", socket.AF_INET) + struct.pack(">H", {port}) + b"\\x7f\\0\\0\\1" + bytes(8)
    evil = good[:2] + struct.pack(">H", {other}) + good[4:]
    address = ctypes.create_string_buffer(good, 16)
    def flip():
        while not stop.is_set():
            ctypes.memmove(address, evil, 16)
            ctypes.memmove(address, good, 16)
    threading.Thread(target=flip, daemon=True).start()
    reached = 0
    for _ in range(60):
        with socket.socket() as s:
            reached += libc.connect(s.fileno(), address, 16) == 0
    stop.set()
    return reached
"""
        assert await value(confined, source, doors) > 0
        with pytest.raises(BlockingIOError):
            outside.accept()


async def test_a_connection_that_was_handed_in_leads_nowhere_else(confined: Desk):
    with socket.create_server(("127.0.0.1", 0)) as outside:
        outside.setblocking(False)
        doors = Doors()
        port, other = await doors.open(echo), outside.getsockname()[1]
        source = f"""
import ctypes, socket, struct
def run():
    libc, found = ctypes.CDLL(None, use_errno=True), []
    s = socket.create_connection(("127.0.0.1", {port}))
    found.append(libc.connect(s.fileno(), bytes(16), 16))  # AF_UNSPEC would part it from its peer
    far = ("127.0.0.1", {other})
    for attempt in (lambda: s.sendto(b"x", far), s.listen, lambda: s.bind(("127.0.0.1", 0)),
                    lambda: s.sendmsg([b"x"], [], 0x20000000, far), s.accept):
        try: attempt(); found.append("done")
        except OSError as error: found.append(error.errno)
    s.sendall(b"still here")
    return [*found, s.recv(100).decode()]
"""
        assert await value(confined, source, doors) == [-1, 13, 1, 1, 13, 1, "STILL HERE"]
        with pytest.raises(BlockingIOError):
            outside.accept()


async def test_threads_connect_side_by_side_and_a_slow_door_holds_up_none(confined: Desk):
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        await echo(reader, writer)

    doors = Doors()
    port = await doors.open(slow)
    source = f"""{DOOR}
from concurrent.futures import ThreadPoolExecutor
def run():
    with ThreadPoolExecutor(12) as pool:
        return list(pool.map(lambda n: said(("127.0.0.1", {port})), range(24)))
"""
    assert await value(confined, source, doors) == ["HELLO"] * 24


async def test_each_call_has_luck_of_its_own_and_nothing_of_an_earlier_one(confined: Desk):
    source = """
import os, random, sys, tempfile, uuid, numpy
def run():
    left = getattr(sys, "left", None), os.environ.get("LEFT"), getattr(numpy, "left", None)
    sys.left = os.environ["LEFT"] = numpy.left = "x"
    return [random.random(), numpy.random.random(), str(uuid.uuid4()), next(tempfile._get_candidate_names()), left]
"""
    one, two = await value(confined, source), await value(confined, source)
    assert all(a != b for a, b in zip(one[:4], two[:4], strict=True))
    assert one[4] == two[4] == [None, None, None]


async def test_a_call_by_the_i386_door_ends_the_worker(confined: Desk):
    if os.uname().machine != "x86_64":
        pytest.skip("only x86_64 has it")
    source = """
import ctypes, mmap
def run():
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3")  # mov eax, 20 (getpid there); int 0x80; ret
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
"""
    result = await call(confined, source)
    assert (result.status, "SIGSYS" in result.error) == ("killed", True), result


async def test_the_path_of_the_owner_gives_no_way_into_its_home(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = own_home
    (home / "lib").mkdir()
    (home / "lib" / "theirs.py").write_text("ANSWER = 42")
    (home / "secret").write_text("x")
    monkeypatch.setattr(sys, "path", [*sys.path, str(home), str(home / "lib")])
    desk = confined_desk(tmp_path)
    source = f"""
import os, theirs
def attempt(function):
    try: function(); return "done"
    except OSError as error: return type(error).__name__
def run(): return [theirs.ANSWER, attempt(lambda: open({str(home / "secret")!r})),
                   attempt(lambda: os.listdir({str(home)!r})),
                   attempt(lambda: open({str(home / "lib" / "new.py")!r}, "w"))]
"""
    try:
        assert await value(desk, source) == [42, "PermissionError", "PermissionError", "PermissionError"]
    finally:
        await desk.sandbox.close()


@pytest.mark.parametrize("abi", [3, 4, 5, 6])
async def test_an_older_landlock_is_made_up_for_by_the_filter(tmp_path: Path, abi: int):
    from workbench.sandbox.selftest import selftest

    desk = confined_desk(tmp_path)
    sandbox = ConfinedSandbox(desk.home, desk.project, abi=abi)
    assert [probe for probe in await selftest(sandbox, desk.home) if not probe.held] == []


async def test_the_environment_of_a_worker_names_nothing_of_the_host(confined: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    found = await value(confined, "import os\ndef run(): return [dict(os.environ), open('/proc/self/environ').read()]")
    assert "canary" not in json.dumps(found)
    assert set(re.findall(r"(\w+)=", found[1].replace("\0", " "))) <= {
        *("PATH", "LANG", "TZ", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"),
        "JE_ARROW_MALLOC_CONF",
    }
