"""Plays hostile statements against a file database: without a gate first, then as the tool does. Runs as the user of a
room (`tests.hostile.room`), says what each achieved, one line of JSON each.

    python -m tests.readonly.driver '{"kind": "duckdb", "home": …, "attacks": [[id, sql, oracle], …]}'
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.readonly.worlds import GRANTED, ROOT, Attack, Seen, World, connect, settings_of
from workbench.core.connections import Connection
from workbench.core.tools import ToolCall
from workbench.policy.connections import connection_services, granting
from workbench.readonly.rows import MAX_BYTES, MAX_ROWS
from workbench.registry.spec import describe
from workbench.sandbox.base import Sandbox
from workbench.sandbox.choose import ChosenSandbox
from workbench.sandbox.doors import Doors

BARE_SECONDS = 6.0
SECONDS = 8.0
"""Deadlines of one statement without a gate, and of one call."""
BARE_MEMORY = 2 << 30
SHOWN_ROWS = 200_000
_MISSING = re.compile(r"(?:Table with name |no such table: |Catalog Error: )([A-Za-z_][\w.]*)(?: does not exist)?")


def bare(attack: Attack, folder: Path, kind: str) -> list[str]:
    """The harms of the statement on an ordinary connection, in a process that is ended at its deadline."""
    world, seen = World(folder / "bare", kind), Seen()
    for _ in range(3):
        seen = _forked(world, attack, kind)
        missing = _MISSING.search(seen.error)
        if missing is None:
            break
        with suppress(Exception):
            world.plant_table(missing[1])
        seen = _forked(world, attack, kind)
    harms = world.harms(attack, seen, max_rows=MAX_ROWS, max_bytes=MAX_BYTES)
    world.close()
    return harms


def _forked(world: World, attack: Attack, kind: str) -> Seen:
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        resource.setrlimit(resource.RLIMIT_DATA, (BARE_MEMORY, BARE_MEMORY))
        os.environ["HOME"] = str(world.folder)
        try:
            seen = _plainly(world.placed(attack.sql), world.database, kind)
        except MemoryError:
            seen = Seen(spent="mem")
        with os.fdopen(writes, "w") as file:
            json.dump(seen.__dict__, file)
        os._exit(0)
    os.close(writes)
    given, deadline = b"", time.monotonic() + BARE_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([reads], [], [], left)
        if not ready:
            break
        data = os.read(reads, 1 << 20)
        if not data:
            break
        given += data
    os.close(reads)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, _, used = os.wait4(child, 0)
    try:
        seen = Seen(**json.loads(given))
    except ValueError:  # it did not come to its end
        seen = Seen(spent="mem" if attack.oracle == "mem" and used.ru_maxrss << 10 > BARE_MEMORY // 2 else "time")
    return seen


def _plainly(sql: str, path: Path, kind: str) -> Seen:
    connection = connect(kind, path)
    before = settings_of(kind, connection)
    seen, texts = Seen(), list[str]()
    try:
        for part in _statements(connection, sql, kind):
            cursor = connection.execute(part)
            for row in _rows(cursor):
                seen.rows += 1
                cells = [str(value) for value in row]
                seen.size += sum(map(len, cells))
                if len(texts) < 1000:
                    texts.append("\t".join(cell[:10_000] for cell in cells))
                if seen.rows > SHOWN_ROWS or seen.size > 2 * MAX_BYTES:
                    break
            seen.ran = True
        if kind == "sqlite":
            connection.commit()
    except MemoryError:
        seen.spent = "mem"
    except Exception as error:  # noqa: BLE001 - whatever it is, the statement did not run
        seen.error = str(error)
        if "out of memory" in seen.error.lower() or "failed to allocate" in seen.error.lower():
            seen.spent = "mem"
    seen.text = "\n".join(texts)
    with suppress(Exception):
        after = settings_of(kind, connection)
        seen.conf = tuple(name for name in before if before[name] != after.get(name))
    with suppress(Exception):
        connection.close()
    return seen


def _statements(connection: Any, sql: str, kind: str) -> Iterator[str]:
    """One after the other, as a careless script would run them."""
    if kind == "duckdb":
        yield from (statement.query for statement in connection.extract_statements(sql))
    elif " BEGIN " in sql:
        yield sql
    else:
        yield from (part for part in sql.split(";") if part.strip())


def _rows(cursor: Any) -> Iterator[tuple[Any, ...]]:
    if getattr(cursor, "description", None) is None:
        return
    while found := cursor.fetchmany(1000):
        yield from found


async def gated(attack: Attack, folder: Path, kind: str, sandbox: Sandbox, home: Path) -> tuple[list[str], str]:
    """The harms of the statement through the tool in its worker, and how the call ended."""
    world = World(folder / "gated", kind)
    for name in set(re.findall(r"(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+([A-Za-z_][\w.]*)", attack.sql)) - {"sales"}:
        with suppress(Exception):
            world.plant_table(name)
    connections = {"shop": Connection(kind=kind, path=world.database, tables=GRANTED)}
    path = ROOT / "tools" / "query_database.py"
    tool = describe(path.read_bytes(), path, "shipped")
    assert tool is not None
    params = {"connection": "shop", "sql": world.placed(attack.sql)}
    call = granting(connections, ToolCall(run="r1", step="s1", tool=tool, params=params, timeout=SECONDS))
    doors = Doors()
    started = time.monotonic()
    result = await sandbox.run(call, connection_services(connections, {}, call, doors), home / "artifacts", doors=doors)
    taken = time.monotonic() - started
    seen = Seen(ran=result.status == "ok", error=result.error, text=json.dumps(result.value, default=str) + result.text)
    if attack.oracle not in ("mem", "time") and taken > SECONDS + 5:
        seen.spent = "time"
    for artifact in result.artifacts:
        from workbench.sandbox.frames import read_frame

        frame = read_frame(home / "artifacts" / artifact.path)
        seen.rows, seen.size = len(frame), artifact.bytes
        seen.text += frame.to_csv()
    harms = world.harms(attack, seen, max_rows=MAX_ROWS, max_bytes=2 * MAX_BYTES)
    world.close()
    return harms, f"{result.status}: {result.error}"


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def main() -> None:
    spec = json.loads(sys.stdin.read())
    home, kind = Path(spec["home"]), spec["kind"]
    attacks = [Attack(*told) for told in spec["attacks"]]
    import duckdb  # noqa: F401 - imported before the forks, used after them

    shown = {attack.id: bare(attack, home / attack.id, kind) for attack in attacks}
    slots = asyncio.Semaphore(2)
    sandbox = ChosenSandbox(home / "workbench", home / "project")
    level = await sandbox.prepare()

    async def play(attack: Attack) -> None:
        async with slots:
            harms, end = await gated(attack, home / attack.id, kind, sandbox, home / "workbench")
        say({"id": attack.id, "bare": shown[attack.id], "gated": harms, "end": end})

    await asyncio.gather(*map(play, attacks))
    await sandbox.close()
    say({"level": level, "peak": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10})


if __name__ == "__main__":
    asyncio.run(main())
