"""Tools of an MCP server under the policy of every other: trust, results, labels, taint, environment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.support import Project, tool
from workbench.core.errors import Denied, PlanInvalid, Unavailable
from workbench.core.events import Kind
from workbench.core.provenance import SourceKind
from workbench.policy.approval import Asked, Decision
from workbench.run import Picture


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    made = Project(tmp_path)
    made.write([tool("echo")])
    yield made
    await made.bench.close()


async def test_a_server_that_nobody_trusts_offers_nothing_and_is_not_started(project: Project, tmp_path: Path):
    project.declare({"command": "touch", "args": [str(tmp_path / "started")]})
    assert "peer.echo" not in project.bench.tools()
    (line,) = [line for line in project.bench.found().problems if "peer" in line]
    assert "not trusted yet: touch" in line
    assert "workbench trust --mcp peer" in line
    with pytest.raises(PlanInvalid):
        await project.call("echo")
    assert not (tmp_path / "started").exists()


async def test_a_trusted_tool_is_called_labelled_and_on_record(project: Project):
    await project.trust()
    spec = project.bench.tools()["peer.echo"]
    assert (spec.origin, spec.runs, spec.effect) == ("server", "server", "write")
    run = await project.bench.run_tool("peer.echo", {"text": "héllo"})
    assert run.steps[0].value == "héllo"
    assert "Nothing confines peer.echo: it runs on an MCP server" in "\n".join(run.outcome.notes)
    events = await project.bench.memory.events(run.id)
    (called,) = [event for event in events if event.kind is Kind.TOOL_CALLED]
    (defined,) = [event for event in events if event.kind is Kind.TOOL_DEFINED]
    assert (called.body["isolation"], called.body["version"]) == ("none", spec.version)
    assert json.loads(defined.body["source"])["tool"]["name"] == "echo"
    assert SourceKind.TOOL in {source.kind for source in run.outcome.steps[0].provenance}


async def test_wrong_parameters_never_reach_the_server(project: Project):
    await project.trust()
    with pytest.raises(PlanInvalid, match="expected string"):
        await project.call("echo", {"text": 3})


async def test_pictures_structure_and_what_is_left_out(project: Project):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    project.write(
        [tool("picture"), tool("structure", outputSchema=schema), tool("error")],
        {"picture": "picture", "structure": "structure", "error": "error"},
    )
    await project.trust("picture")
    assert project.bench.tools()["peer.picture"].effect == "read"
    run = await project.bench.run_tool("peer.picture", {"text": ""})
    value: Any = run.steps[0].value
    assert value["text"] == "a dot"
    assert [type(image) for image in value["images"]] == [Picture]
    assert run.images[0].png.startswith(b"\x89PNG")
    assert "Left out: a picture (image/jpeg)" in run.steps[0].text
    assert await project.call("structure") == {"n": 1, "rows": [1, 2]}
    assert "no such city" in await project.fails("error")


async def test_what_a_server_gave_steers_nothing_without_a_question(project: Project):
    """A result of a server in the argument of a tool that writes is a stranger's."""
    await project.trust("*")
    asked: list[Asked] = []

    async def no(question: Asked) -> Decision:
        asked.append(question)
        return Decision(answer="deny", by="user")

    steps = [
        {"id": "s1", "task": "peer.echo", "params": {"text": "remember me"}},
        {"id": "s2", "task": "remember", "params": {"text": {"$ref": "s1"}}},
    ]
    from workbench.planners.given import GivenPlanner

    with pytest.raises(Denied):
        await project.bench.ask("echo it", planner=GivenPlanner(steps), approver=no, rounds=False)
    (question,) = asked
    assert question.call is not None
    assert (question.call.tool, question.call.arguments[0].value) == ("remember", "remember me")


async def test_what_a_stranger_wrote_goes_to_no_server_unseen_even_to_one_that_reads(project: Project):
    await project.trust("*")
    with pytest.raises(Denied, match="nobody is there to be asked"):
        await project.call("echo", {"text": "a private thing"}, stranger="a client")


async def test_a_server_gets_the_few_variables_that_it_is_given_and_no_key(
    project: Project, monkeypatch: pytest.MonkeyPatch
):
    project.write([tool("env")], {"env": "env"})
    monkeypatch.setenv("OPENAI_API_KEY", "sk-neverseenneverseen")
    monkeypatch.setenv("PEER_TOKEN", "tok-12345678901234567890")
    monkeypatch.setenv("OTHER", "other")
    path = project.bench.settings.project / ".mcp.json"
    fields = json.loads(path.read_text())["mcpServers"]["peer"]
    project.declare(fields | {"env": {"PEER_TOKEN": "${PEER_TOKEN}", "MODE": "test"}})
    await project.trust()
    run = await project.bench.run_tool("peer.env", {"text": ""})
    seen = json.loads(run.steps[0].value)
    assert set(seen) - {"LC_CTYPE"} == {"PATH", "HOME", "PEER_TOKEN", "MODE"}
    assert seen["MODE"] == "test"
    assert seen["PEER_TOKEN"] == "[redacted]"  # it had it, and what it gives back is cleaned
    assert "tok-12345" not in str([event.body for event in await project.bench.memory.events(run.id)])


async def test_another_command_or_another_variable_is_another_server(project: Project):
    await project.trust()
    path = project.bench.settings.project / ".mcp.json"
    fields = json.loads(path.read_text())["mcpServers"]["peer"]
    for changed in (
        {"args": [*fields["args"], "--more"]},
        {"env": {"HOME": "${HOME}"}},
        {"env": {"LD_PRELOAD": "x.so"}},
    ):
        project.declare(fields | changed)
        assert "peer.echo" not in project.bench.tools()
        assert any("is another than you have trusted" in line for line in project.bench.found().problems)
    project.declare(fields)
    assert "peer.echo" in project.bench.tools()


async def test_a_program_that_is_not_there_is_one_line(project: Project):
    project.declare({"command": "no-such-program-here"})
    with pytest.raises(Exception, match="no-such-program-here") as raised:
        await project.trust()
    assert len(str(raised.value).splitlines()) == 1
    with pytest.raises(Unavailable, match="There is no MCP server other"):
        await project.trust(name="other")


async def test_a_value_of_a_key_goes_to_no_server(tmp_path: Path):
    project = Project(tmp_path, api_key="sk-verysecretverysecret")
    project.write([tool("echo")])
    await project.trust()
    assert "value of a key" in await project.fails("echo", params={"text": "sk-verysecretverysecret"})
    await project.bench.close()


ALONE = """
import sys
blocked = sys.argv[1] == "blocked"
if blocked:
    sys.modules["mcp"] = None
from workbench.bridge import wait
from workbench.core.errors import Unavailable
from workbench.workbench import Workbench
wb = Workbench()
wait(wb.run_tool("recall", {"question": "x"}))
assert blocked or "mcp" not in sys.modules
try:
    wait(wb.servers.ask("peer"))
except Unavailable as error:
    print(error)
wait(wb.close())
"""


@pytest.mark.parametrize(
    ("how", "said"), [("blocked", "pip install 'agent-workbench[mcp]'"), ("free", "no MCP server")]
)
def test_the_sdk_is_imported_when_a_server_is_used_and_its_absence_is_one_line(tmp_path: Path, how: str, said: str):
    (tmp_path / ".workbench").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ALONE, how], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, said in done.stdout) == (0, True), done.stderr
