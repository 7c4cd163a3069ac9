"""A request that holds a key in any encoding, anywhere, stays here."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.policy.doors import ALLOWED, HOST, KEY, SECRETS
from workbench.core.errors import Denied
from workbench.policy.outgoing import WayOut
from workbench.policy.secrets import Secrets

AROUND = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "url": lambda text: quote(text, safe=""),
    "json": lambda text: json.dumps(text)[1:-1],
    "hex": lambda text: text.encode().hex(),
    "upper hex": lambda text: text.encode().hex().upper(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}


def params(place: str, text: str) -> dict[str, Any]:
    base: dict[str, Any] = {"method": "POST", "url": f"https://{HOST}/"}
    return {
        "path": base | {"url": f"https://{HOST}/{quote(text, safe='')}"},
        "query": base | {"url": f"https://{HOST}/?q={quote(text, safe='')}"},
        "header": base | {"headers": {"x-a": text}},
        "body": base | {"body": text},
        "bytes": base | {"body": b"\xff" + text.encode()},
        "json": base | {"json": {"deep": [text]}},
    }[place]


async def sent(asked: dict[str, Any]) -> list[httpx2.Request]:
    """What left for the host, whose address is looked up on paper."""
    left: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        left.append(request)
        return httpx2.Response(200)

    async def resolve(host: str) -> list[str]:
        return ["93.184.216.34"]

    await WayOut(ALLOWED, SECRETS, {}, resolve=resolve, transport=httpx2.MockTransport(answer)).send(asked)
    return left


PLACES = st.sampled_from(["path", "query", "header", "body", "bytes", "json"])


@given(PLACES, st.sampled_from(sorted(ENCODINGS)), AROUND, AROUND)
def test_a_key_does_not_leave_in_any_encoding_at_any_place(place, encoding, before, after):
    text = ENCODINGS[encoding](f"{before}{KEY}{after}")
    with pytest.raises(Denied, match="value of a secret"):
        asyncio.run(sent(params(place, text)))


@given(PLACES, AROUND)
def test_what_holds_no_key_leaves(place, text):
    assert len(asyncio.run(sent(params(place, text.strip() or "x")))) == 1


@pytest.mark.parametrize(
    ("value", "found"), [("ollama", False), ("not-needed", False), ("sk-abc123", True), ("Abcdef", True)]
)
def test_a_word_in_place_of_a_key_is_no_key(value, found):
    assert Secrets({"KEY": SecretStr(value)}).holds_key(f"what is {value}?") is found
