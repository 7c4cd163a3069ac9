"""Run as a process of its own by the tests: writes into a memory in the way its first argument says."""

import asyncio
import json
import multiprocessing.connection
import os
import resource
import sys
from collections.abc import Coroutine
from pathlib import Path

from workbench.core.errors import Unavailable
from workbench.core.events import Event, Kind
from workbench.memory.duckdb import DuckDBMemory


def event(run: str, seq: int, kind: Kind = Kind.STEP_PROGRESS, **body: object) -> Event:
    return Event(run=run, seq=seq, at="2026-01-01T12:00:00.000001+00:00", kind=kind, body=body)


def say(what: object) -> None:
    os.write(1, json.dumps(what).encode())


async def acknowledge(home: Path, run: str) -> None:
    """Print each event's id once it is acknowledged, until killed; merge as often as possible meanwhile."""
    memory = DuckDBMemory(home, merge_seconds=0.001)
    for seq in range(1_000_000):
        memory.append(event(run, seq, text="x" * (seq % 300)))
        await memory.barrier()
        os.write(1, f"{run}/1/{seq}\n".encode())


async def write_runs(home: Path, name: str, count: str) -> None:
    memory = DuckDBMemory(home, merge_seconds=0.05)
    for n in range(int(count)):
        run = f"{name}-{n:04}"
        memory.append(event(run, 0, Kind.RUN_STARTED, request=f"request {n}", user=name))
        memory.append(event(run, 1, Kind.RUN_DONE, status="done", seconds=0.1))
        await memory.barrier()
        if n % 50 == 0:
            await memory.runs(1)
    await memory.close()


async def just_end(home: Path) -> None:
    memory = DuckDBMemory(home)
    for seq in range(500):
        memory.append(event("r1", seq))


async def compact(home: Path) -> None:
    """Compact, having said that it begins."""
    import duckdb  # noqa: F401 - so that what may be killed is the work and not an import

    from workbench.memory.store import Store

    say("begun\n")
    os.write(1, b"\n")
    Store(home).compact()


async def erase(home: Path, run: str) -> None:
    """Erase a run, having said that it begins."""
    import duckdb  # noqa: F401 - so that what may be killed is the work and not an import

    from workbench.memory.store import Store

    os.write(1, b"begun\n")
    Store(home).erase([run])


async def write_when_told(home: Path, text: str) -> None:
    """Write a finished run with this text; then one without it whenever a line comes."""
    memory = DuckDBMemory(home)
    memory.append(event("secret", 0, Kind.RUN_STARTED, request=text, user="ann"))
    memory.append(event("secret", 1, Kind.RUN_DONE, status="done"))
    await memory.barrier()
    os.write(1, b"written\n")
    while await asyncio.to_thread(sys.stdin.readline):
        memory.append(event("later", 0, Kind.RUN_STARTED, request="x", user="ann"))
        await memory.barrier()
        os.write(1, b"written\n")
    await memory.close()


async def write_and_wait_for_compaction(home: Path) -> None:
    """Write one event, and say how many journals are left once a snapshot is there."""
    memory = DuckDBMemory(home, merge_seconds=0.01)
    memory.append(event("mine", 0, Kind.RUN_STARTED))
    await memory.barrier()
    async with asyncio.timeout(50):
        while len(os.listdir(home / "journal")) > 1:  # noqa: ASYNC110, PTH208 - only the folder itself tells
            await asyncio.sleep(0.02)
    say({"left": len(os.listdir(home / "journal"))})  # noqa: PTH208 - as above
    await memory.close()


async def fork(home: Path) -> None:
    memory = DuckDBMemory(home, merge_seconds=0.01)
    memory.append(event("parent", 0, Kind.RUN_STARTED))
    await memory.barrier()
    await memory.runs()
    memory.append(event("parent", 1))
    pid = os.fork()
    if not pid:
        code = 1
        try:
            memory.append(event("child", 0, Kind.RUN_STARTED))
            memory._journal.wait(10)
            found = memory._read(lambda c: c.execute("select run from runs order by run").fetchall())
            code = 0 if found == [("child",), ("parent",)] else 2
            memory.close_now()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)  # noqa: ASYNC222 - nothing else runs on this loop
    from workbench.memory import locks

    (own,) = memory._journal.names
    locked = locks.is_held(home / "journal" / own)
    memory.append(event("parent", 2))
    await memory.barrier()
    events = len(await memory.events("parent"))
    await memory.close()
    say({"child": os.waitstatus_to_exitcode(status), "locked": locked, "events": events})


async def fork_and_recall(home: Path) -> None:
    """Recall in a process, in its forked child, and in the process again."""
    from workbench.core.request import Scope
    from workbench.memory.embed import Hashing

    scope = Scope(user="ann", workspace="sales", session="")

    def remember(memory: DuckDBMemory, name: str, text: str) -> None:
        told = {"id": name, "text": text, "scope": {"user": "ann", "workspace": "sales"}}
        memory.append(event(f"run-{name}", 0, Kind.MEMORY_WRITTEN, **told))

    memory = DuckDBMemory(home, embedder=Hashing())
    remember(memory, "m0", "fiscal July")
    await memory.barrier()
    await memory.recall("fiscal", scope)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            remember(memory, "m1", "fiscal fiscal")
            memory._journal.wait(10)
            memory._hear_others()
            hits = memory._recall.search("fisscal", scope, 5)  # misspelled: found by its letters only
            code = 0 if [hit.id for hit in hits] == ["m1", "m0"] else 2
            memory.close_now()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)  # noqa: ASYNC222 - nothing else runs on this loop
    found = [hit.id for hit in await memory.recall("fisscal", scope)]
    await memory.close()
    say({"child": os.waitstatus_to_exitcode(status), "parent": found})


async def hold_lease(home: Path, run: str) -> None:
    """Hold the lease of a run, until killed."""
    from workbench.memory import lease
    from workbench.memory.base import Holder

    lease.take(home, Holder(run=run, pid=os.getpid(), since="2026-01-01T12:00:00+00:00"))
    os.write(1, b"held\n")
    await asyncio.Event().wait()


def refuse_as_nobody(home: Path) -> Coroutine[None, None, None]:
    """`refuse`, by a user whom the permissions of folders stop: they do not stop root."""
    # Nobody may not be able to read what is imported late.
    import concurrent.futures.thread  # noqa: F401

    import duckdb  # noqa: F401

    if not os.getuid():
        os.setuid(65534)
    return refuse(home)


async def refuse(home: Path, limit: str = "") -> None:
    """Say what a memory says that cannot write; with a limit, files may not grow beyond that many bytes."""
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    memory = DuckDBMemory(home)
    acknowledged, lines = 0, []
    try:
        for seq in range(1_000):
            memory.append(event("r1", seq, text="x" * 1000))
            await memory.barrier()
            acknowledged += 1
    except Unavailable as error:
        lines += error.lines()
    try:
        await memory.runs()
    except Unavailable as error:
        lines += error.lines()
    say({"acknowledged": acknowledged, "lines": lines})


async def fork_by_multiprocessing(home: Path) -> None:
    """Remember in a process, in one that multiprocessing forks from it, and in the first again; say what each finds."""
    import multiprocessing
    import warnings

    from workbench.core.request import Scope

    scope = Scope(user="ann", workspace="sales", session="")
    memory = DuckDBMemory(home, merge_seconds=0.01)

    def remember(name: str) -> None:
        told = {"id": f"m-{name}", "text": f"fiscal note by {name}", "scope": {"user": "ann", "workspace": "sales"}}
        memory.append(event(f"run-{name}", 0, Kind.MEMORY_WRITTEN, **told))
        memory._journal.wait(10)

    def recalled() -> list[str]:
        memory._hear_others()
        return sorted(hit.id for hit in memory._recall.search("fiscal note", scope, 10))

    def work(answers: "multiprocessing.connection.Connection") -> None:
        remember("child")
        answers.send(recalled())

    remember("parent")
    recalled()
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(target=work, args=(theirs,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of threads beside a fork: that is the case
        process.start()
    found = ours.recv() if ours.poll(30) else []
    process.join(30)
    remember("later")
    say({"child": found, "code": process.exitcode, "parent": recalled()})
    await memory.close()


async def watch_opens(home: Path) -> None:
    """Say which files Python itself opened while a memory did all that it can do."""
    opened: list[str] = []
    sys.addaudithook(lambda name, arguments: opened.append(str(arguments[0])) if name == "open" else None)
    memory = DuckDBMemory(home, merge_seconds=0.01)
    memory.append(event("r1", 0, Kind.RUN_STARTED))
    await memory.barrier()
    await memory.runs()
    await memory.events("r1")
    await memory.snapshot(home / "copy.duckdb")
    await memory.close()
    say(opened)


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    asyncio.run(globals()[what](Path(where), *rest))
