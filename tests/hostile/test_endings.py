"""After its end nothing of a call lives, whatever it started; what the user started does."""

from __future__ import annotations

import json

import pytest

from tests.hostile.room import Room

pytestmark = [pytest.mark.kills, pytest.mark.timeout(180)]


@pytest.mark.parametrize("level", ["process", "kernel"])
def test_nothing_of_a_call_lives_a_second_after_its_end_and_the_users_own_children_do(guest: Room, level: str):
    spec = {"level": level, "home": str(guest.home)}
    with guest.program(["-m", "tests.hostile.endings"], json.dumps(spec)) as running:
        said = running.rest(60)
        assert running.ended() == 0, running.log
    found = json.loads(said)
    endings = {name: found[name] for name in ("timeout", "cancel", "close", "owner killed")}
    assert {name: ending["left"] for name, ending in endings.items()} == dict.fromkeys(endings, 0), found
    # Confined, a tool can start nothing; else there are a daemon, two children and a program as well.
    least = 1 if level == "kernel" else 5
    assert min(endings[name]["during"] for name in ("timeout", "cancel", "owner killed")) >= least, found
    assert (endings["timeout"]["how"], endings["cancel"]["how"]) == ("timeout", "cancelled")
    assert found["children"] == found["children at the end"] == [None, None]
