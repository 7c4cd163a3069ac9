import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.sandbox.wire import BrokenFrame, Inbox, pack

MESSAGES = st.lists(
    st.dictionaries(st.text(), st.none() | st.integers() | st.text(), max_size=3).map(lambda m: {**m, "kind": "x"}),
    max_size=5,
)


@given(MESSAGES, st.integers(1, 50))
def test_messages_come_out_whole_however_they_are_cut(messages: list[dict[str, Any]], size: int):
    data = b"".join(map(pack, messages))
    inbox = Inbox(10_000)
    found = [message for at in range(0, len(data), size) for message in inbox.feed(data[at : at + size])]
    assert found == messages


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_any_bytes_are_messages_or_broken(chunks: list[bytes]):
    inbox = Inbox(1000)
    try:
        for chunk in chunks:
            for message in inbox.feed(chunk):
                assert isinstance(message["kind"], str)
    except BrokenFrame:
        return


@pytest.mark.parametrize(
    "body", [b"9" * 5000, b'{"kind": "x", "n": Infinity}', b"{" * 10_000, b"\x80", b"null", b'"kind"']
)
def test_what_is_no_message_is_broken(body: bytes):
    with pytest.raises(BrokenFrame):
        list(Inbox(100_000).feed(struct.pack(">I", len(body)) + body))


def test_a_frame_that_is_too_large_is_refused_by_its_length():
    with pytest.raises(BrokenFrame, match="4,294,967,295 bytes"):
        list(Inbox(1000).feed(b"\xff\xff\xff\xff"))


@pytest.mark.parametrize("message", [{"kind": float("nan")}, {"kind": {1}}, {"kind": b""}])
def test_what_is_no_json_is_not_sent(message: dict[str, Any]):
    with pytest.raises((TypeError, ValueError)):
        pack(message)


def test_lone_surrogates_survive_the_way():
    (message,) = Inbox(100).feed(pack({"kind": "\ud800"}))
    assert json.dumps(message["kind"]) == '"\\ud800"'
