"""What every memory must do, as probes that any backend can be held to: ours, or a plug-in's.

    problems = await check(fresh)        # {} when the backend keeps the contract of `memory.base`

`fresh()` gives a way to open memories on a new, empty store; each opening is what another process would get. One file,
though long: whoever writes a backend reads here, from top to bottom, what it has to do.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused, Unavailable
from workbench.core.events import AnyEvent, Event, Kind, UnknownEvent
from workbench.core.request import Scope
from workbench.core.usage import Use
from workbench.memory import engine
from workbench.memory.base import Memory

Open = Callable[[], Memory]
Probe = Callable[[Open], Awaitable[None]]

HERE = Scope(user="ann", workspace="sales", session="one")
_TEXTS = ("\ud800 half a pair \udfff", "nul \x00 inside", "", "{{x}} {0} %s $HOME", "naïve 数据 🙂", '"\\ \n\r\t\u2028')


class Broken(AssertionError):
    """The backend does not keep the contract; the message says which part."""


async def check(fresh: Callable[[], Open]) -> Mapping[str, str]:
    """The probes that fail → why. Each has a store of its own."""
    problems = {}
    for name, probe in PROBES.items():
        try:
            await probe(fresh())
        except Exception as error:  # noqa: BLE001 - a backend may fail in ways of its own; each costs one probe
            problems[name] = f"{type(error).__name__}: {error}"
    return problems


async def acknowledged_events_come_back_in_order(open_: Open) -> None:
    events = _run("r1", 30)
    async with _opened(open_) as memory:
        for event in events:
            memory.append(event)
        await memory.barrier()
        _same(await memory.events("r1"), events)
    async with _opened(open_) as other:
        _same(await other.events("r1"), events)
        _expect(list(await other.events("nothing")) == [], "a run that is not there has no events")


async def own_events_are_read_before_they_are_durable(open_: Open) -> None:
    async with _opened(open_) as memory:
        memory.append(_event("r1", 0, Kind.RUN_STARTED, request="x", user="ann"))
        _expect(len(await memory.events("r1")) == 1, "an appended event is not read back")
        memory.append(_memory("r1", 1, "m1", "the fiscal year starts in April"))
        _expect(
            await _found(memory, "when does the fiscal year start") == ["m1"], "an own memory is not recalled at once"
        )


async def an_event_that_arrives_twice_is_there_once(open_: Open) -> None:
    events = _run("r1", 5)
    async with _opened(open_) as memory:
        for event in (*events, *events):
            memory.append(event)
        await memory.barrier()
    async with _opened(open_) as memory:
        memory.append(events[0])
        await memory.barrier()
        _same(await memory.events("r1"), events)
    async with _opened(open_) as memory:
        _same(await memory.events("r1"), events)
        _expect(len(await memory.runs()) == 1, "a run is listed twice")


async def events_of_unknown_kinds_are_kept(open_: Open) -> None:
    body = {"deep": [{"x": 1.5, "big": 2**70, "none": None}]}
    event = UnknownEvent(run="r1", seq=0, at=_at(0), kind="from.the.future", step="s1", attempt=3, v=9, body=body)
    async with _opened(open_) as memory:
        memory.append(event)
        await memory.barrier()
    async with _opened(open_) as memory:
        _same(await memory.events("r1"), [event])


async def any_text_survives(open_: Open) -> None:
    texts = [*_TEXTS, "m" * 1_000_000]
    events: list[AnyEvent] = [_event("r1", n, Kind.STEP_PROGRESS, step="s1", text=text) for n, text in enumerate(texts)]
    async with _opened(open_) as memory:
        for event in events:
            memory.append(event)
        await memory.barrier()
    async with _opened(open_) as memory:
        _same(await memory.events("r1"), events)
        _expect(list(await memory.recall("\ud800 \x00", HERE)) == [], "an odd question finds something")
        _expect(list(await memory.events("\ud800")) == [], "an odd id finds something")


async def runs_are_found_by_what_their_steps_compute(open_: Open) -> None:
    async with _opened(open_) as memory:
        for number in range(60):
            run, user = f"r{number:02}", "bob" if number == 1 else "ann"
            memory.append(_event(run, 0, Kind.RUN_STARTED, request="x", user=user))
            memory.append(_event(run, 1, Kind.STEP_INTENT, step="s1", identity="old" if number < 3 else f"i{number}"))
            if number != 2:
                memory.append(_event(run, 2, Kind.STEP_DONE, step="s1", value=1))
            memory.append(_event(run, 3, Kind.STEP_DONE, step="s2", value=1, identity="taken"))
        await memory.barrier()
    async with _opened(open_) as memory:
        _expect(list(await memory.done_before(["old", "none"], "ann")) == ["r00"], "the oldest run is not found")
        _expect(list(await memory.done_before(["old"], "bob")) == ["r01"], "another user's run is found")
        newest = list(await memory.done_before(["i7", "i9", "taken"], "ann", 3))
        _expect(newest == ["r59", "r58", "r57"], "the newest do not come first, or too many come")
        _expect(list(await memory.done_before([], "ann")) == [], "nothing asked for, and something found")


async def a_run_is_found_by_the_beginning_of_its_id(open_: Open) -> None:
    async with _opened(open_) as memory:
        for run in ("20260101-aa", "20260101-ab", "20260101"):
            memory.append(_event(run, 0, Kind.RUN_STARTED, request=run, user="ann"))
        _expect((await memory.events("20260101-aa"))[0].run == "20260101-aa", "a whole id does not find its run")
        _expect((await memory.events("20260101"))[0].run == "20260101", "a whole id is taken for a beginning")
        _expect(
            [e.run for e in await memory.events("20260101-ab"[:11])] == ["20260101-ab"], "a beginning finds nothing"
        )
        try:
            await memory.events("2026")
        except Refused:
            return
        raise Broken("an id that could be several runs is not refused")


async def runs_are_listed_newest_first_by_user(open_: Open) -> None:
    async with _opened(open_) as memory:
        for n, user in enumerate(("ann", "bob", "ann")):
            memory.append(_event(f"r{n}", 0, Kind.RUN_STARTED, at=_at(n), request=f"request {n}", user=user))
        memory.append(_event("r2", 1, Kind.PLAN_MADE, plan={"steps": []}, planner="model", model="m-1"))
        memory.append(_event("r2", 2, Kind.MODEL_CALLED, usd="0.25", tokens_in=7, tokens_out=3))
        memory.append(_event("r2", 3, Kind.RUN_DONE, status="done", seconds=1.5, answer={"text": "42"}))
        rows = await memory.runs()
        _expect([row["run"] for row in rows] == ["r2", "r1", "r0"], f"runs are not newest first: {rows}")
        newest = rows[0]
        _expect((newest["request"], newest["status"], newest["model"]) == ("request 2", "done", "m-1"), f"{newest}")
        _expect((newest["seconds"], str(newest["usd"])) == (1.5, "0.25"), f"{newest}")
        _expect(rows[1]["status"] == "running", "a run without an end is not shown as running")
        _expect([row["run"] for row in await memory.runs(5, user="bob")] == ["r1"], "runs of other users are listed")
        _expect(len(await memory.runs(1)) == 1, "the limit is not kept")


async def what_was_replayed_or_imported_is_not_spent(open_: Open) -> None:
    cost: dict[str, Any] = {"tokens_in": 100, "tokens_out": 10, "usd": "0.5", "seconds": 2.0}
    imported = {"user": "eve", "workspace": "theirs", "sha256": ""}
    picture: dict[str, Any] = {"path": "r2/s1.png", "mime": "image/png"}
    events = [
        _event("r1", 0, Kind.RUN_STARTED, request="x", user="ann", imported=imported, at=_at(1)),
        _event("r1", 1, Kind.MODEL_CALLED, **cost, at=_at(2)),
        _event("r1", 2, Kind.RUN_DONE, status="done", at=_at(3)),
        _event("r2", 0, Kind.RUN_STARTED, request="x", user="ann", at=_at(4)),
        _event("r2", 1, Kind.MODEL_CALLED, **cost, replayed=True, at=_at(5)),
        _event("r2", 2, Kind.TOOL_CALLED, step="s1", seconds=1.0, replayed=True, at=_at(6)),
        _event("r2", 3, Kind.ARTIFACT_MADE, step="s1", **picture, at=_at(7)),
        _event("r2", 4, Kind.RUN_DONE, status="done", at=_at(8)),
    ]
    async with _opened(open_) as memory:
        for event in events:
            memory.append(event)
        await memory.barrier()
        used = await memory.spent("ann", datetime(2020, 1, 1, tzinfo=UTC))
        _expect(used == Use(usd=used.usd) and used.usd == 0, f"what cost nothing here is counted: {used}")
        memory.append(_event("r3", 0, Kind.RUN_STARTED, request="x", user="ann", at=_at(9)))
        memory.append(_event("r3", 1, Kind.MODEL_CALLED, **cost, at=_at(10)))
        await memory.barrier()
        used = await memory.spent("ann", datetime(2020, 1, 1, tzinfo=UTC))
        _expect((used.calls, used.tokens) == (1, 110), f"a call that was made is not counted: {used}")
        rows = await memory.runs(user="ann")
        _expect([row["imported"] for row in rows] == [None, None, "eve"], "whose run it was elsewhere is not listed")


async def recall_stays_in_its_scope(open_: Open) -> None:
    async with _opened(open_) as memory:
        memory.append(_memory("r1", 0, "mine", "revenue excludes refunds"))
        memory.append(_memory("r1", 1, "everywhere", "revenue is in euros", workspace=""))
        memory.append(_memory("r1", 2, "elsewhere", "revenue counts tickets", workspace="other"))
        memory.append(_memory("r1", 3, "foreign", "revenue of bob", user="bob"))
        memory.append(_memory("r1", 4, "gone", "revenue was forgotten"))
        memory.append(_event("r1", 5, Kind.MEMORY_FORGOTTEN, id="gone"))
        await memory.barrier()
        _expect(sorted(await _found(memory, "revenue")) == ["everywhere", "mine"], "recall leaves its scope")
    async with _opened(open_) as other:
        _expect(sorted(await _found(other, "revenue")) == ["everywhere", "mine"], "recall of another leaves its scope")


async def recall_ranks_and_explains(open_: Open) -> None:
    async with _opened(open_) as memory:
        for n, text in enumerate(
            ("Refunds are issued after the closing date", "Ticket ERR-4042 is about refunds", "The office is in Lisbon")
        ):
            memory.append(_memory("r1", n, f"m{n}", text))
        hits = await memory.recall("what was ERR-4042 about?", HERE)
        _expect(hits[0].id == "m1", "an exact identifier is not first")
        hits = await memory.recall("refunding closed dates", HERE)
        _expect(hits[0].id == "m0", "inflected words do not match")
        _expect(
            all(0 <= hit.score <= 1 and hit.why and hit.source and hit.at for hit in hits), f"a hit is bare: {hits}"
        )
        _expect(len(await memory.recall("refunds", HERE, 1)) == 1, "the limit is not kept")
        _expect(list(await memory.recall("zebra", HERE)) == [], "an unrelated question finds something")


async def what_others_write_is_found(open_: Open) -> None:
    async with _opened(open_) as memory, _opened(open_) as other:
        _expect(await _found(memory, "fiscal year") == [], "an empty memory finds something")
        for n in range(3):
            other.append(_memory(f"r{n}", 0, f"m{n}", f"fiscal year note {n}"))
            await other.barrier()
            _expect(len(await _found(memory, "fiscal year")) == n + 1, "what another wrote is not found")
        other.append(_event("r9", 0, Kind.MEMORY_FORGOTTEN, id="m0"))
        await other.barrier()
        _expect(sorted(await _found(memory, "fiscal year")) == ["m1", "m2"], "what another forgot is still found")


async def a_memory_is_pinned_and_unpinned_by_its_user_alone(open_: Open) -> None:
    async with _opened(open_) as memory:
        memory.append(_event("r0", 0, Kind.MEMORY_PINNED, id="late", pinned=True, user="ann"))  # heard before its text
        for n, name in enumerate(("one", "two", "late")):
            memory.append(_memory("r1", n, name, f"fiscal year note {name}"))
        memory.append(_event("r2", 0, Kind.MEMORY_PINNED, id="one", pinned=True, user="ann", at=_at(1)))
        memory.append(_event("r3", 0, Kind.MEMORY_PINNED, id="two", pinned=True, user="bob", at=_at(1)))
        await memory.barrier()
    async with _opened(open_) as memory:
        pinned = sorted(hit.id for hit in await memory.memories(HERE) if hit.pinned)
        _expect(pinned == ["late", "one"], f"pinned are {pinned}")
        memory.append(_event("r4", 0, Kind.MEMORY_PINNED, id="one", pinned=False, user="ann", at=_at(2)))
        await memory.barrier()
        pinned = [hit.id for hit in await memory.recall("fiscal year", HERE) if hit.pinned]
        _expect(pinned == ["late"], f"pinned are {pinned} after one was unpinned")


async def a_correction_takes_the_place_of_what_it_corrects(open_: Open) -> None:
    async with _opened(open_) as memory:
        memory.append(_memory("r1", 0, "old", "revenue is in euros"))
        memory.append(_memory("r1", 1, "foreign", "revenue of bob", user="bob"))
        memory.append(_memory("r1", 2, "new", "revenue is now in dollars", closes=["old", "foreign"]))
        await memory.barrier()
    async with _opened(open_) as memory:
        _expect(await _found(memory, "revenue") == ["new"], "what was corrected is still found")
        listed = [(hit.id, hit.closed_by) for hit in await memory.memories(HERE)]
        _expect(listed == [("new", ""), ("old", "new")], f"not newest first, with what was closed: {listed}")
        bobs = Scope(user="bob", workspace="sales", session="two")
        _expect(
            [hit.id for hit in await memory.recall("revenue", bobs)] == ["foreign"], "a user closes another's memory"
        )
        memory.append(_event("r2", 0, Kind.MEMORY_FORGOTTEN, id="new"))
        _expect(await _found(memory, "revenue") == ["old"], "a forgotten correction still closes")


async def a_snapshot_can_be_queried(open_: Open) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.duckdb"
        async with _opened(open_) as memory:
            for event in _whole_run("r1"):
                memory.append(event)
            await memory.snapshot(path)
            await memory.snapshot(path)  # over an older one
            with engine.connect(path) as copy:
                for query, wanted in _QUERIES.items():
                    rows = copy.execute(query).fetchall()
                    _expect(rows == wanted, f"{query} gave {rows}, not {wanted}")
            _expect(os.listdir(folder) == [path.name], "a snapshot is more than one file")  # noqa: PTH208 - see ASYNC240


async def pages_give_every_event_once_in_the_order_in_which_they_came(open_: Open) -> None:
    async with _opened(open_) as memory, _opened(open_) as other:
        events = [event for run in ("r2", "r1") for event in _run(run, 12)]
        for event in events:
            memory.append(event)
        await memory.barrier()
        found: list[AnyEvent] = []
        position = 0
        while (page := await other.page(position, 5)).events:
            _expect(len(page.events) <= 5 and page.position > position, "a page is too long, or does not go on")
            found, position = [*found, *page.events], page.position
        _same(found, events)
        other.append(_event("r3", 0, Kind.RUN_STARTED, request="x", user="bob"))
        await other.barrier()
        _same([*(await memory.page(position)).events], [_event("r3", 0, Kind.RUN_STARTED, request="x", user="bob")])


async def a_user_reads_their_own_record_and_no_other(open_: Open) -> None:
    async with _opened(open_) as memory:
        for user in ("ann", "bob"):
            memory.append(_event(f"r-{user}", 0, Kind.RUN_STARTED, request=f"request of {user}", user=user))
            memory.append(_event(f"r-{user}", 1, Kind.STEP_PROGRESS, step="s1", text=f"a text of {user}"))
            memory.append(_memory(f"m-{user}", 0, f"m-{user}", f"a memory of {user}", user=user))
        await memory.barrier()
    with tempfile.TemporaryDirectory() as folder:
        async with _opened(open_) as memory:
            page = await memory.page(user="ann")
            _expect([event.run for event in page.events] == ["r-ann", "r-ann", "m-ann"], f"not ann's record: {page}")
            _expect(len(await memory.events("r-", user="ann")) == 2, "of two runs only one is ann's, and is not found")
            _expect(list(await memory.events("r-bob", user="ann")) == [], "ann reads a run of bob's")
            _expect(len(await memory.events("m-bob", user="bob")) == 1, "bob does not find what he remembered")
            path = Path(folder) / "copy.duckdb"
            await memory.snapshot(path, user="ann")
            with engine.connect(path) as copy:
                rows = copy.execute("select run, body::varchar from events order by run").fetchall()
            _expect([row[0] for row in rows] == ["m-ann", "r-ann", "r-ann"], f"not ann's record: {rows}")
            _expect("bob" not in str(rows), "a copy for ann holds something of bob's")


async def what_is_erased_is_gone_for_all_and_does_not_come_back(open_: Open) -> None:
    async with _opened(open_) as memory, _opened(open_) as other:
        for run in ("r1", "r2"):
            memory.append(_event(run, 0, Kind.RUN_STARTED, request=f"request {run}", user="ann"))
            memory.append(_memory(run, 1, f"m-{run}", f"revenue as {run} has it"))
            memory.append(_event(run, 2, Kind.RUN_DONE, status="done"))
        await memory.barrier()
        _expect(sorted(await _found(other, "revenue")) == ["m-r1", "m-r2"], "what another wrote is not found")
        _expect(list(await memory.erase(["r1", "nothing"])) == [], "something is left")
        _expect(list(await memory.erase(["r1"])) == [], "to erase again is an error")
        for one in (memory, other):
            _expect(list(await one.events("r1")) == [], "an erased run is still there")
            _expect(await _found(one, "revenue") == ["m-r2"], "an erased memory is still found")
            _expect([row["run"] for row in await one.runs()] == ["r2"], "an erased run is listed")
            _expect("r1" in await one.erased(), "nobody knows that the run was erased")
            _expect({event.run for event in (await one.page()).events} == {"r2"}, "a page holds an erased run")
        _same(await other.events("r2"), [*await memory.events("r2")])
        other.append(_memory("r1", 1, "m-r1", "revenue as r1 has it"))
        await other.barrier()
    async with _opened(open_) as memory:
        _expect(list(await memory.events("r1")) == [], "an erased run came back")
        _expect(await _found(memory, "revenue") == ["m-r2"], "an erased memory came back")
        _expect(len(await memory.events("r2")) == 3, "erasing takes more than it should")


async def after_close_nothing_is_taken(open_: Open) -> None:
    memory = open_()
    memory.append(_event("r1", 0, Kind.RUN_STARTED))
    await memory.close()
    await memory.close()
    try:
        memory.append(_event("r1", 1, Kind.RUN_DONE))
    except Unavailable:
        pass
    else:
        raise Broken("a closed memory takes events")
    async with _opened(open_) as other:
        _expect(len(await other.events("r1")) == 1, "closing loses an event")


PROBES: Mapping[str, Probe] = {
    probe.__name__: probe
    for probe in (
        acknowledged_events_come_back_in_order,
        own_events_are_read_before_they_are_durable,
        an_event_that_arrives_twice_is_there_once,
        events_of_unknown_kinds_are_kept,
        any_text_survives,
        a_run_is_found_by_the_beginning_of_its_id,
        runs_are_found_by_what_their_steps_compute,
        runs_are_listed_newest_first_by_user,
        what_was_replayed_or_imported_is_not_spent,
        recall_stays_in_its_scope,
        recall_ranks_and_explains,
        what_others_write_is_found,
        a_memory_is_pinned_and_unpinned_by_its_user_alone,
        a_correction_takes_the_place_of_what_it_corrects,
        a_snapshot_can_be_queried,
        pages_give_every_event_once_in_the_order_in_which_they_came,
        a_user_reads_their_own_record_and_no_other,
        what_is_erased_is_gone_for_all_and_does_not_come_back,
        after_close_nothing_is_taken,
    )
}

_QUERIES: Mapping[str, list[tuple[Any, ...]]] = {
    "select count(*) from events": [(17,)],
    "select status, planner, answer, seconds, usd is null, tokens_in, isolation from runs": [
        ("done", "grammar", "Lisbon", 2.5, True, 30, "kernel")
    ],
    "select step, task, title, state, tries, seconds, error from steps order by number": [
        ("s1", "query_data", "Sum by city", "done", 2, 0.5, None),
        ("s2", "plot", "plot", "failed", 1, 0.1, "no such column"),
        ("s3", "plot", "plot", "blocked", 0, None, None),
    ],
    "select model, tokens_in, tokens_out, usd::varchar from model_calls order by seq": [
        ("m-1", 10, 2, "0.0001000000"),
        ("m-2", 20, 4, None),
    ],
    "select step, tool, status, request_sha256, isolation from tool_calls": [
        ("s1", "query_data", "ok", "abc", "process")
    ],
    "select step, path, mime, bytes, rows, title from artifacts": [("s1", "r1/t.arrow", "text/x", 9, 3, "cities")],
    'select id, "user", workspace, kind, text, source, forgotten from memories': [
        ("m1", "ann", "sales", "fact", "cities are Portuguese", "r1/s1", True)
    ],
}


def _whole_run(run: str) -> list[AnyEvent]:
    steps = [
        {"id": "s1", "task": "query_data", "title": "Sum by city", "params": {"sql": "select 1"}},
        {"id": "s2", "task": "plot", "params": {}},
        {"id": "s3", "task": "plot", "params": {}},
    ]
    error = {"kind": "ToolFailed", "message": "no such column", "hint": ""}
    told: list[tuple[Kind, str | None, dict[str, Any]]] = [
        (Kind.RUN_STARTED, None, {"request": "which city", "user": "ann", "isolation": "process"}),
        (Kind.MODEL_CALLED, None, {"model": "m-1", "tokens_in": 10, "tokens_out": 2, "usd": "0.0001"}),
        (Kind.MODEL_CALLED, None, {"model": "m-2", "tokens_in": 20, "tokens_out": 4, "usd": None}),
        (Kind.PLAN_MADE, None, {"plan": {"steps": steps}, "planner": "grammar", "model": "", "isolation": "kernel"}),
        (Kind.STEP_INTENT, "s1", {"tool": "query_data"}),
        (Kind.STEP_STARTED, "s1", {"try": 1}),
        (Kind.STEP_RETRIED, "s1", {"try": 1, "error": "busy", "wait": 0.1}),
        (Kind.STEP_STARTED, "s1", {"try": 2}),
        (
            Kind.TOOL_CALLED,
            "s1",
            {"tool": "query_data", "status": "ok", "request_sha256": "abc", "isolation": "process", "seconds": 0.4},
        ),
        (Kind.ARTIFACT_MADE, "s1", {"path": "r1/t.arrow", "mime": "text/x", "bytes": 9, "rows": 3, "title": "cities"}),
        (Kind.STEP_DONE, "s1", {"value": 1, "seconds": 0.5}),
        (Kind.STEP_STARTED, "s2", {"try": 1}),
        (Kind.STEP_FAILED, "s2", {"error": error, "seconds": 0.1}),
        (Kind.STEP_BLOCKED, "s3", {"by": ["s2"]}),
    ]
    events: list[AnyEvent] = [_event(run, n, kind, step=step, **body) for n, (kind, step, body) in enumerate(told)]
    remembered = _memory(run, len(events), "m1", "cities are Portuguese", step="s1")
    forgotten = _event(run, len(events) + 1, Kind.MEMORY_FORGOTTEN, id="m1")
    answer = {"text": "Lisbon", "planner": "grammar"}
    return [
        *events,
        remembered,
        forgotten,
        _event(run, len(events) + 2, Kind.RUN_DONE, status="done", answer=answer, seconds=2.5),
    ]


def _run(run: str, count: int) -> list[AnyEvent]:
    opening = _event(run, 0, Kind.RUN_STARTED, request="x", user="ann")
    return [opening, *(_event(run, n, Kind.STEP_PROGRESS, step="s1", text=f"line {n}") for n in range(1, count))]


def _event(run: str, seq: int, kind: Kind, *, step: str | None = None, at: str = "", **body: Any) -> Event:
    return Event(run=run, seq=seq, at=at or _at(seq), kind=kind, step=step, body=body)


def _memory(
    run: str,
    seq: int,
    name: str,
    text: str,
    *,
    user: str = "ann",
    workspace: str = "sales",
    step: str | None = None,
    **more: Any,
) -> Event:
    scope = {"user": user, "workspace": workspace, "session": "one", "persona": ""}
    source = f"{run}/{step}" if step else run
    body: dict[str, Any] = {"id": name, "scope": scope, "memory_kind": "fact", "text": text, "source": source}
    body |= more
    return _event(run, seq, Kind.MEMORY_WRITTEN, step=step, **body)


def _at(second: int) -> str:
    return f"2026-01-01T12:{second // 60:02}:{second % 60:02}.000001+00:00"


async def _found(memory: Memory, question: str) -> list[str]:
    return [hit.id for hit in await memory.recall(question, HERE, 10)]


class _opened:  # noqa: N801 - read as a word: `async with _opened(open_) as memory`
    def __init__(self, open_: Open) -> None:
        self._memory = open_()

    async def __aenter__(self) -> Memory:
        return self._memory

    async def __aexit__(self, *reason: object) -> None:
        await self._memory.close()


def _same(found: Any, wanted: list[AnyEvent]) -> None:
    if list(found) != wanted:
        raise Broken(f"{len(found)} events came back, not the same {len(wanted)}: {str(list(found))[:200]}")


def _expect(condition: bool, why: str) -> None:
    if not condition:
        raise Broken(why)
