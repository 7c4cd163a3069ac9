"""Events survive the trip through a line of JSON, whatever their text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import any_text, json_objects, json_values
from workbench.core.events import AnyEvent, Event, Kind, Listener, Stream, UnknownEvent, dumps, loads

known = st.builds(
    Event,
    run=any_text,
    seq=st.integers(0, 10**9),
    at=any_text,
    kind=st.sampled_from(Kind),
    step=st.none() | any_text,
    attempt=st.integers(1, 99),
    v=st.integers(1, 9),
    body=json_objects,
)
unknown = st.builds(
    UnknownEvent,
    run=any_text,
    seq=st.integers(0, 10**9),
    at=any_text,
    kind=any_text.filter(lambda kind: kind not in set(Kind)),
    step=st.none() | any_text,
    body=json_objects,
)


@given(known | unknown)
def test_an_event_reads_back_as_it_was_written(event):
    line = dumps(event)
    assert b"\n" not in line
    assert loads(line) == event
    assert loads(line).id == event.id


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_has_not_is_not_written(number):
    with pytest.raises(ValueError, match="JSON"):
        dumps(Event(run="r", seq=0, at="", kind=Kind.STEP_DONE, body={"value": [number]}))


@given(st.binary(max_size=60) | st.text(max_size=60) | json_values.map(json.dumps))
def test_a_line_that_is_not_an_event_is_a_value_error(line):
    try:
        event = loads(line)
    except ValueError:
        return
    assert isinstance(event, Event | UnknownEvent)


@pytest.mark.parametrize(
    "line",
    [
        '{"run":"r","seq":1e999,"at":"","kind":"run.done"}',
        '{"run":"r","seq":0,"at":"","kind":"run.done","body":"text"}',
        '{"run":"r","seq":0,"at":"","kind":"run.done","step":3}',
        "[" * 100_000,
        '{"run":"r","seq":0,"at":"","kind":"run.done","body":' + "[" * 100_000,
    ],
)
def test_hostile_lines_are_value_errors(line):
    with pytest.raises(ValueError, match="event"):
        loads(line)


def stream(journal: Listener, *listeners: Listener, errors: list[Exception] | None = None) -> Stream:
    return Stream(
        "r",
        journal,
        listeners,
        now=lambda: "2026-11-23T00:00:00+00:00",
        on_error=([] if errors is None else errors).append,
    )


def test_the_journal_hears_first_and_everyone_hears_in_order():
    heard = []
    told = stream(lambda e: heard.append(("journal", e.seq)), lambda e: heard.append(("panel", e.seq)))
    told.tell(Kind.RUN_STARTED)
    told.tell(Kind.STEP_INTENT, {"tool": "x"}, step="s1")
    assert heard == [("journal", 0), ("panel", 0), ("journal", 1), ("panel", 1)]
    assert [event.seq for event in told.events] == [0, 1]


def test_what_the_journal_refuses_did_not_happen():
    def full(event):
        raise OSError("disk full")

    heard: list[AnyEvent] = []
    told = stream(full, heard.append)
    with pytest.raises(OSError, match="disk full"):
        told.tell(Kind.RUN_STARTED)
    assert heard == []
    assert told.events == []


def test_a_broken_listener_costs_nobody_else_an_event():
    heard: list[AnyEvent] = []
    errors: list[Exception] = []
    broken = ValueError("broken")

    def breaks(event):
        raise broken

    stream(lambda e: None, breaks, heard.append, errors=errors).tell(Kind.RUN_STARTED)
    assert len(heard) == 1
    assert errors == [broken]
