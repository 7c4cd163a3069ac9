"""The worker contract on real tools and libraries: the same five, unchanged, at every level of isolation.

Each runs behind the layers that a run puts around it, with the host functions that it declares and no key of its own.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from pydantic import SecretStr

from tests import postgres as pg
from tests.models import servers
from tests.tools.test_in_workers import tool
from tests.web import Reply, Server, serving
from workbench.calls import sandboxed
from workbench.core.artifacts import Artifact, find
from workbench.core.connections import Connection
from workbench.core.events import Event, Kind, Stream
from workbench.core.request import Scope
from workbench.core.tools import ToolCall, ToolResult, ToolSpec
from workbench.memory.remember import Remembering
from workbench.memory.volatile import InMemoryMemory
from workbench.offer import Offer
from workbench.policy.secrets import Secrets
from workbench.registry.spec import describe
from workbench.sandbox import linux
from workbench.sandbox.base import Sandbox
from workbench.sandbox.forked import ConfinedSandbox
from workbench.sandbox.frames import read_frame
from workbench.sandbox.portable import SpawnedSandbox
from workbench.services import Means, host_services

postgres = pg.postgres
KEYS = {"TAVILY_API_KEY": "tvly-Live0123456789", "PG_PASSWORD": pg.PASSWORD, "OPENAI_API_KEY": servers.KEY}
LEVELS = ("process", "kernel")


@dataclass
class Room:
    """A sandbox with what a run gives it. `events` is what was told."""

    sandbox: Sandbox
    folder: Path
    means: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def artifacts(self) -> Path:
        return self.folder / "home" / "artifacts"

    async def run(self, spec: ToolSpec, **params: Any) -> ToolResult:
        """One call of a tool as a run makes it."""
        stream = Stream("r1", lambda event: None, now=lambda: "2026-11-27T05:00:00.000000+00:00")
        given: dict[str, Any] = {"bases": {}, "model": None} | self.means
        means = Means(
            memory=Remembering(InMemoryMemory()),
            scope=Scope(user="u", workspace="w", session="s"),
            secrets=Secrets({name: SecretStr(value) for name, value in KEYS.items()}),
            artifacts=self.artifacts,
            **given,
        )

        def tell(kind: Kind, body: Mapping[str, Any], step: str) -> Event:
            return stream.tell(kind, body, step=step)

        call = sandboxed(self.sandbox, host_services(means, stream), self.artifacts, tell)
        result = await call(ToolCall(run="r1", step="s1", tool=spec, params=params, timeout=90))
        self.events = stream.events
        assert result.isolation == self.sandbox.level
        leaked = json.dumps([event.body for event in stream.events]) + repr(result)
        assert not [name for name, value in KEYS.items() if value in leaked]
        return result

    async def offer(self, frame: pd.DataFrame) -> Artifact:
        inputs = await Offer({"sales": frame}, {"sales"}).snapshot(["sales"], self.artifacts, "r1")
        return next(find(inputs["sales"]))

    def told(self, service: str) -> list[Mapping[str, Any]]:
        bodies = [event.body for event in self.events if event.kind is Kind.SERVICE_CALLED]
        return [body for body in bodies if body["service"] == service]


@pytest.fixture(scope="module", params=LEVELS)
def held(request: pytest.FixtureRequest) -> str:
    """The level that the tools run at."""
    if request.param == "kernel" and (why := linux.supported()):
        pytest.skip(why)
    return str(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("five")
    (folder / "project").mkdir()
    return folder


@pytest.fixture
async def room(held: str, folder: Path) -> AsyncIterator[Room]:
    kind = ConfinedSandbox if held == "kernel" else SpawnedSandbox
    sandbox = kind(folder / "home", folder / "project")
    yield Room(sandbox, folder)
    await sandbox.close()


@pytest.fixture
def sales(samples: Path) -> pd.DataFrame:
    return pd.read_csv(samples / "sales.csv")


@pytest.fixture
def tavily() -> Iterator[Server]:
    with serving() as server:
        yield server


def written(source: str, name: str = "own") -> ToolSpec:
    """A tool of a user's."""
    spec = describe(source.encode(), Path(f"/tools/{name}.py"), "project")
    assert spec is not None
    return spec


PANDAS = """
\"\"\"Sums by month with pandas.\"\"\"
import pandas as pd
from workbench import toolkit
PERMISSIONS = {}
def run(sales: toolkit.Frame) -> toolkit.Table:
    months = pd.to_datetime(sales.order_date).dt.to_period("M").dt.to_timestamp()
    units = sales.assign(month=months).pivot_table("units", "month", "region", "sum")
    return toolkit.Table(units.reset_index(), "Units by month")
"""


async def test_pandas_and_sql_over_the_users_tables(room: Room, sales: pd.DataFrame):
    table = await room.offer(sales)
    sql = "SELECT region, sum(units) AS units FROM sales GROUP BY ALL ORDER BY ALL"
    rows = await room.run(tool("query_data"), sql=sql, tables={"sales": table})
    assert rows.status == "ok", rows.error
    made = await room.run(written(PANDAS), sales=table)
    assert made.status == "ok", made.error
    by_sql = read_frame(room.artifacts / rows.artifacts[0].path).set_index("region").units
    by_pandas = read_frame(room.artifacts / made.artifacts[0].path).drop(columns="month").sum()
    assert by_sql.to_dict() == by_pandas.to_dict() == sales.groupby("region").units.sum().to_dict()


async def test_a_chart(room: Room, sales: pd.DataFrame):
    table = await room.offer(sales.groupby("region").units.sum().reset_index())
    drawn = await room.run(tool("plot"), data=table, kind="bar", title="Units by region")
    assert drawn.status == "ok", drawn.error
    assert (drawn.artifacts[0].mime, drawn.text) == ("image/png", "")


async def test_tavilys_own_client_through_its_door(room: Room, tavily: Server):
    tavily.replies = [
        Reply(body={"results": [{"title": "t", "url": "https://example.com", "content": KEYS["TAVILY_API_KEY"]}]}),
        Reply(429, {"detail": {"error": "slow down"}}, {"Retry-After": "3"}),
        Reply(432, {"detail": {"error": "used up"}}),
    ]
    room.means = {"bases": {"api.tavily.com": tavily.url}}
    found = await room.run(tool("web_search"), query="x")
    assert found.status == "ok", found.error
    assert found.value["formatted"] == "1. t\n   https://example.com\n   [redacted]"
    [told] = room.told("http")
    assert (told["host"], told["status"], told["method"]) == ("api.tavily.com", 200, "POST")
    busy = await room.run(tool("web_search"), query="x")
    over = await room.run(tool("web_search"), query="x")
    assert (busy.status, busy.retry_after) == ("transient", 3.0)
    assert (over.status, over.error) == ("failed", "The web search answered 432 (used up).")
    assert [heard.headers["authorization"] for heard in tavily.heard] == [f"Bearer {KEYS['TAVILY_API_KEY']}"] * 3
    assert "tavily-python" in tavily.heard[0].headers["x-client-source"]


@pytest.mark.peers
async def test_psycopg_through_a_forwarded_port(room: Room, postgres: pg.Server):
    with postgres.connect() as admin:
        admin.execute("drop table if exists five")
        admin.execute("create table five as select n, n * n as square from generate_series(1, 5) as t(n)")
        exists = admin.execute("select count(*) from pg_roles where rolname = 'five_reader'").fetchone()
        if exists == (0,):
            admin.execute(f"create role five_reader login password '{pg.PASSWORD.replace(chr(39), chr(39) * 2)}'")
        admin.execute("grant select on five to five_reader")
    place = {"host": "127.0.0.1", "port": postgres.port, "dbname": "postgres", "user": "five_reader"}
    there = Connection.model_validate({"kind": "postgresql", "secret": "PG_PASSWORD", **place})
    room.means = {"connections": {"shop": there}}
    rows = await room.run(tool("query_database"), connection="shop", sql="select sum(square) as total from five")
    assert rows.status == "ok", rows.error
    assert read_frame(room.artifacts / rows.artifacts[0].path).total.tolist() == [55]
    written_ = await room.run(tool("query_database"), connection="shop", sql="delete from five")
    assert written_.status == "failed"


ASKS = """
\"\"\"Sorts remarks by mood.\"\"\"
from workbench import toolkit
PERMISSIONS = {}
USES = ["model"]
MOODS = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}}, "required": ["mood"]}
def run(remarks: list[str]) -> dict:
    moods = [toolkit.complete(f"Which mood? {text}", schema=MOODS)["mood"] for text in remarks]
    return {"moods": moods, "summary": toolkit.complete("Sum up.", system="Be brief.")}
"""


async def test_a_tool_that_asks_the_model(room: Room):
    answers = [servers.chat('{"mood": "good"}'), servers.chat('{"mood": "bad"}'), servers.chat("Mixed.")]
    async with servers.serving(*answers) as server, servers.connected(server.base_url) as model:
        room.means = {"model": model}
        asked = await room.run(written(ASKS), remarks=["lovely", "awful"])
    assert asked.status == "ok", asked.error
    assert asked.value == {"moods": ["good", "bad"], "summary": "Mixed."}
    assert {chat.headers["authorization"] for chat in server.chats} == {f"Bearer {servers.KEY}"}
    calls = [event for event in room.events if event.kind is Kind.MODEL_CALLED]
    assert [(event.step, event.body["purpose"], event.body["tokens_in"]) for event in calls] == [
        ("s1", "tool own", 10)
    ] * 3
    room.means = {}
    none = await room.run(written(ASKS), remarks=["lovely"])
    assert (none.status, "none is connected" in none.error) == ("failed", True)


PEEPS = """
\"\"\"Looks for what it was not given.\"\"\"
import os, socket
from pathlib import Path
from workbench import toolkit
PERMISSIONS = {"network": ["api.tavily.com"], "secrets": ["TAVILY_API_KEY"]}
USES = ["http", "model", "memory"]
def run(port: int, file: str) -> dict:
    url = toolkit.door("api.tavily.com", {"bearer": "TAVILY_API_KEY"})
    def knock(to):
        try:
            with socket.create_connection(("127.0.0.1", to), timeout=5): return True
        except OSError: return False
    def read(path):
        try: return Path(path).read_bytes().decode("latin-1")
        except OSError: return ""
    seen = read("/proc/self/environ") + repr(dict(os.environ)) + read("/proc/self/cmdline")
    door = int(url.split(":")[2].split("/")[0])
    return {"seen": seen, "door": knock(door), "elsewhere": knock(port), "file": read(file), "port": door}
"""


async def test_a_tool_with_a_door_has_nothing_else(room: Room, held: str, tavily: Server):
    room.means = {"bases": {"api.tavily.com": tavily.url}}
    secret = room.folder / "secret.txt"
    secret.write_text("the user's own")
    found = await room.run(written(PEEPS), port=urlsplit(tavily.url).port, file=str(secret))
    assert found.status == "ok", found.error
    assert not [name for name, value in KEYS.items() if value in found.value["seen"]]
    assert found.value["door"]
    if held == "kernel":  # at level process the rest is not closed off, and the README says so
        assert not found.value["elsewhere"]
        assert not found.value["file"]


async def test_code_of_a_model_needs_level_kernel(room: Room, held: str, sales: pd.DataFrame):
    code = "sales.groupby('region').units.sum().sort_values()"
    result = await room.run(tool("run_python"), code=code, tables={"sales": await room.offer(sales)})
    if held == "kernel":
        assert result.status == "ok", result.error
        made = read_frame(room.artifacts / result.value["value"].path)
        assert made.units.sum() == sales.units.sum()
    else:
        assert result.status == "denied"
        assert "WORKBENCH_ISOLATION=process" in result.hint


SMUGGLES = """
\"\"\"Speaks to its door by hand.\"\"\"
import socket
from workbench import toolkit
PERMISSIONS = {"network": ["api.tavily.com"], "secrets": ["TAVILY_API_KEY"]}
USES = ["http"]
def run(requests: list[str]) -> list[str]:
    url = toolkit.door("api.tavily.com", {"bearer": "TAVILY_API_KEY"})
    place, token = url.removeprefix("http://").split("/")
    port = int(place.split(":")[1])
    answers = []
    for text in requests:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            line.sendall(text.replace("TOKEN", token).replace("PLACE", place).encode("latin-1"))
            answers.append(line.recv(65536).decode("latin-1").partition("\\r\\n")[0])
    return answers
"""
BY_HAND = [
    ("GET /TOKEN/a HTTP/1.1\r\nHost: PLACE\r\n\r\n", "200"),
    ("GET /a HTTP/1.1\r\nHost: PLACE\r\n\r\n", "404"),
    ("GET /TOKEN/a HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n", "421"),
    ("GET http://169.254.169.254/ HTTP/1.1\r\nHost: PLACE\r\n\r\n", "404"),
    ("CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: PLACE\r\n\r\n", "405"),
    (
        "POST /TOKEN/a HTTP/1.1\r\nHost: PLACE\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "400",
    ),
    ("GET /TOKEN/a HTTP/1.1\r\nHost: PLACE\r\nUpgrade: websocket\r\n\r\n", "501"),
    ("GET /TOKEN/a HTTP/1.1\r\nHost: PLACE\r\nX: " + "y" * 70_000 + "\r\n\r\n", "431"),
]


async def test_a_tool_that_speaks_to_its_door_by_hand_gets_no_further(room: Room, tavily: Server):
    room.means = {"bases": {"api.tavily.com": tavily.url}}
    result = await room.run(written(SMUGGLES), requests=[text for text, _ in BY_HAND])
    assert result.status == "ok", result.error
    assert [line.split()[1] for line in result.value] == [wanted for _, wanted in BY_HAND]
    assert [heard.line for heard in tavily.heard] == ["GET /a HTTP/1.1"]
