"""Prices are the endpoint's own, and never guessed."""

import pytest

from workbench.models.base import Usage
from workbench.models.prices import price

SOME = Usage(tokens_in=1_000_000, tokens_out=100_000)


def test_a_known_model_has_its_price():
    assert price("gpt-4o-mini", SOME) == "0.21"
    assert price("gpt-4o-mini", Usage(tokens_in=1000, tokens_out=100)) == "0.00021"


@pytest.mark.parametrize(
    ("model", "usage", "base_url"),
    [
        ("tiny.gguf", SOME, "https://api.openai.com/v1"),
        ("gpt-4o", SOME, "http://127.0.0.1:8000/v1"),
        ("gpt-4o", SOME, "https://models.example.com/v1"),
        ("gpt-4o", Usage(), "https://api.openai.com/v1"),
        ("", SOME, "https://api.openai.com/v1"),
    ],
)
def test_an_unknown_price_is_none(model: str, usage: Usage, base_url: str):
    assert price(model, usage, base_url) is None
