"""Large fields leave an event and come back, byte for byte, or are known to be gone."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import json_values
from workbench.core import payloads
from workbench.core.events import Event, Kind, dumps, loads
from workbench.core.outcome import fold

BODIES = st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda name: name != payloads.FIELD), json_values)


def event(body: dict[str, object], kind: Kind = Kind.STEP_DONE) -> Event:
    return Event(run="r1", seq=0, at="2026-11-27T00:00:00", kind=kind, step="s1", body=body)


def given_back(data: bytes | None, run: str, sha256: str) -> bytes | None:
    return data


@given(body=BODIES, limit=st.integers(0, 400))
def test_what_was_taken_out_comes_back_as_it_was(body, limit):
    whole = loads(dumps(event(body)))
    small, parts = payloads.part(whole, limit)
    assert payloads.join(loads(dumps(small)), lambda run, sha256: parts.get(sha256)) == whole


@given(size=st.integers(64_000, 300_000))
def test_what_is_left_of_a_large_event_fits_in_a_line(size):
    small, parts = payloads.part(event({"value": "x" * size, "text": "y" * size, "seconds": 1.5}))
    assert len(dumps(small)) <= payloads.LIMIT
    assert small.body["seconds"] == 1.5
    assert len(parts) == 2


def test_a_payload_that_was_changed_or_removed_is_not_put_back_and_is_known_to_be_gone():
    small, parts = payloads.part(event({"value": ["x" * 70_000], "seconds": 2.0}))
    [data] = parts.values()
    for found in (None, data.replace(b"x", b"y", 1), b""):
        read = payloads.join(small, partial(given_back, found))
        assert payloads.lost(read) == ("value",)
        assert "value" not in read.body
        assert any("value in step.done of step s1" in note for note in fold([read]).notes)


def test_what_a_tool_gives_is_never_taken_for_a_reference():
    forged = event({"value": {"payloads": {"text": {"sha256": "0" * 64, "bytes": 1}}}})
    assert payloads.join(forged, lambda run, sha256: b'"stolen"') == forged
