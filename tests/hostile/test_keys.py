"""The key in the host's environment is nowhere a worker could read it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from tests.hostile.case import Case
from tests.hostile.enter import owned
from tests.hostile.room import Room


def of_user(uid: int) -> dict[int, tuple[bytes, bytes]]:
    """Command line and environment of each process of the user, as only root can read them all."""
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                if owned(place.name, uid):
                    found[int(place.name)] = (place / "cmdline").read_bytes(), (place / "environ").read_bytes()
    return found


@pytest.mark.parametrize("level", ["process", "kernel"])
def test_the_hosts_key_is_in_no_environment_and_on_no_command_line_of_a_worker(guest: Room, level: str):
    case = Case(id="wait", oracle="benign", code="import time\ntime.sleep(1.5)\nprint('done')")
    spec = {"level": level, "home": str(guest.home), "cases": [case.to_json()]}
    seen: dict[int, tuple[bytes, bytes]] = {}
    with guest.program(["-m", "tests.hostile.driver"], json.dumps(spec)) as running:
        assert json.loads(running.line(60) or "null") == {"begin": "wait"}
        ended = ""
        while not ended:
            with suppress(TimeoutError):
                ended = running.line(0.05) or "{}"
            seen |= of_user(guest.uid)
        assert json.loads(ended)["end"]["status"] == "ok", running.log
    hosts = [texts for texts in seen.values() if b"tests.hostile.driver" in texts[0]]
    workers = [texts for texts in seen.values() if b"workbench" in texts[0] and texts not in hosts]
    assert any(guest.key.encode() in environment for _, environment in hosts)  # it is there to be found
    assert len(workers) >= (3 if level == "kernel" else 2)  # server, keeper and worker; supervisor and worker
    assert [texts for texts in workers if guest.key.encode() in b"".join(texts)] == []
