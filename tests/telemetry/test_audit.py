"""The audit trail: every change to it is found and its place named, and a killed process is no change."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workbench.cli import main
from workbench.core.errors import Unavailable
from workbench.core.events import Event, Kind
from workbench.core.settings import Settings
from workbench.core.tools import digest
from workbench.memory.volatile import InMemoryMemory
from workbench.models.testing import TestModel
from workbench.policy.approval import nobody
from workbench.telemetry.anchor import read_anchor, write_anchor
from workbench.telemetry.audit import Trail, trail_of
from workbench.telemetry.verify import verify
from workbench.workbench import Workbench


def record(trail: Trail, number: int = 0, **fields: Any) -> None:
    trail.append(
        **{
            "at": "2026-11-27T12:00:00.000000+00:00",
            "user": "ann",
            "run": f"r{number}",
            "step": "s1",
            "kind": "tool",
            "level": "process",
            "decision": "",
            "facts": {"tool": "query_data", "version": "v" * 64},
            "request": digest(number),
            "response": digest([number]),
            **fields,
        }
    )


def filled(folder: Path, count: int) -> Trail:
    trail = trail_of(folder / "home", folder / "config")
    for number in range(count):
        record(trail, number)
    return trail


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return filled(tmp_path, 8)


def lines_of(trail: Trail) -> list[bytes]:
    return trail.path.read_bytes().splitlines(keepends=True)


def test_a_trail_that_nobody_touched_is_whole(trail):
    verdict = verify(trail)
    assert (verdict.ok, verdict.records, verdict.note) == (True, 8, "")
    anchor = read_anchor(trail.anchor)
    assert anchor is not None
    assert verdict.head == anchor.head
    assert verify(trail, verdict.head).ok


def test_nothing_recorded_is_nothing_wrong(tmp_path):
    assert verify(trail_of(tmp_path / "home", tmp_path / "config")).ok


@st.composite
def tampered(draw, lines: list[bytes]) -> tuple[str, list[bytes], int]:
    """A way to harm the trail, what it leaves, and the number of the first record that is not right any more."""
    how = draw(st.sampled_from(["byte", "field", "delete", "swap", "copy", "cut", "empty", "junk", "split"]))
    at = draw(st.integers(0, len(lines) - 1))
    line = lines[at]
    match how:
        case "byte":
            where = draw(st.integers(0, len(line) - 1))
            byte = draw(st.integers(0, 255))
            assume(byte != line[where])
            return how, [*lines[:at], line[:where] + bytes([byte]) + line[where + 1 :], *lines[at + 1 :]], at
        case "field":
            fields = json.loads(line)
            name = draw(st.sampled_from(sorted(set(fields) - {"hash"})))
            fields[name] = "forged"
            if draw(st.booleans()):
                fields["hash"] = digest_of(fields)  # whoever forges can also count
            made = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
            return how, [*lines[:at], made, *lines[at + 1 :]], at
        case "delete":
            return how, [*lines[:at], *lines[at + 1 :]], at
        case "swap":
            other = draw(st.integers(0, len(lines) - 1))
            assume(other != at)
            changed = list(lines)
            changed[at], changed[other] = changed[other], changed[at]
            return how, changed, min(at, other)
        case "copy":
            to = draw(st.integers(0, len(lines)))
            return how, [*lines[:to], line, *lines[to:]], to
        case "cut":
            return how, lines[:at], at
        case "empty":
            return how, [], 0
        case "junk":
            junk = draw(st.binary(min_size=1, max_size=30))
            return how, [*lines[:at], junk + b"\n", *lines[at:]], at
        case _:
            where = draw(st.integers(1, len(line) - 1))
            return how, [*lines[:at], line[:where]], at


def digest_of(fields: dict[str, Any]) -> str:
    from workbench.telemetry.audit import digest as of

    return of(fields)


FOLDER = tempfile.TemporaryDirectory()
TRAIL = filled(Path(FOLDER.name), 8)
LINES = lines_of(TRAIL)


@given(change=tampered(LINES))
def test_any_change_to_the_trail_is_found_and_its_place_named(change):
    how, changed, first = change
    changed_trail = Trail(TRAIL.path.with_name("changed.jsonl"), TRAIL.anchor)
    changed_trail.path.write_bytes(b"".join(changed))
    verdict = verify(changed_trail)
    assert not verdict.ok, how
    assert verdict.at is not None
    # A record that was forged with its hash is sound by itself: then the next one shows it.
    assert first <= verdict.at <= first + 1 or (how == "swap" and verdict.at == first)
    assert str(verdict)


@pytest.mark.parametrize(
    ("change", "fault", "at"),
    [
        (lambda lines: [*lines[:3], lines[3].replace(b'"ann"', b'"bob"'), *lines[4:]], "edited", 3),
        (lambda lines: [*lines[:3], *lines[4:]], "deleted", 3),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "reordered", 3),
        (lambda lines: [*lines[:5], lines[2], *lines[5:]], "inserted", 5),
        (lambda lines: lines[:5], "cut", 5),
        (lambda lines: [*lines, lines[-1]], "inserted", 8),
        (lambda lines: [*lines, b"half a rec"], "edited", 8),
        (lambda lines: [], "no trail", 0),
    ],
)
def test_the_kind_of_harm_has_a_name(trail, change, fault, at):
    trail.path.write_bytes(b"".join(change(lines_of(trail))))
    verdict = verify(trail)
    assert (verdict.ok, verdict.fault, verdict.at) == (False, fault, at)


def test_a_chain_that_was_forged_whole_is_not_the_anchored_one(trail, tmp_path):
    """Somebody who counts every hash anew makes a sound chain, with another head."""
    from workbench.telemetry.anchor import START
    from workbench.telemetry.audit import canonical

    last, forged = START, []
    for line in lines_of(trail):
        fields = json.loads(line) | {"prev": last, "user": "bob"}
        fields["hash"] = last = digest_of(fields)
        forged.append(canonical(fields).encode() + b"\n")
    trail.path.write_bytes(b"".join(forged))
    assert verify(trail).fault == "replaced"


def test_a_swapped_file_and_a_backup_are_found(trail, tmp_path):
    earlier = trail.path.read_bytes()
    record(trail, 8)
    trail.path.write_bytes(earlier)
    assert verify(trail).fault == "cut"
    other = filled(tmp_path / "other", 9)
    trail.path.write_bytes(other.path.read_bytes())
    assert verify(trail).fault == "replaced"


def test_without_its_anchor_nobody_can_say(trail):
    trail.anchor.unlink()
    assert verify(trail).fault == "no anchor"
    record(trail, 9)  # goes on, and heals nothing
    assert not verify(trail).ok


def test_a_noted_head_shows_that_trail_and_anchor_were_both_made_anew(trail):
    noted = verify(trail).head
    record(trail, 8)
    assert verify(trail, noted).ok
    trail.path.unlink()
    trail.anchor.unlink()
    for number in range(20):
        record(trail, number)
    assert verify(trail).ok
    assert verify(trail, noted).fault == "replaced"


def test_after_harm_new_records_do_not_hide_it(trail):
    lines = lines_of(trail)
    trail.path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    record(trail, 8)
    verdict = verify(trail)
    assert (verdict.ok, verdict.at) == (False, 2)


@pytest.mark.parametrize("written", range(0, 420, 7))
def test_a_writer_that_was_killed_at_any_byte_is_no_tampering_and_the_next_one_mends_it(trail, written):
    """What `kill -9` can leave: the line noted, and any beginning of it in the file."""
    whole, anchor, file = trail.path.read_bytes(), read_anchor(trail.anchor), trail.anchor.read_bytes()
    assert anchor is not None
    record(trail, 8)
    line = lines_of(trail)[-1]
    trail.path.write_bytes(whole + line[:written])
    trail.anchor.write_bytes(file)
    write_anchor(trail.anchor, replace(anchor, noted=line.decode().rstrip("\n")))
    verdict = verify(trail)
    assert verdict.ok
    assert verdict.note
    assert verdict.records == (9 if written >= len(line) else 8)
    record(trail, 9)
    assert verify(trail).ok
    assert [json.loads(line)["run"] for line in lines_of(trail)[-2:]] == ["r8", "r9"]


@given(cut=st.integers(0, 700), noise=st.binary(max_size=40))
def test_an_anchor_that_was_torn_while_it_was_written_is_the_one_before(cut, noise):
    with tempfile.TemporaryDirectory() as folder:
        made = filled(Path(folder), 3)
        before, file = read_anchor(made.anchor), made.anchor.read_bytes()
        assert before is not None
        write_anchor(made.anchor, replace(before, noted="n" * 500))
        after = made.anchor.read_bytes().ljust(1 << 17, b"\0")
        at = before.turn % 2 << 16
        torn = after[at : at + cut] + noise
        made.anchor.write_bytes(file.ljust(1 << 17, b"\0")[:at] + torn + file.ljust(1 << 17, b"\0")[at + len(torn) :])
        found = read_anchor(made.anchor)
        assert found in (before, replace(before, noted="n" * 500, turn=before.turn + 1))


def test_an_anchor_of_the_first_form_is_read_and_gone_on_with(trail):
    anchor = read_anchor(trail.anchor)
    assert anchor is not None
    fields = {name: value for name, value in asdict(anchor).items() if name != "turn"}
    trail.anchor.write_text(json.dumps(fields))
    assert verify(trail).ok
    record(trail, 8)
    assert (verify(trail).ok, verify(trail).records) == (True, 9)


def test_the_last_record_cannot_be_passed_off_as_torn(trail):
    whole = trail.path.read_bytes()
    trail.path.write_bytes(whole[:-20])
    assert not verify(trail).ok


WRITE = """
import sys
from pathlib import Path
from workbench.telemetry.audit import trail_of
trail = trail_of(Path(sys.argv[1]) / "home", Path(sys.argv[1]) / "config")
print("ready", flush=True)
number = 0
while number < int(sys.argv[3]):
    trail.append(at="now", user="ann", run=f"{sys.argv[2]}-{number}", step="s1", kind="tool", level="process",
                 decision="", facts={}, request="aa", response="bb")
    number += 1
    print(number, flush=True)
"""


def writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITE, str(folder), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_many_processes_write_one_chain(tmp_path):
    writers = [writer(tmp_path, str(name), 150) for name in range(3)]
    for one in writers:
        one.communicate()
    trail = trail_of(tmp_path / "home", tmp_path / "config")
    verdict = verify(trail)
    assert (verdict.ok, verdict.records) == (True, 450)
    runs = [json.loads(line)["run"] for line in lines_of(trail)]
    assert sorted(runs) == sorted(f"{name}-{number}" for name in range(3) for number in range(150))


def test_killed_processes_leave_a_whole_chain_with_all_that_was_acknowledged(tmp_path):
    chance = random.Random(7)
    trail = trail_of(tmp_path / "home", tmp_path / "config")
    said = 0
    for number in range(6):
        one = writer(tmp_path, f"k{number}", 10**9)
        assert one.stdout is not None
        count, most = 0, chance.randrange(1, 60)
        while count < most:
            text = one.stdout.readline().strip()
            count = int(text) if text.isdigit() else count
        one.send_signal(signal.SIGKILL)
        rest = one.communicate()[0].split("\n")[:-1]
        said += max([count, *(int(text) for text in rest if text.isdigit())])
        assert verify(trail).ok
    record(trail)
    verdict = verify(trail)
    assert verdict.ok
    assert said + 1 <= verdict.records <= said + 7  # a kill can come between a record and the word of it


FORK = (
    WRITE.replace("number = 0", "import os; trail.append(**record); child = os.fork(); number = 0")
    + """
os._exit(0) if child == 0 else os.waitpid(child, 0)
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_goes_on_with_the_chain(tmp_path):
    fields = "record = dict(at='now', user='ann', run='r', step='s1', kind='tool', level='', decision='', facts={},"
    code = f"{fields} request='', response='')\n{FORK}"
    subprocess.run([sys.executable, "-c", code, str(tmp_path), "f", "20"], check=True, capture_output=True)
    verdict = verify(trail_of(tmp_path / "home", tmp_path / "config"))
    assert (verdict.ok, verdict.records) == (True, 41)


def test_a_trail_that_cannot_be_written_says_so_and_nothing_goes_on(tmp_path):
    (tmp_path / "home").write_text("a file where a folder should be")
    with pytest.raises(Unavailable, match="audit trail"):
        record(trail_of(tmp_path / "home", tmp_path / "config"))


def settings(tmp_path: Path) -> Settings:
    project = tmp_path / "project"
    project.mkdir()
    return Settings(home=tmp_path / "home", project=project, config=tmp_path / "config", user="ann")


PLAN = {"steps": [{"task": "search_documents", "params": {"query": "private words", "folder": "."}}]}


def read(trail: Trail) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(trail)]


async def test_every_call_of_a_run_leaves_a_record_and_no_content(tmp_path):
    found = settings(tmp_path)
    (found.project / "notes.md").write_text("private words are here")
    bench = Workbench(found, model=TestModel([PLAN, "private answer"]), memory=InMemoryMemory())
    run = await bench.ask("where are the private words?")
    records = read(bench.trail)
    assert [one["kind"] for one in records] == ["model", "intent", "tool", "model"]
    tool = records[2]
    assert (tool["user"], tool["run"], tool["step"], tool["level"]) == ("ann", run.id, "s1", run.outcome.isolation)
    assert tool["facts"]["tool"] == "search_documents"
    assert tool["facts"]["version"] == bench.tools()["search_documents"].version
    assert verify(bench.trail).ok
    assert "private" not in bench.trail.path.read_text()
    await bench.close()


async def test_hashes_are_salted_so_that_nobody_can_guess_the_content(tmp_path):
    found = settings(tmp_path)
    memory = InMemoryMemory()
    bench = Workbench(found, model=TestModel([PLAN, "x"]), memory=memory)
    run = await bench.ask("where?")
    plain = {
        event.body.get(name)
        for event in await memory.events(run.id)
        for name in ("request_sha256", "response_sha256", "params_sha256")
    } - {None, ""}
    assert len(plain) > 2
    text = bench.trail.path.read_text()
    assert not [value for value in plain if str(value) in text]
    anchor = read_anchor(bench.trail.anchor)
    assert anchor is not None
    assert anchor.salt not in text
    await bench.close()


async def test_a_refusal_of_a_person_is_recorded(tmp_path):
    bench = Workbench(settings(tmp_path), model=TestModel([PLAN]), memory=InMemoryMemory())
    with pytest.raises(Exception, match="not approved"):
        await bench.ask("where?", approver=nobody)
    last = read(bench.trail)[-1]
    assert (last["kind"], last["decision"], last["facts"]["by"]) == ("approval", "deny", "headless")
    await bench.close()


async def test_without_a_trail_no_call_is_made(tmp_path):
    found = settings(tmp_path)
    found.home.mkdir()
    (found.home / "audit").write_text("in the way")
    model = TestModel([PLAN, "x"])
    bench = Workbench(found, model=model, memory=InMemoryMemory())
    with pytest.raises(Unavailable, match="audit trail"):
        await bench.ask("where?")
    assert len(model.calls) == 1  # the plan was asked for; its record could not be kept, and no step was run
    await bench.close()


def test_what_is_recorded_of_an_exchange_names_the_host_and_no_words(tmp_path):
    trail = trail_of(tmp_path / "home", tmp_path / "config")
    body = {"service": "http", "host": "api.example.org", "method": "POST", "request_sha256": "ab", "url": "private"}
    trail(Event(run="r", seq=0, at="now", kind=Kind.RUN_STARTED, body={"user": "ann", "isolation": "kernel"}))
    trail(Event(run="r", seq=1, at="now", kind=Kind.SERVICE_CALLED, step="s1", body=body))
    [one] = read(trail)
    assert (one["kind"], one["facts"]["host"], one["level"]) == ("egress", "api.example.org", "kernel")
    assert "private" not in str(one)


def test_the_command_line_verifies_and_its_exit_code_tells(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["ask", "how many words?"]) in (0, 1)
    from workbench.workbench import current

    trail = current().trail
    for number in range(5):
        record(trail, number)
    capsys.readouterr()
    assert main(["audit", "verify"]) == 0
    assert "whole" in capsys.readouterr().out
    assert main(["audit", "head"]) == 0
    head = capsys.readouterr().out.strip()
    assert main(["audit", "verify", "--head", head]) == 0
    lines = lines_of(trail)
    trail.path.write_bytes(b"".join(lines[:2] + lines[3:]))
    capsys.readouterr()
    assert main(["audit", "verify", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["fault"], found["at"]) == (False, "deleted", 2)
