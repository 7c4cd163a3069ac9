"""What an acknowledged event costs, beside the two things it could be compared with, in one run.

    python tests/benchmarks/bench_memory.py [seconds] [processes]

journal: `append` and `barrier` of the memory, one event after another. group: the same with 16 waiting at once.
fdatasync: the same bytes appended to a bare file and synced, the floor. lock and connect: flock, `duckdb.connect`,
insert, close: what sharing one DuckDB file costs without journals. sqlite: one SQLite file that all share, WAL and
synchronous=FULL, by apsw, whose SQLite has the mended WAL. Ratios count; times depend on the disk.

At the end four processes write 2,000 events each, and every one of them is looked for.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from workbench.core.events import Event, Kind, dumps
from workbench.memory import locks
from workbench.memory.duckdb import DuckDBMemory
from workbench.memory.store import Store


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


Bench = Callable[[Path, float], list[float]]


def event(seq: int) -> Event:
    body = {"tool": "query_data", "version": "a" * 64, "status": "ok", "seconds": 0.25, "isolation": "process"}
    return Event(
        run=f"bench-{os.getpid()}", seq=seq, at="2026-01-01T12:00:00.000001+00:00", kind=Kind.TOOL_CALLED, body=body
    )


def journal(home: Path, seconds: float, together: int = 1) -> list[float]:
    """Seconds per acknowledgement."""

    async def write() -> list[float]:
        memory, took, seq = DuckDBMemory(home), [], 0
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            started = time.perf_counter()
            for _ in range(together):
                memory.append(event(seq))
                seq += 1
            await memory.barrier()
            took += [time.perf_counter() - started] * together
        await memory.close()
        return took

    return asyncio.run(write())


def group(home: Path, seconds: float) -> list[float]:
    return journal(home, seconds, together=16)


def fdatasync(home: Path, seconds: float) -> list[float]:
    took, seq = [], 0
    descriptor = os.open(home / f"raw-{os.getpid()}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        os.write(descriptor, dumps(event(seq)) + b"\n")
        os.fdatasync(descriptor)
        took.append(time.perf_counter() - started)
        seq += 1
    os.close(descriptor)
    return took


def lock_and_connect(home: Path, seconds: float) -> list[float]:
    import duckdb

    took, seq = [], 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        with (
            locks.held(home / "lock", 60),
            duckdb.connect(str(home / "shared.duckdb"), config={"threads": 1}) as shared,
        ):
            shared.execute("create table if not exists events (id varchar, line varchar)")
            shared.execute("insert into events values (?, ?)", [event(seq).id, dumps(event(seq)).decode()])
        took.append(time.perf_counter() - started)
        seq += 1
    return took


def sqlite(home: Path, seconds: float) -> list[float]:
    import apsw

    took, seq = [], 0
    connection = apsw.Connection(str(home / "shared.sqlite"))
    connection.set_busy_timeout(60_000)
    list(connection.execute("pragma journal_mode=wal"))
    connection.execute("pragma synchronous=full")
    connection.execute("create table if not exists events (id text, line text)")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        connection.execute("insert into events values (?, ?)", (event(seq).id, dumps(event(seq)).decode()))
        took.append(time.perf_counter() - started)
        seq += 1
    connection.close()
    return took


def two_thousand(home: Path, seconds: float) -> list[float]:
    """So many acknowledged events, however long it takes."""

    async def write() -> list[float]:
        memory, took = DuckDBMemory(home), []
        for seq in range(2_000):
            started = time.perf_counter()
            memory.append(event(seq))
            await memory.barrier()
            took.append(time.perf_counter() - started)
        await memory.close()
        return took

    return asyncio.run(write())


BENCHES: dict[str, Bench] = {
    "fdatasync": fdatasync,
    "journal": journal,
    "group": group,
    "lock_and_connect": lock_and_connect,
    "sqlite": sqlite,
    "two_thousand": two_thousand,
}


def measure(name: str, seconds: float, processes: int) -> tuple[float, float]:
    """Acknowledged rows a second over all processes, and the median seconds of one."""
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as home:
        command = [sys.executable, __file__, "child", name, home, str(seconds)]
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
        took = [float(word) for child in children for word in child.communicate()[0].split()]
        if any(child.returncode for child in children):
            raise SystemExit(f"{name}: a process failed")
        if name in ("journal", "group", "two_thousand"):
            store = Store(Path(home), wait=30)
            found = ask(store, "select count(*) from events")
            store.close()
            assert found == [(len(took),)], f"{found} events for {len(took)} acknowledgements"
    return len(took) / seconds, statistics.median(took)


def ask(store: Store, query: str) -> list[tuple[int]]:
    return store.read(lambda connection: connection.execute(query).fetchall())


def tables(events: int = 100_000) -> None:
    """How long the views take over so many events, and taking them over from a journal."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "journal").mkdir()
        with (home / "journal" / "a.jsonl").open("wb") as file:
            for n in range(events):
                run, seq = divmod(n, 20)
                kind = Kind.RUN_STARTED if not seq else Kind.RUN_DONE if seq == 19 else Kind.STEP_DONE
                body = {"request": "x" * 80, "user": "ann", "status": "done", "value": list(range(50)), "seconds": 0.1}
                line = Event(
                    run=f"20260101-{run:06}", seq=seq, at="2026-01-01T12:00:00+00:00", kind=kind, step="s1", body=body
                )
                file.write(dumps(line) + b"\n")
        store = Store(home)
        started = time.perf_counter()
        holds = []
        complete = False
        while not complete:
            began = time.perf_counter()
            complete = store.merge()
            holds.append(time.perf_counter() - began)
        took = time.perf_counter() - started
        median = statistics.median(holds) * 1e3
        say(f"\nmerging {events:,} events: {took:.1f} s, {events / took:,.0f} rows/s")
        say(f"a hold: median {median:.0f} ms, longest {max(holds) * 1e3:.0f} ms (with imports, tables, checkpoints)")
        for query in ("select count(*) from runs", "select count(*) from steps", "select count(*) from tool_calls"):
            started = time.perf_counter()
            ask(store, query)
            say(f"{query}: {(time.perf_counter() - started) * 1e3:.0f} ms, lock and attach included")
        store.close()


def main(seconds: int = 3, processes: int = 4) -> None:
    for count in dict.fromkeys((1, processes)):
        say(f"\n{count} process{'es' * (count > 1)}, {seconds} s each")
        rates = {name: measure(name, seconds, count) for name in BENCHES if name != "two_thousand"}
        for name, (rate, median) in rates.items():
            say(f"  {name:<18}{rate:>10,.0f} rows/s   p50 {median * 1e3:>8.3f} ms")
        faster = rates["journal"][0] / rates["lock_and_connect"][0]
        slower = rates["journal"][1] / rates["fdatasync"][1]
        against = rates["journal"][0] / rates["sqlite"][0]
        say(f"  journal: {faster:.1f} x the rows of lock and connect, {against:.1f} x those of SQLite (WAL, FULL),")
        say(f"  p50 {slower:.1f} x a bare fdatasync")
    started = time.perf_counter()
    _, median = measure("two_thousand", 1, 4)
    took = time.perf_counter() - started
    say(f"\n4 processes x 2,000 writes: 0 errors, 8,000 found, {took:.1f} s, p50 {median * 1e3:.2f} ms")
    tables()


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        _, _, name, home, length = sys.argv
        say(" ".join(map(str, BENCHES[name](Path(home), float(length)))))
    else:
        main(*map(int, sys.argv[1:]))
