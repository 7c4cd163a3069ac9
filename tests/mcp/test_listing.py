"""Listings and declarations: read with care, whatever stands there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mcp.support import tool
from workbench.configuration import load_settings
from workbench.core.errors import Unavailable
from workbench.core.mcp import McpServer
from workbench.core.settings import Settings
from workbench.mcp import listing
from workbench.mcp.declared import declared

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
names = st.sampled_from(["a", "b", "c", "d"])
tools = st.lists(
    st.builds(lambda name, said: tool(name, description=said), names, st.sampled_from(["x", "y"])),
    unique_by=lambda one: str(one["name"]),
)


@given(st.lists(st.dictionaries(st.sampled_from(["name", "description", "inputSchema", "x"]), anything)))
def test_whatever_is_listed_is_a_tool_or_refused(listed: list[dict[str, Any]]):
    read = listing.read(listed)
    assert len(read.tools) + len(read.refused) <= len(listed)
    server = McpServer(command="x")
    for spec in listing.specs("peer", server, read.tools):
        assert spec.params["type"] == "object"
        assert spec.effect == "write"


@given(tools, tools)
def test_any_difference_is_told_and_none_where_there_is_none(old: list[dict[str, Any]], new: list[dict[str, Any]]):
    same = sorted(map(json.dumps, old)) == sorted(map(json.dumps, new))
    assert (listing.changes(old, new) == "") is same


@given(anything)
def test_no_project_file_stops_the_rest(stands: Any):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".mcp.json"
        path.write_text(json.dumps({"mcpServers": stands}))
        settings = Settings(home=Path(folder), project=Path(folder), config=Path(folder))
        found = declared(settings)
        assert isinstance(stands, dict) or found.problems
        assert all("\n" not in line for line in found.problems)


def settings_of(tmp_path: Path, fields: Any, config: str = "") -> Settings:
    (tmp_path / "project").mkdir(exist_ok=True)
    (tmp_path / "config").mkdir(exist_ok=True)
    (tmp_path / "project" / ".workbench").mkdir(exist_ok=True)
    (tmp_path / "project" / ".mcp.json").write_text(json.dumps({"mcpServers": {"peer": fields}}))
    (tmp_path / "config" / "config.toml").write_text(config)
    return load_settings({"WORKBENCH_CONFIG": str(tmp_path / "config")}, tmp_path / "project")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "needs either command or url"),
        ({"command": "x", "url": "https://a.example"}, "needs either command or url"),
        ({"command": 3}, "command"),
        ({"command": "x", "shell": True}, "unknown fields: shell"),
        ({"type": "sse", "url": "https://a.example"}, "the type 'sse'"),
        ({"url": "http://a.example/mcp"}, "must be https"),
        ({"url": "https://me:pw@a.example"}, "without a user name"),
        ({"url": "file:///etc/passwd"}, "must be an https address"),
        ({"url": "https://a.example", "headers": {"X-Key": "1"}}, "headers other than"),
        ({"url": "https://a.example", "headers": {"Authorization": "Bearer sk-123"}}, "headers other than"),
        ({"command": "x", "env": {"A": "pre${B}"}}, "part of another variable"),
        ({"command": "x", "env": {"A B": "1"}}, "A B"),
        ({"command": "x", "timeout": 0}, "timeout"),
        ("x", "is not an object"),
    ],
)
def test_what_an_entry_says_wrongly_is_one_line(tmp_path: Path, fields: Any, said: str):
    found = declared(settings_of(tmp_path, fields))
    assert found.servers == {}
    (line,) = found.problems
    assert line.startswith(".mcp.json: ")
    assert said in line


def test_an_entry_is_read_as_others_write_it_and_one_of_the_user_stands_in_for_it(tmp_path: Path):
    fields = {"command": "npx", "args": ["-y", "x"], "env": {"TOKEN": "${TOKEN}", "MODE": "fast"}}
    (server,) = declared(settings_of(tmp_path, fields)).servers.values()
    assert (server.env, dict(server.set)) == (("TOKEN",), {"MODE": "fast"})
    assert server.said == "npx -y x (gets TOKEN, MODE=fast)"
    url = {"type": "http", "url": "https://a.example/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}}
    (server,) = declared(settings_of(tmp_path, url)).servers.values()
    assert (server.url, server.secret) == ("https://a.example/mcp", "TOKEN")
    mine = '[mcp.peer]\ncommand = "mine"\n[mcp.other]\nurl = "http://127.0.0.1:9/mcp"\n'
    servers = declared(settings_of(tmp_path, fields, mine)).servers
    assert (servers["peer"].command, list(servers)) == ("mine", ["other", "peer"])


def test_a_server_that_the_users_own_file_says_wrongly_is_an_error(tmp_path: Path):
    with pytest.raises(Unavailable, match="no name for an MCP server"):
        settings_of(tmp_path, {"command": "x"}, '[mcp."a b"]\ncommand = "x"\n')
    with pytest.raises(Unavailable, match=r"mcp\.a.*either command or url"):
        settings_of(tmp_path, {"command": "x"}, "[mcp.a]\ntimeout = 3\n")


def test_a_project_may_not_set_servers_in_its_settings(tmp_path: Path):
    settings_of(tmp_path, {"command": "x"})
    (tmp_path / "project" / "workbench.toml").write_text('[mcp.a]\ncommand = "x"\n')
    with pytest.raises(Unavailable, match="may not set mcp"):
        load_settings({"WORKBENCH_CONFIG": str(tmp_path / "config")}, tmp_path / "project")
