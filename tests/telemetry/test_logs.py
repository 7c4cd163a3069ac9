import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from workbench.core.events import Event, Kind, UnknownEvent
from workbench.policy.secrets import Secrets
from workbench.telemetry.lines import LineFile
from workbench.telemetry.logs import EventLog

KEY = "sk-0123456789abcdef"


def event(kind: Kind, seq: int = 0, step: str | None = None, **body: Any) -> Event:
    return Event(run="r1", seq=seq, at="2026-11-23T12:00:00.000000+00:00", kind=kind, step=step, body=body)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "agent.log"


@pytest.fixture
def log(path: Path) -> EventLog:
    return EventLog(path, Secrets({"KEY": SecretStr(KEY)}).redact)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_event_is_one_line_that_says_when_what_and_who(log, path):
    log(event(Kind.RUN_STARTED, request="private words", user="ann", session="s"))
    log(event(Kind.STEP_DONE, 1, "s1", value={"rows": ["private"]}, text="private", seconds=0.5))
    log(event(Kind.RUN_DONE, 2, status="done", answer={"text": "private"}, seconds=1.0))
    first, second, third = read(path)
    assert (first["kind"], first["run"], first["user"]) == ("run.started", "r1", "ann")
    assert (second["step"], second["seconds"], second["user"]) == ("s1", 0.5, "ann")
    assert (third["status"], third["level"]) == ("done", "INFO")
    assert "private" not in path.read_text()


def test_failures_stand_out_and_texts_are_cut(log, path):
    log(event(Kind.STEP_FAILED, 0, "s1", error={"kind": "ToolFailed", "message": "x" * 5000, "hint": ""}))
    log(event(Kind.RUN_DONE, 1, status="failed"))
    failed, done = read(path)
    assert (failed["level"], done["level"]) == ("WARNING", "ERROR")
    assert len(failed["error"]["message"]) == 300


def test_events_of_a_later_version_are_logged_by_their_envelope(log, path):
    log(UnknownEvent(run="r1", seq=0, at="now", kind="step.dreamt", body={"value": "private"}))
    assert read(path)[0]["kind"] == "step.dreamt"
    assert "private" not in path.read_text()


def test_a_bug_is_written_whole_without_values_of_variables_and_without_keys(log, path):
    def breaks() -> None:
        local = "variable-value"
        raise ValueError("failed with", KEY, len(local))

    try:
        breaks()
    except ValueError as error:
        log.bug(error)
    [line] = read(path)
    assert line["level"] == "ERROR"
    assert "in breaks" in line["trace"]
    assert "ValueError: ('failed with', '[redacted]', 14)" in line["trace"]
    assert "variable-value" not in path.read_text()
    assert KEY not in path.read_text()


def test_the_users_own_loguru_hears_nothing_and_keeps_its_sinks(log, path, capsys):
    from loguru import logger

    heard: list[str] = []
    sink = logger.add(heard.append)
    log(event(Kind.RUN_STARTED, user="ann"))
    logger.info("theirs")
    logger.remove(sink)
    assert len(heard) == 1
    assert "theirs" not in path.read_text()
    assert len(read(path)) == 1


def test_the_file_is_the_users_alone(log, path):
    log(event(Kind.RUN_STARTED))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_costs_nothing(tmp_path, capsys):
    (tmp_path / "logs").write_text("a file where a folder should be")
    log = EventLog(tmp_path / "logs" / "agent.log")
    log(event(Kind.RUN_STARTED))
    log.bug(ValueError("x"))
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full exists on Linux")
def test_a_full_disk_costs_nothing(capsys):
    log = EventLog(Path("/dev/full"))
    log(event(Kind.RUN_STARTED))
    log.bug(ValueError("x"))
    assert capsys.readouterr() == ("", "")


def test_a_body_that_is_no_json_and_a_lone_surrogate_are_written_all_the_same(log, path):
    log(event(Kind.RUN_STARTED, user="\ud800", session={1, 2}))
    assert read(path)[0]["user"] == "\ud800"


def test_a_full_file_is_numbered_and_the_oldest_goes(path):
    file = LineFile(path, max_bytes=100, keep=2)
    for number in range(30):
        file.write(f"line {number:02}".ljust(40).encode())
    file.close()
    assert sorted(p.name for p in path.parent.glob("agent.log*")) == [
        "agent.log",
        "agent.log.1",
        "agent.log.2",
        "agent.log.lock",
    ]
    kept = [
        line
        for name in ("agent.log.2", "agent.log.1", "agent.log")
        for line in path.with_name(name).read_text().split()
    ]
    assert kept[-1] == "29"
    assert kept[1::2] == sorted(kept[1::2])


def test_a_file_that_was_moved_or_removed_is_made_again(path):
    file = LineFile(path)
    file.write(b"one")
    path.rename(path.with_name("moved"))
    file.write(b"two")
    path.unlink()
    file.write(b"three")
    assert path.read_text() == "three\n"
    file.close()


def test_a_file_that_another_process_has_given_away_is_not_given_away_again(path):
    slow, fast = LineFile(path, max_bytes=50), LineFile(path, max_bytes=50)
    slow.write(b"a" * 40)
    full = slow._open()  # looked at, and found full, just before the other comes first
    fast.write(b"b" * 40)
    slow._rotate(full)
    assert path.read_bytes() == b"b" * 40 + b"\n"
    slow.close()
    fast.close()


WRITE = """
import sys
from pathlib import Path
from workbench.telemetry.lines import LineFile
file = LineFile(Path(sys.argv[1]), max_bytes=20_000, keep=100)
for number in range(1000):
    file.write(f"{sys.argv[2]} {number:05} ".ljust(100, "x").encode())
"""


def test_of_many_processes_no_line_is_lost_or_mixed(path):
    processes = [subprocess.Popen([sys.executable, "-c", WRITE, str(path), str(name)]) for name in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    lines = [line for file in path.parent.glob("agent.log*") for line in file.read_text().splitlines()]
    assert {len(line) for line in lines} == {100}
    assert sorted(line[:7] for line in lines) == sorted(
        f"{name} {number:05}" for name in range(3) for number in range(1000)
    )
    assert max(file.stat().st_size for file in path.parent.glob("agent.log*")) <= 20_000 + 3 * 101
