"""Readers of a journal take what is whole and nothing else, wherever the file was cut."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.memory.support import event, read_all
from workbench.core.events import dumps
from workbench.memory import tail

TEXTS = st.lists(st.text(st.characters(exclude_categories=()), max_size=40), max_size=12)
NOTHING = st.binary(max_size=60).map(lambda data: b"!" + data.replace(b"\n", b""))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS, data=st.data())
def test_wherever_a_journal_is_cut_every_whole_line_before_is_read_and_nothing_invented(tmp_path: Path, texts, data):
    events = [event(seq=seq, text=text) for seq, text in enumerate(texts)]
    lines = [dumps(one) + b"\n" for one in events]
    blob = b"".join(lines)
    cut = data.draw(st.integers(0, len(blob)))
    path = tmp_path / "j.jsonl"
    path.write_bytes(blob[:cut])
    whole = blob[:cut].count(b"\n")
    assert read_all(path) == events[:whole]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.one_of(st.integers(0, 99), NOTHING), max_size=15))
def test_garbage_lines_cost_themselves_only(tmp_path: Path, parts):
    lines = [dumps(event(seq=part)) if isinstance(part, int) else part for part in parts]
    path = tmp_path / "j.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    piece = tail.read(path)
    assert [found.seq for found in piece.events] == [part for part in parts if isinstance(part, int)]
    assert piece.skipped == sum(isinstance(part, bytes) for part in parts)
    assert piece.offset == path.stat().st_size


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b'"run"',
        b"[" * 100_000,
        b"\x00" * 512,
        b"\xff\xfe",
        b'{"run":"r","seq":1e999,"at":"","kind":"k"}',
        b'{"run":"r","seq":-1,"at":"","kind":"k"}',
        b'{"run":"r","seq":99999999999999999999,"at":"","kind":"k"}',
        b'{"run":"r","seq":1,"at":"","kind":"k","body":[1]}',
        b'{"run":"r","seq":1,"at":"","kind":"k","step":5}',
        b'{"run":"r","seq":1,"at":"","kind":"k","attempt":99999999999}',
    ],
    ids=lambda line: line[:40].decode("ascii", "replace"),
)
def test_what_is_no_event_is_skipped(line: bytes, tmp_path: Path):
    path = tmp_path / "j.jsonl"
    path.write_bytes(line + b"\n" + dumps(event(seq=7)) + b"\n")
    piece = tail.read(path)
    assert ([found.seq for found in piece.events], piece.skipped) == ([7], 1)


def test_a_line_longer_than_what_is_read_at_once_is_read_whole(tmp_path: Path):
    path = tmp_path / "j.jsonl"
    long = event(seq=0, text="\U0001f600" * 500_000)
    path.write_bytes(dumps(long) + b"\n" + dumps(event(seq=1)) + b"\n")
    assert read_all(path) == [long, event(seq=1)]


def test_a_folder_that_is_not_there_holds_no_journals(tmp_path: Path):
    assert tail.sizes(tmp_path / "nowhere") == {}
