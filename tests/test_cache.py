"""What tools keep between calls: each its own, each version its own, without secrets, and never too much."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.policy.test_gate import tool
from workbench import cache as caches
from workbench.cache import Cache, cache_services
from workbench.core.errors import ToolFailed
from workbench.policy.secrets import Secrets


def test_values_come_back_to_the_same_version_of_the_same_tool_only(tmp_path: Path) -> None:
    ours = Cache(tmp_path, tool("search", version="a" * 64))
    ours.put({"x": {"n": [1, 2]}, "ü/../y": "text"})
    assert ours.get(["x", "ü/../y", "no"]) == {"x": {"n": [1, 2]}, "ü/../y": "text"}
    assert Cache(tmp_path, tool("search", version="b" * 64)).get(["x"]) == {}
    assert Cache(tmp_path, tool("other", version="a" * 64)).get(["x"]) == {}


def test_a_new_version_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    Cache(tmp_path, tool("search", version="a" * 64)).put({"x": 1})
    Cache(tmp_path, tool("search_more", version="a" * 64)).put({"x": 1})
    Cache(tmp_path, tool("search", version="b" * 64)).put({"x": 2})
    left = sorted(path.name for path in (tmp_path / "cache" / "tools").iterdir())
    assert left == [f"search-{'b' * 16}", f"search_more-{'a' * 16}"]


def test_a_damaged_value_is_none(tmp_path: Path) -> None:
    ours = Cache(tmp_path, tool())
    ours.put({"x": 1})
    [file] = (tmp_path / "cache" / "tools").glob("*/*.json")
    file.write_bytes(b"{")
    assert ours.get(["x"]) == {}


def test_the_oldest_goes_when_it_is_too_much(tmp_path: Path) -> None:
    ours = Cache(tmp_path, tool())
    ours.put({"old": 1})
    [file] = (tmp_path / "cache" / "tools").glob("*/*.json")
    with file.open("r+b") as large:
        large.truncate(caches.MAX_BYTES)
    os.utime(file, (1, 1))
    ours.put({"new": 2})
    assert ours.get(["old", "new"]) == {"new": 2}


def test_keys_are_not_kept(tmp_path: Path) -> None:
    key = "tvly-0123456789abcdef"
    ours = Cache(tmp_path, tool(), Secrets({"K": SecretStr(key)}).redacted)
    ours.put({"x": {"text": f"my {key}"}})
    assert key not in str(ours.get(["x"]))


@pytest.mark.parametrize(
    ("service", "params"),
    [
        ("cache.get", {}),
        ("cache.get", {"names": [1]}),
        ("cache.get", {"names": ["x"] * 10_001}),
        ("cache.put", {"values": 3}),
    ],
)
async def test_wrong_parameters_are_one_line(tmp_path: Path, service: str, params: dict[str, Any]) -> None:
    with pytest.raises(ToolFailed):
        await cache_services(Cache(tmp_path, tool()))[service](params)
