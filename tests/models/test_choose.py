"""Which model the settings mean."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from workbench.core.settings import Settings
from workbench.models.choose import choose

HERE = Path()
KEY = SecretStr("sk-x")


@pytest.mark.parametrize(
    ("settings", "name", "endpoint"),
    [
        ({"api_key": KEY}, "gpt-4o", "api.openai.com"),
        ({"api_key": KEY, "model": "gpt-5.2"}, "gpt-5.2", "api.openai.com"),
        ({"base_url": "http://127.0.0.1:11434/v1"}, "", "127.0.0.1"),
        ({"base_url": "http://box.lan/v1", "model": "qwen", "api_key": KEY}, "qwen", "box.lan"),
        ({"base_url": "https://user:secret@box.lan/v1", "model": "qwen"}, "qwen", "box.lan"),
        ({"model": "gpt-4o"}, "gpt-4o", "api.openai.com"),
    ],
)
def test_the_model_that_the_settings_name(settings: dict[str, Any], name: str, endpoint: str):
    model = choose(Settings(home=HERE, project=HERE, config=HERE, **settings))
    assert model is not None
    assert (model.name, model.endpoint) == (name, endpoint)


@pytest.mark.parametrize("key", [None, SecretStr(""), SecretStr(" \n")])
def test_without_anything_set_there_is_no_model(key: SecretStr | None):
    assert choose(Settings(home=HERE, project=HERE, config=HERE, api_key=key)) is None
