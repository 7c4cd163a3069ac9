"""The fork server: one thread, one owner, gone with it, started again, and no concern of a forked child."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import is_alive
from tests.sandbox.conftest import Desk
from workbench.core.errors import Unavailable
from workbench.sandbox import linux
from workbench.sandbox.course import imports
from workbench.sandbox.forked import ConfinedSandbox
from workbench.sandbox.limits import Limits
from workbench.sandbox.owned import Server, shared

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Desk]:
    """A desk whose fork server nobody else uses."""
    if why := linux.supported():
        pytest.skip(why)
    desk = Desk(tmp_path)
    server = Server(imports(desk.project))
    desk.sandbox = ConfinedSandbox(desk.home, desk.project, (), Limits(), server=server)
    yield desk
    server.end()


def server_of(desk: Desk) -> Server:
    assert isinstance(desk.sandbox, ConfinedSandbox)
    return desk.sandbox.server


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:  # noqa: ASYNC110 - other processes do it
        await asyncio.sleep(0.02)
    return condition()


async def test_it_has_one_thread_and_forks_what_it_imported(own: Desk):
    result = await own.run("import sys\ndef run(): return [name in sys.modules for name in ('pandas', 'duckdb')]")
    assert result.value == [True, True]
    pid = server_of(own).pid
    assert len(os.listdir(f"/proc/{pid}/task")) == 1  # noqa: PTH208 - a path in an async function is another rule


async def test_without_the_switch_that_keeps_arrow_from_it_it_would_not_fork(own: Desk):
    """The trap that the switch is for: should a new version of Arrow not need it any more, this says so."""
    code = "import os, pandas, pyarrow; print(len(os.listdir('/proc/self/task')))"
    plain = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    counts = []
    for more in ({}, {"JE_ARROW_MALLOC_CONF": "background_thread:false"}):
        done = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", code, env=plain | more, stdout=subprocess.PIPE
        )
        counts.append(int((await done.communicate())[0]))
    assert counts[1] == 1


async def test_one_that_has_more_threads_says_so_and_takes_no_call(tmp_path: Path):
    (tmp_path / "duckdb.py").write_text(
        "import threading, time; threading.Thread(target=time.sleep, args=(9,)).start()"
    )
    desk = Desk(tmp_path)
    server = Server([str(tmp_path), *imports(desk.project)])
    desk.sandbox = ConfinedSandbox(desk.home, desk.project, server=server)
    try:
        with pytest.raises(Unavailable, match="2 threads, so it may not fork"):
            await desk.run("def run(): return 1")
    finally:
        server.end()


async def test_one_that_was_killed_is_started_again_and_calls_of_the_old_one_go_on(own: Desk):
    assert (await own.run("def run(): return 1")).status == "ok"
    first = server_of(own).pid
    assert first is not None
    source = """
import time
from workbench import toolkit
def run():
    toolkit.progress("up")
    time.sleep(1)
    return "done"
"""
    running = asyncio.create_task(own.run(source))
    assert await until(lambda: own.told == ["up"])
    os.kill(first, signal.SIGKILL)
    assert await until(lambda: not is_alive(first))
    assert (await own.run("def run(): return 2")).value == 2
    assert server_of(own).pid != first
    assert (await running).value == "done"


async def test_one_that_dies_with_calls_before_it_takes_them_costs_no_call(own: Desk):
    await own.sandbox.prepare()
    pid = server_of(own).pid
    assert pid is not None
    calls = [asyncio.create_task(own.run(f"def run(): return {n}")) for n in range(4)]
    await asyncio.sleep(0)  # handed over, and the server still imports
    os.kill(pid, signal.SIGKILL)
    assert [result.value for result in await asyncio.gather(*calls)] == [0, 1, 2, 3]


async def test_an_idle_one_ends_and_the_next_call_starts_another(tmp_path: Path):
    desk = Desk(tmp_path)
    server = Server(imports(desk.project), idle=1)
    desk.sandbox = ConfinedSandbox(desk.home, desk.project, server=server)
    try:
        assert (await desk.run("def run(): return 1")).value == 1
        first = server.pid
        assert await until(lambda: server.pid is None)
        assert (await desk.run("def run(): return 2")).value == 2
        assert server.pid not in (None, first)
    finally:
        server.end()


async def test_sandboxes_of_one_process_share_one_and_the_last_that_closes_ends_it(tmp_path: Path):
    places = [*imports(tmp_path), str(tmp_path / "nothing")]  # a key of our own: the suite keeps one too
    one, two = shared(places), shared(places)
    assert one is two
    one.start()
    pid = one.pid
    assert pid is not None
    del one
    assert is_alive(pid)
    del two
    assert await until(lambda: not is_alive(pid))


def _in_a_child(pid: int | None, answers: "multiprocessing.Queue[object]", folder: Path) -> None:
    desk = Desk(folder, confine=True)
    result = asyncio.run(desk.run("def run(): return 3"))
    assert isinstance(desk.sandbox, ConfinedSandbox)
    answers.put((result.value, desk.sandbox.server.pid not in (None, pid)))
    desk.sandbox.server.end()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_forked_child_of_the_owner_starts_its_own_and_leaves_the_parents_alone(own: Desk, tmp_path: Path):
    assert (await own.run("def run(): return 1")).value == 1
    pid = server_of(own).pid
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_in_a_child, args=(pid, answers, tmp_path / "child"))
    child.start()
    assert await asyncio.to_thread(answers.get, timeout=60) == (3, True)
    await asyncio.to_thread(child.join)
    assert server_of(own).pid == pid
    assert (await own.run("def run(): return 2")).value == 2


async def test_no_descriptor_of_the_owner_or_the_server_reaches_a_worker(own: Desk):
    source = """
import os
def run():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try: found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError: pass
    return sorted(target.partition(":")[0] for target in found.values() if "/proc/" not in target)
"""
    result = await own.run(source)
    assert result.value == ["/dev/null", "pipe", "pipe", "socket"]


OWNER = '''
import asyncio, os, sys
from pathlib import Path
from tests.sandbox.conftest import Desk
async def main():
    desk = Desk(Path(sys.argv[1]), confine=True)
    await desk.sandbox.prepare()
    if sys.argv[2] == "with a fork":
        if os.fork() == 0:
            import time
            time.sleep(60)  # holds copies of all sockets open
    source = """
import os, time
from workbench import toolkit
def run():
    toolkit.progress(f"{os.getpid()} {os.getppid()}")
    time.sleep(60)
"""
    task = asyncio.create_task(desk.run(source))
    while not desk.told:
        await asyncio.sleep(0.01)
    print(desk.told[0], desk.sandbox.server.pid, flush=True)
    await task
asyncio.run(main())
'''


@pytest.mark.kills
@pytest.mark.parametrize("how", ["alone", "with a fork"])
async def test_when_the_owner_is_killed_server_keeper_and_worker_go(tmp_path: Path, how: str):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    owner = subprocess.Popen(  # noqa: ASYNC220 - to be killed
        [sys.executable, "-c", OWNER, str(tmp_path), how],
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert owner.stdout is not None
        pids = [int(word) for word in (await asyncio.to_thread(owner.stdout.readline)).split()]
        assert len(pids) == 3
        assert all(is_alive(pid) for pid in pids)
        owner.send_signal(signal.SIGKILL)
        assert await until(lambda: not any(is_alive(pid) for pid in pids), seconds=2.0), pids
    finally:
        os.killpg(owner.pid, signal.SIGKILL)
        owner.communicate()
