"""The workbench as an MCP server, asked by the SDK's client over real pipes, in both generations of the protocol."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import Refused
from workbench.gateway.files import FILE, Files, schema_of

WRITER = (
    '"""Writes."""\nPERMISSIONS = {"write": ["out"]}\nEFFECT = "write"\ndef run(text: str) -> str:\n    return text\n'
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".workbench").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "sales.csv").write_text("region,revenue\nNorth,3\nSouth,4\n")
    (tmp_path / ".secret.csv").write_text("a\n1\n")
    (tmp_path / "config" / "tools").mkdir(parents=True)
    (tmp_path / "config" / "tools" / "writer.py").write_text(WRITER)
    return tmp_path


@asynccontextmanager
async def client(project: Path, mode: str, *options: str) -> AsyncIterator[Any]:
    from mcp import Client, StdioServerParameters

    env = {"WORKBENCH_HOME": str(project / ".workbench"), "WORKBENCH_CONFIG": str(project / "config")}
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "workbench.cli", "mcp", *options], cwd=project, env=env
    )
    async with Client(command, mode=mode) as connected:
        yield connected


@pytest.mark.peers
async def test_others_ask_and_call_tools_and_change_nothing_unasked(project: Path):
    async with client(project, "auto") as there:
        assert there.protocol_version == "2026-07-28"
        listed = {tool.name: tool for tool in (await there.list_tools()).tools}
        assert {"ask", "query_data", "plot", "writer"} <= set(listed)
        assert listed["query_data"].input_schema["properties"]["tables"]["additionalProperties"] == FILE
        request = {"request": "total revenue by region of @sales as a bar chart", "data": {"sales": "sales.csv"}}
        asked = await there.call_tool("ask", request)
        assert not asked.is_error
        assert [block.type for block in asked.content] == ["text", "image"]
        assert asked.structured_content["steps"]["s1"]["rows"] == 2
        called = await there.call_tool(
            "query_data", {"sql": "SELECT sum(revenue) AS total FROM s", "tables": {"s": "sales.csv"}}
        )
        assert called.structured_content["steps"]["s1"]["first"] == [[7]]
        for name, params, said in [
            ("writer", {"text": "theirs"}, "nobody is there to be asked"),
            ("writer", {"text": 3}, "expected string"),
            ("nothing", {}, "There is no tool nothing"),
            ("ask", {"request": "x", "data": {"s": "/etc/passwd"}}, "no file of this project"),
            ("ask", {"request": "x", "data": {"s": ".secret.csv"}}, "no file of this project"),
            ("ask", {"req": "x"}, "ask.request: missing"),
            ("ask", {"request": "write me a poem"}, "OPENAI_API_KEY"),
        ]:
            wrong = await there.call_tool(name, params)
            assert (wrong.is_error, said in wrong.content[0].text) == (True, True), (name, wrong.content[0].text)


@pytest.mark.peers
async def test_older_clients_are_served_too_and_yes_says_yes(project: Path):
    async with client(project, "legacy", "--yes") as there:
        assert there.protocol_version == "2025-11-25"
        written = await there.call_tool("writer", {"text": "theirs"})
        assert (written.is_error, written.structured_content["steps"]["s1"]) == (False, "theirs")


@given(st.text())
def test_no_name_leads_out_of_the_project(name: str):
    files = Files(Path(__file__).parent)
    with pytest.raises(Refused):
        files.load(f"../{name}")
    with pytest.raises(Refused):
        files.load(name)


def test_files_stand_where_tables_are_taken_at_any_depth():
    frame = {"x-frame": True}
    schema = {
        "type": "object",
        "properties": {
            "one": frame,
            "maybe": {"anyOf": [frame, {"type": "null"}]},
            "all": {"additionalProperties": frame},
        },
    }
    assert schema_of(schema)["properties"]["one"] == FILE
    files = Files(Path(__file__).parents[2])
    sales = "data/samples/sales.csv"
    given_ = files.given({"one": sales, "maybe": sales, "all": {"a": sales}, "text": sales}, schema)
    assert given_ == {
        "one": {"$ref": "@table1"},
        "maybe": {"$ref": "@table2"},
        "all": {"a": {"$ref": "@table3"}},
        "text": sales,
    }
    assert len(files.frames["table3"]) == 3003
