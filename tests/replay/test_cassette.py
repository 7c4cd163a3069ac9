"""Cassettes: the same bytes for the same content, and nothing in them is believed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.core.artifacts import PNG, Artifact
from workbench.core.episode import BLOB, Episode, Recording
from workbench.core.errors import Refused, ReplayMiss, Unavailable
from workbench.core.fingerprint import Fingerprint, of_call, short
from workbench.core.provenance import Argument
from workbench.core.tape import Tape
from workbench.core.tools import ToolCall, ToolSpec
from workbench.models.base import Message
from workbench.models.replay import of_chat
from workbench.replay.cassette import Cassette, pack, unpack
from workbench.replay.erasing import erase_recordings
from workbench.replay.restored import restored

texts = st.text(max_size=30)
words = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
).filter(lambda value: BLOB not in json.dumps(value))
prints = st.builds(
    lambda name, parts: Fingerprint(hashlib.sha256(name.encode()).hexdigest(), parts),
    words,
    st.dictionaries(words, words.map(short), max_size=4),
)
files = st.binary(max_size=60)


def mark(data: bytes) -> dict[str, Any]:
    return {BLOB: hashlib.sha256(data).hexdigest(), "as": "image", "title": "", "alt": ""}


@st.composite
def contents(draw: st.DrawFn) -> tuple[list[Episode], dict[str, bytes]]:
    """Episodes as runs give them, with the files that they speak of."""
    blobs: dict[str, bytes] = {}
    episodes = []
    for _ in range(draw(st.integers(0, 3))):
        calls = []
        for _ in range(draw(st.integers(0, 3))):
            if draw(st.booleans()):
                body = {"purpose": "plan", "model": "m", "tokens_in": draw(st.integers(0, 10**6)), "text": draw(texts)}
                calls.append(Recording(kind="model", asked=draw(prints), body=body))
            else:
                value, data = draw(values), draw(st.none() | files)
                if data is not None:
                    blobs[hashlib.sha256(data).hexdigest()] = data
                    value = [value, mark(data)]
                more: dict[str, Any] = {"status": "ok", "value": value}
                calls.append(Recording(kind="tool", asked=draw(prints), step=draw(words), body=more))
        inputs = {"today": "2026-11-27", "memories": draw(st.lists(texts, max_size=2)), "tools": ["plot"]}
        again = draw(st.sampled_from(["", "", "resumed", "rerun from s2"]))
        episodes.append(
            Episode(request=draw(texts), model=draw(words), again=again, inputs=inputs, recordings=tuple(calls))
        )
    return episodes, blobs


@given(contents())
def test_what_is_packed_comes_back_and_packs_to_the_same_bytes(made):
    episodes, blobs = made
    data = pack(episodes, blobs)
    back, files = unpack(data)
    assert back == episodes
    assert files == blobs
    assert pack(back, files) == data


@given(contents(), st.data())
def test_a_cassette_that_was_changed_anywhere_is_read_or_refused_and_never_breaks(made, data):
    packed = bytearray(pack(*made))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] = data.draw(st.integers(0, 255))
    try:
        episodes, blobs = unpack(bytes(packed))
    except Refused:
        return
    assert all(hashlib.sha256(blob).hexdigest() == name for name, blob in blobs.items())
    assert all(name in blobs for episode in episodes for name in episode.blobs())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"cassette":3}\n', "newer version"),
        ('{"episode":{"request":"x"}}\n', "begins with its format"),
        ('{"cassette":1}\nnot json\n', "line 2"),
        ('{"cassette":1}\n{"model":{}}\n', "no place here"),
        ('{"cassette":1}\n{"episode":{"request":"x","path":"../../etc"}}\n', "path"),
        ('{"cassette":1}\n{"blob":"' + "0" * 64 + '","data":"eA=="}\n', "not what its hash says"),
        ('{"cassette":1}\n{"episode":{"request":"x"}}\n{"tool":{"asked":{"sha256":"' + "0" * 64
         + '"},"status":"ok","value":{"$blob":"' + "0" * 64 + '"}}}\n', "is not there"),
        ('{"cassette":1}\n{"episode":{"request":"x"}}\n{"tool":{"asked":{"sha256":"' + "0" * 64
         + '"},"status":"splendid"}}\n', "status"),
        ('{"cassette":1}\n{"episode":{"request":"x"}}\n{"model":{"asked":{"sha256":"' + "0" * 64
         + '"},"usd":"1e999999999"}}\n', "usd"),
        ('{"cassette":1}\n{"episode":{"request":"x"}}\n{"tool":{"asked":{"sha256":"' + "0" * 64
         + '"},"status":"ok","value":' + "[" * 200 + "]" * 200 + "}}\n", "nested"),
        ('{"cassette":1}\n{"episode":{"request":"x"}}\n{"tool":{"asked":{"sha256":"' + "0" * 64
         + '"},"status":"ok","value":' + "[" * 100_000 + "\n", "not JSON"),
    ],
)  # fmt: skip
def test_what_a_stranger_may_write_is_refused_with_its_line(text, said):
    with pytest.raises(Refused) as caught:
        unpack(text.encode(), "x.cassette")
    assert said in str(caught.value)


def test_a_picture_that_is_none_is_not_taken(tmp_path):
    data = b"\x89PNG\r\n\x1a\nnot a picture"
    tape = Tape(Episode(request="x"), mode="strict", blob=lambda sha256: data)
    with pytest.raises(ReplayMiss):
        restored(mark(data), tape, tmp_path, "r1", "s1")
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_file_that_was_changed_is_not_taken(tmp_path):
    tape = Tape(Episode(request="x"), mode="strict", blob=lambda sha256: b"other")
    with pytest.raises(ReplayMiss):
        restored(mark(b"this"), tape, tmp_path, "r1", "s1")


@given(
    st.lists(st.tuples(words.filter(bool), texts), min_size=1, max_size=5, unique_by=lambda pair: pair[0]), st.data()
)
def test_any_part_of_a_prompt_that_changes_is_named(parts, data):
    at = data.draw(st.integers(0, len(parts) - 1))
    changed = [(name, f"{text}!" if at == number else text) for number, (name, text) in enumerate(parts)]

    def chat(pieces: list[tuple[str, str]]) -> Fingerprint:
        content = "\n\n".join(text for _, text in pieces)
        return of_chat([Message(role="user", content=content, parts=tuple(pieces))], None, None)

    recorded = Recording(kind="model", asked=chat(parts), body={"text": "x"})
    tape = Tape(Episode(request="x", recordings=[recorded]), mode="strict")
    with pytest.raises(ReplayMiss) as caught:
        tape.find("model", chat(changed))
    assert caught.value.data["parts"] == [parts[at][0]]
    assert tape.find("model", chat(parts)) is recorded


def file(content: str) -> Artifact:
    return Artifact(path=f"r/{content}.png", mime=PNG, bytes=1, sha256=hashlib.sha256(content.encode()).hexdigest())


def call(version: str = "1", **params: Any) -> ToolCall:
    spec = ToolSpec(
        name="reader",
        summary="",
        params={"properties": {"limit": {"type": "integer", "default": 5}}},
        version=version,
        source=b"",
    )
    given = tuple(
        Argument(path=f"/{name}", value=value, sources=frozenset(), refs=("@map",) if name == "picture" else ())
        for name, value in params.items()
    )
    return ToolCall(run="r", step="s1", tool=spec, params=params, timeout=1, arguments=given)


@pytest.mark.parametrize(
    ("other", "part"),
    [
        (call("2", word="a", picture=file("x")), "tool reader"),
        (call("1", word="b", picture=file("x")), "parameter word"),
        (call("1", word="a", picture=file("y")), "picture @map"),
        (call("1", word="a", picture=file("x"), limit=6), "parameter limit"),
    ],
)
def test_any_part_of_a_tool_call_that_changes_is_named(other, part):
    recorded = Recording(kind="tool", asked=of_call(call("1", word="a", picture=file("x"))), body={"status": "ok"})
    with pytest.raises(ReplayMiss) as caught:
        Tape(Episode(request="x", recordings=[recorded]), mode="strict").find("tool", of_call(other))
    assert caught.value.data["parts"] == [part]


def test_how_a_server_is_started_here_changes_nothing_and_what_it_says_of_its_tool_does():
    served = replace(call("1", word="a"), tool=replace(call("1").tool, runs="server"))
    elsewhere = replace(served, tool=replace(served.tool, version="2", source=b"/home/ann/.venv/bin/python"))
    assert of_call(served).sha256 == of_call(elsewhere).sha256
    changes: tuple[dict[str, Any], ...] = ({"summary": "reads"}, {"description": "all of it"}, {"params": {}})
    for change in changes:
        assert of_call(replace(served, tool=replace(served.tool, **change))).sha256 != of_call(served).sha256


def test_a_default_that_is_written_out_and_a_file_that_lies_elsewhere_change_nothing():
    one = call("1", word="a", picture=file("x"))
    same = replace(
        call("1", word="a", picture=replace(file("x"), path="other/place.png"), limit=5), run="r2", step="s9"
    )
    assert of_call(one).sha256 == of_call(same).sha256


def test_what_is_asked_for_more_often_than_it_was_is_a_miss_when_strict_and_live_when_not():
    asked = of_call(call())
    recorded = Episode(request="x", recordings=[Recording(kind="tool", asked=asked, body={"status": "ok"})])
    for mode in ("auto", "strict"):
        tape = Tape(recorded, mode=mode)
        assert tape.find("tool", asked) is not None
        if mode == "auto":
            assert tape.find("tool", asked) is None
        else:
            with pytest.raises(ReplayMiss) as caught:
                tape.find("tool", asked)
            assert caught.value.data["part"] == "occurrence"


def test_of_two_equal_calls_each_step_gets_its_own_result():
    asked = of_call(call())
    made = [Recording(kind="tool", asked=asked, step=step, body={"status": "ok", "value": step}) for step in "ab"]
    tape = Tape(Episode(request="x", recordings=made), mode="strict")
    found = [tape.find("tool", asked, step) for step in "ba"]
    assert [one and one.body["value"] for one in found] == ["b", "a"]


def test_a_cassette_with_something_that_must_be_forgotten_loses_it_and_goes_when_nothing_is_left(tmp_path):
    path = tmp_path / "notes" / "x.cassette"
    path.parent.mkdir()
    blob = b"rows with Eve in them"
    one = Episode(request="who is Bob?", recordings=())
    body = {"status": "ok", "value": mark(blob)}
    other = Episode(request="all rows", recordings=(Recording(kind="tool", asked=of_call(call()), body=body),))
    path.write_bytes(pack([one, other], {hashlib.sha256(blob).hexdigest(): blob}))
    assert erase_recordings([tmp_path], [], lambda data: b"Mallory" in data) == []
    assert erase_recordings([tmp_path], [], lambda data: b"Eve" in data) == [path]
    assert [episode.request for episode in Cassette(path).episodes] == ["who is Bob?"]
    assert "blob" not in path.read_text()
    assert erase_recordings([tmp_path], [], lambda data: b"Bob" in data) == [path]
    assert not path.exists()


ask = st.sampled_from("ab")
"""What is asked for: few requests, so that kernels meet."""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), ask, st.sampled_from(["keep", "again", "look"])), max_size=14))
def test_what_one_kernel_records_no_other_kernel_takes_away(tmp_path_factory, steps):
    """`keep`: a request once more; `again`: its first one anew; `look`: the kernel sees what is there."""
    path = tmp_path_factory.mktemp("tape") / "x.cassette"
    kernels = [Cassette(path) for _ in range(3)]
    counts: Counter[tuple[int, str]] = Counter()
    wanted: dict[tuple[int, str, int], str] = {}
    for number, (who, request, what) in enumerate(steps):
        if what == "look":
            kernels[who].refresh()
            continue
        place = 0 if what == "again" else counts[who, request]
        counts[who, request] = max(counts[who, request], place + 1)
        said = f"{number}"
        seen = [one for one in kernels[who].episodes if one.request == request][place : place + 1]
        before = [one for one in Cassette(path).episodes if one.request == request]
        kernels[who].keep(place, spoken(request, said), lambda sha256: None)
        if seen and seen[0] in before:  # it has taken the place of what this kernel knew was there
            wanted = {key: text for key, text in wanted.items() if text != text_of(seen[0])}
        wanted[who, request, number] = said
    there = [text_of(one) for one in Cassette(path).episodes]
    assert sorted(there) == sorted(wanted.values())


def test_kernels_that_record_at_once_lose_nothing_and_leave_no_file_behind(tmp_path):
    path = tmp_path / "x.cassette"

    def record(who: int) -> None:
        tape = Cassette(path)
        for number in range(15):
            tape.keep(0, spoken(f"{who} {number}", "x"), lambda sha256: None)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(record, range(4)))
    assert sorted(one.request for one in Cassette(path).episodes) == sorted(
        f"{w} {n}" for w in range(4) for n in range(15)
    )
    assert [found.name for found in tmp_path.iterdir()] == ["x.cassette"]


def test_a_kernel_does_not_put_back_what_was_erased_meanwhile(tmp_path):
    path = tmp_path / "x.cassette"
    tape = Cassette(path)
    tape.keep(0, spoken("who is Eve?", "x"), lambda sha256: None)
    assert erase_recordings([tmp_path], [], lambda data: b"Eve" in data) == [path]
    tape.keep(0, spoken("who is Bob?", "x"), lambda sha256: None)
    assert [one.request for one in Cassette(path).episodes] == ["who is Bob?"]


def spoken(request: str, said: str) -> Episode:
    body = {"purpose": "plan", "model": "m", "text": said}
    asked = Fingerprint(hashlib.sha256(said.encode()).hexdigest())
    return Episode(request=request, recordings=(Recording(kind="model", asked=asked, body=body),))


def text_of(episode: Episode) -> str:
    return str(episode.recordings[0].body["text"])


def test_a_cassette_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(Unavailable):
        Cassette(Path(tmp_path / "gone" / "x.cassette")).keep(0, Episode(request="x"), lambda sha256: None)
