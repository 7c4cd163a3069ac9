"""Several calls at once at servers of others: both generations of the protocol, over stdio and over HTTP."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mcp import test_peers
from tests.mcp.support import Project
from tests.mcp.test_peers import _opened, _until_it_answers, listening
from workbench.core.errors import WorkbenchError
from workbench.core.events import Event, Kind
from workbench.planners.given import GivenPlanner
from workbench.policy.approval import Asked, Decision

pytestmark = pytest.mark.peers
npm = test_peers.npm

SERVER = Path(__file__).with_name("modern.py")


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    made = Project(tmp_path)
    yield made
    await made.bench.close()


@pytest.fixture(params=["stdio", "http"])
def modern(request: pytest.FixtureRequest, project: Project) -> Iterator[None]:
    """The project has a server of the newer generation."""
    if request.param == "stdio":
        project.declare({"command": sys.executable, "args": [str(SERVER)]})
        yield
    else:
        with listening([sys.executable, str(SERVER), "http"]) as port:
            project.declare({"type": "http", "url": f"http://127.0.0.1:{port}/mcp"})
            yield


@pytest.fixture(params=["stdio", "http"])
def older(request: pytest.FixtureRequest, project: Project, npm: Path) -> Iterator[str]:
    """The project has a server of the older generation, over what is named."""
    script, node = str(npm / "server-everything" / "dist" / "index.js"), shutil.which("node") or "node"
    if request.param == "stdio":
        project.declare({"command": node, "args": [script]})
        yield request.param
    else:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            free = str(one.getsockname()[1])
        with listening([node, script, "streamableHttp"], PORT=free) as port:
            project.declare({"type": "http", "url": f"http://127.0.0.1:{port}/mcp"})
            yield request.param


class Together:
    """Two people, each with a run of their own; neither answers before both are asked."""

    def __init__(self) -> None:
        self.asked: dict[str, str] = {}
        self._both = asyncio.Barrier(2)

    async def said(self, project: Project, name: str, tool: str, params: dict[str, Any], fields: dict[str, Any]) -> str:
        async def answers(asked: Asked) -> Decision:
            assert asked.call is not None
            self.asked[name] = asked.call.why
            await self._both.wait()
            return Decision(answer="allow", by="user", filled=fields)

        return str(await project.call(tool, params, approver=answers, rounds=False))


class Begun:
    """A call, and when it is told to be under way."""

    def __init__(self, project: Project, name: str, params: dict[str, Any]) -> None:
        self.event = asyncio.Event()
        self.task = asyncio.create_task(project.call(name, params, listeners=(self._hear,)))

    def _hear(self, event: Event) -> None:
        if event.kind is Kind.STEP_PROGRESS and not event.body["text"].startswith("for the first time"):
            self.event.set()


async def test_two_steps_are_at_a_server_of_the_newer_generation_together(project: Project, modern: None):
    await _until_it_answers(project)
    assert await _opened(project) == "2026-07-28"
    steps = [{"id": text, "task": "peer.meet", "params": {"text": text}} for text in ("a", "b")]
    run = await project.bench.ask("both", planner=GivenPlanner({"mode": "graph", "steps": steps}), rounds=False)
    assert [step.value for step in run.steps.values()] == [{"result": "a"}, {"result": "b"}]


async def test_a_call_that_is_stopped_leaves_the_others_of_the_newer_generation(project: Project, modern: None):
    await _until_it_answers(project)
    calls = {text: asyncio.create_task(project.call("hold", {"text": text})) for text in ("first", "other")}

    async def seen() -> Any:
        return (await project.call("seen", {}))["result"]

    while sorted((await seen())[0]) != ["first", "other"]:
        pass
    calls["first"].cancel()
    with pytest.raises(WorkbenchError, match="Stopped"):
        await calls["first"]
    while (await seen())[1] != ["first"]:
        pass
    await project.call("release", {})
    assert await calls["other"] == {"result": "other"}
    assert len(project.bench.servers._sessions) == 1


async def test_questions_of_the_newer_generation_go_to_the_runs_whose_calls_have_asked(project: Project, modern: None):
    await _until_it_answers(project)
    both = Together()
    answers = await asyncio.gather(
        *(both.said(project, name, "ask", {"text": name}, {"table": f"table of {name}"}) for name in ("Ada", "Bob"))
    )
    assert [f"{name} table of {name}" in answer for name, answer in zip(("Ada", "Bob"), answers, strict=True)] == [
        True,
        True,
    ]
    assert all(f"the MCP server peer asks: Which table for {name}?" in why for name, why in both.asked.items())


async def test_a_call_of_the_older_generation_goes_on_while_another_is_answered_and_one_stopped(
    project: Project, older: str
):
    await _until_it_answers(project)
    assert await _opened(project) == "2025-11-25"
    long = {"duration": 300, "steps": 600}
    first, other = (Begun(project, "trigger-long-running-operation", long) for _ in range(2))
    await asyncio.gather(first.event.wait(), other.event.wait())
    assert await project.call("echo", {"message": "meanwhile"}) == "Echo: meanwhile"
    first.task.cancel()
    with pytest.raises(WorkbenchError, match="Stopped"):
        await first.task
    other.event.clear()
    await other.event.wait()
    assert await project.call("echo", {"message": "after"}) == "Echo: after"
    assert len(project.bench.servers._sessions) == 1
    other.task.cancel()
    with pytest.raises(WorkbenchError, match="Stopped"):
        await other.task


@pytest.mark.parametrize("older", ["http"], indirect=True)
async def test_over_http_questions_of_the_older_generation_go_to_the_runs_whose_calls_have_asked(
    project: Project, older: str
):
    await _until_it_answers(project)
    both = Together()
    answers = await asyncio.gather(
        *(both.said(project, name, "trigger-elicitation-request", {}, {"name": name}) for name in ("Ada", "Bob"))
    )
    assert ["Ada" in answers[0], "Bob" in answers[0], "Ada" in answers[1], "Bob" in answers[1]] == [1, 0, 0, 1]
    assert sorted(both.asked) == ["Ada", "Bob"]


async def test_a_server_at_an_address_that_was_started_anew_is_asked_in_a_new_session(project: Project, npm: Path):
    script, node = str(npm / "server-everything" / "dist" / "index.js"), shutil.which("node") or "node"
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        free = str(one.getsockname()[1])
    project.declare({"type": "http", "url": f"http://127.0.0.1:{free}/mcp"})
    for _ in range(2):
        with listening([node, script, "streamableHttp"], PORT=free):
            await _until_it_answers(project)
            assert await project.call("echo", {"message": "x"}) == "Echo: x"


async def test_a_server_at_an_address_that_goes_away_fails_every_call_with_a_line_each(project: Project):
    with listening([sys.executable, str(SERVER), "http"]) as port:
        project.declare({"type": "http", "url": f"http://127.0.0.1:{port}/mcp"})
        await _until_it_answers(project)
        calls = [asyncio.create_task(project.call("hold", {"text": text})) for text in ("a", "b")]
        while len((await project.call("seen", {}))["result"][0]) < 2:
            pass
    for call in calls:
        with pytest.raises(WorkbenchError) as caught:
            await call
        assert "The MCP server peer" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    assert "it cannot be reached" in await project.fails("seen", params={})
