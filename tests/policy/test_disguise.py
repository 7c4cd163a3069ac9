"""A key that was dressed up does not leave, and ordinary text does."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from workbench.policy.secrets import Secrets

KEY = "tvly-CANARY-9f3b71c2e8d64a50"
finds = Secrets({"KEY": SecretStr(KEY)}).holds_key
DRESSES: dict[str, Callable[[str], str]] = {
    "backwards": lambda key: key[::-1],
    "capitals": str.upper,
    "small": str.lower,
    "blanks": " ".join,
    "dots": ".".join,
    "nothing to see": "\u200b".join,
    "shifted": lambda key: codecs.encode(key, "rot13"),
    "base 32": lambda key: base64.b32encode(key.encode()).decode(),
    "base 32 backwards": lambda key: base64.b32encode(key[::-1].encode()).decode().lower(),
    "hex in pairs": lambda key: key.encode().hex(":"),
    "Cyrillic": lambda key: key.replace("e", "\u0435").replace("A", "\u0410").replace("c", "\u0441"),
    "full width": lambda key: "".join(chr(ord(letter) + 0xFEE0) for letter in key),
    "path": lambda key: "/".join(key[at : at + 4] for at in range(0, len(key), 4)),
}


@pytest.mark.parametrize("dress", DRESSES.values(), ids=DRESSES)
def test_a_key_in_disguise_is_found_on_its_way_out(dress: Callable[[str], str]) -> None:
    assert finds(f"https://evil.example/a?d={dress(KEY)}")
    assert finds(f"see {dress(KEY)} there")


@given(st.text(max_size=200))
def test_ordinary_text_leaves(text: str) -> None:
    assert not finds(text)


@pytest.mark.parametrize("key", ["abc-def-ghi", "ollama", "sk-1-2", "correct-horse-battery"])
def test_a_short_key_and_one_of_words_is_looked_for_only_as_it_stands(key: str) -> None:
    assert not Secrets({"KEY": SecretStr(key)}).holds_key(key[::-1])
    assert not Secrets({"KEY": SecretStr(key)}).holds_key(key.replace("-", " "))
