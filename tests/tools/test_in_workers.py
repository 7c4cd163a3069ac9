"""The shipped tools as users get them: described by their syntax, run in a worker of their own."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr

from tests.tools.conftest import ROOT
from tests.web import Reply, serving
from workbench.cache import Cache, cache_services
from workbench.core import schema
from workbench.core.artifacts import Artifact, find
from workbench.core.tools import ToolCall, ToolResult, ToolSpec
from workbench.offer import Offer
from workbench.policy.outgoing import WayOut
from workbench.policy.proxy import door_service
from workbench.policy.secrets import Secrets
from workbench.registry.spec import describe
from workbench.sandbox.base import Sandbox
from workbench.sandbox.doors import Doors
from workbench.sandbox.frames import read_frame
from workbench.sandbox.portable import SpawnedSandbox

NAMES = sorted(path.stem for path in (ROOT / "tools").glob("*.py"))


def tool(name: str) -> ToolSpec:
    path = ROOT / "tools" / f"{name}.py"
    spec = describe(path.read_bytes(), path, "shipped")
    assert spec is not None
    return spec


class Desk:
    def __init__(self, folder: Path) -> None:
        self.artifacts = folder / "home" / "artifacts"
        self.project = folder / "project"
        self.sandbox: Sandbox = SpawnedSandbox(folder / "home", self.project)

    async def run(
        self,
        name: str,
        services: Mapping[str, Any] | None = None,
        seconds: float = 60.0,
        doors: Doors | None = None,
        **params: Any,
    ) -> ToolResult:
        call = ToolCall(run="r1", step="s1", tool=tool(name), params=params, timeout=seconds)
        assert list(schema.check(params, call.tool.params, resolved=True)) == []
        return await self.sandbox.run(call, services or {}, self.artifacts, doors=doors)

    async def offer(self, frame: pd.DataFrame) -> Artifact:
        inputs = await Offer({"sales": frame}, {"sales"}).snapshot(["sales"], self.artifacts, "r1")
        return next(find(inputs["sales"]))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def sales(samples: Path) -> pd.DataFrame:
    return pd.read_csv(samples / "sales.csv")


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_tool_says_what_it_does_and_what_its_parameters_are(name):
    spec = tool(name)
    assert spec.summary.endswith(".")
    assert spec.examples
    assert all(parameter.get("description") for parameter in spec.params["properties"].values())


async def test_a_query_and_a_chart_of_its_rows(desk: Desk, sales: pd.DataFrame):
    table = await desk.offer(sales)
    sql = "SELECT date_trunc('month', order_date::DATE) AS month, sum(units) AS units FROM sales GROUP BY 1 ORDER BY 1"
    result = await desk.run("query_data", sql=sql, tables={"sales": table}, title="Units by month")
    assert result.status == "ok", result.error
    [rows] = result.artifacts
    assert [column.type for column in rows.columns] == ["timestamp", "integer"]
    assert read_frame(desk.artifacts / rows.path)["units"].sum() == sales["units"].sum()
    assert rows.title == "Units by month"

    drawn = [await desk.run("plot", data=rows, kind="line", title="Units by month") for _ in range(2)]
    assert drawn[0].status == "ok", drawn[0].error
    assert drawn[0].text == ""
    assert drawn[0].artifacts[0].alt.startswith("Line chart: Units by month. Units from ")
    assert drawn[0].artifacts[0].sha256 == drawn[1].artifacts[0].sha256


async def test_wrong_sql_is_one_line_with_a_hint(desk: Desk, sales: pd.DataFrame):
    result = await desk.run("query_data", sql="SELECT revenu FROM sales", tables={"sales": await desk.offer(sales)})
    assert (result.status, result.hint) == ("failed", "The tables are: sales.")
    assert '"revenue"' in result.error
    assert len(result.error.splitlines()) == 1


async def test_a_function_that_no_setting_stops_ends_with_the_worker(desk: Desk):
    long = "repeat('ab', 10000000)"
    for _ in range(6):
        long = f"replace(replace({long}, 'a', 'bb'), 'bb', 'a')"
    result = await desk.run("query_data", sql=f"SELECT length({long})", tables={}, seconds=3.0)
    assert result.status in ("timeout", "failed")


async def test_documents_of_the_project_are_found(desk: Desk, samples: Path):
    shutil.copytree(samples / "documents", desk.project / "data/samples/documents")
    cache = cache_services(Cache(desk.artifacts.parent, tool("search_documents")))
    result = await desk.run("search_documents", cache, query="refund within 30 days")
    assert result.status == "ok", result.error
    again = await desk.run("search_documents", cache, query="refund within 30 days")
    assert again.value == result.value
    assert result.value["results"][0]["path"] == "data/samples/documents/refund-policy.md"
    assert result.sources[0]["url"] == "data/samples/documents/refund-policy.md"


async def test_memory_is_written_and_read_through_the_host(desk: Desk):
    kept: list[Mapping[str, Any]] = []

    async def write(params: Mapping[str, Any]) -> Any:
        kept.append(params)
        return {"id": "1", "text": params["text"]}

    async def read(params: Mapping[str, Any]) -> Any:
        return [{"id": "1", "text": kept[0]["text"], "score": 1.0, "why": "same words", "source": "r1", "at": "now"}]

    services = {"memory.write": write, "memory.recall": read}
    written = await desk.run("remember", services, text="tea, not coffee", kind="preference")
    found = await desk.run("recall", services, question="tea or coffee")
    assert written.value["formatted"] == "Remembered: tea, not coffee"
    assert found.value["formatted"] == "1. tea, not coffee (same words)"


async def test_the_web_is_searched_without_the_key_in_the_worker(desk: Desk):
    permissions = tool("web_search").permissions
    secrets = {"TAVILY_API_KEY": SecretStr("tvly-0123456789")}

    async def search(base: str, secrets: Mapping[str, SecretStr]) -> ToolResult:
        doors = Doors()
        way = WayOut(permissions, Secrets(secrets), {"api.tavily.com": base})
        return await desk.run("web_search", {"http.door": door_service(way.send, way, doors)}, doors=doors, query="x")

    with serving() as server:
        server.replies = [
            Reply(body={"results": [{"title": "t", "url": "https://example.com", "content": "tvly-0123456789"}]}),
            Reply(429, {"detail": {"error": "slow down"}}, {"Retry-After": "3"}),
        ]
        found = await search(server.url, secrets)
        busy = await search(server.url, secrets)
        none = await search(server.url, {})
    assert found.status == "ok", found.error
    assert found.value["formatted"] == "1. t\n   https://example.com\n   [redacted]"
    assert found.sources == ({"title": "t", "url": "https://example.com"},)
    assert server.heard[0].headers["authorization"] == "Bearer tvly-0123456789"
    assert (busy.status, busy.retry_after) == ("transient", 3.0)
    assert (none.status, none.error) == ("failed", "TAVILY_API_KEY is not set.")
    assert "https://tavily.com" in none.hint
