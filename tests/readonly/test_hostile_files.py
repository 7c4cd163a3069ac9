"""Hostile SQL against files, as a throwaway user: each statement first does its harm, then is played in a worker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hostile.room import Room, missing
from tests.readonly.worlds import Attack

pytestmark = [pytest.mark.kills, pytest.mark.timeout(400)]


def played(kind: str, attacks: list[Attack]) -> tuple[dict[str, Any], dict[str, Any]]:
    """By statement what it achieved without and with the gate, and what is said at the end."""
    if why := missing():
        pytest.skip(why)
    room = Room()
    spec = {"kind": kind, "home": str(room.home), "attacks": [[a.id, a.sql, a.oracle] for a in attacks]}
    found: dict[str, Any] = {}
    last: dict[str, Any] = {}
    with room.program(["-m", "tests.readonly.driver"], json.dumps(spec)) as running:
        while (line := running.line(300)) is not None:
            last = json.loads(line)
            if "id" in last:
                found[last["id"]] = last
        assert running.ended() == 0, running.log
    return found, last


@pytest.mark.parametrize(
    ("kind", "corpus"), [(kind, f"sql_{kind}{more}") for kind in ("duckdb", "sqlite") for more in ("", "_more")]
)
def test_each_hostile_statement_does_its_harm_without_the_gate_and_none_with_it(kind: str, corpus: str):
    attacks = Attack.load(corpus)
    found, last = played(kind, attacks)
    assert set(found) == {attack.id for attack in attacks}
    assert {name: end for name, end in found.items() if end["gated"]} == {}
    harmless = [name for name, end in found.items() if not end["bare"]]
    assert len(harmless) * 3 <= len(attacks), harmless
    assert last["peak"] < 3 << 30  # bytes of the largest process, those without a gate included
