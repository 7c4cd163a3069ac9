"""Several calls at one server at once: each with its own answer, its own end and its own question, over one process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mcp.support import Project, tool
from tests.mcp.test_hostile import SCHEMA
from tests.mcp.test_orphans import all_gone
from tests.mcp.test_questions import FORM, types
from tests.processes import is_alive
from workbench.core.errors import WorkbenchError
from workbench.core.events import Event, Kind
from workbench.mcp.bounds import Bounds, Heard
from workbench.planners.given import GivenPlanner
from workbench.policy.approval import prompted
from workbench.run import Run

DOES = {
    "hold": "hold",
    "release": "release",
    "meet": "meet",
    "count": "count",
    "seen": "seen",
    "pid": "pid",
    "ask": "ask",
    "silence": "silence",
    "crash": "crash",
    "chatter": "chatter",
    "lie": "lie and release",
}
TOOLS = [tool(name, **({"outputSchema": SCHEMA} if name == "lie" else {})) for name in DOES]


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    made = Project(tmp_path, requests_per_minute=10_000)
    made.write(TOOLS, DOES)
    await made.trust("*")
    yield made
    await made.bench.close()


class Held:
    """A call that the server holds; `begun` when the server has said so."""

    def __init__(self, project: Project, text: str, name: str = "hold", **options: Any) -> None:
        self.begun = asyncio.Event()
        self.task = asyncio.create_task(project.call(name, {"text": text}, listeners=(self._hear,), **options))

    def _hear(self, event: Event) -> None:
        if event.kind is Kind.STEP_PROGRESS and event.body["text"] in ("held", "asked", "1"):
            self.begun.set()

    async def fails(self) -> str:
        with pytest.raises(WorkbenchError) as caught:
            await self.task
        return str(caught.value)


async def held(project: Project, *texts: str) -> list[Held]:
    """Calls of runs of their own, all of which the server has under way."""
    calls = [Held(project, text) for text in texts]
    for call in calls:
        await call.begun.wait()
    return calls


async def planned(project: Project, *steps: tuple[str, str], **options: Any) -> Run:
    """A run of steps that need nothing of each other, each a tool and its text."""
    plan = [{"id": f"s{n}", "task": f"peer.{name}", "params": {"text": text}} for n, (name, text) in enumerate(steps)]
    return await project.bench.ask(
        "all of it", planner=GivenPlanner({"mode": "graph", "steps": plan}), rounds=False, **options
    )


async def seen(project: Project) -> Any:
    return json.loads(await project.call("seen"))


async def test_two_steps_of_a_plan_are_at_one_server_together(project: Project):
    """The server answers none before it has both."""
    project.write(TOOLS, DOES, order=["b", "a"])
    run = await planned(project, ("meet", "a"), ("meet", "b"))
    assert [step.value for step in run.steps.values()] == ["a", "b"]


async def test_every_call_gets_its_own_answer_in_whatever_order_they_come(project: Project):
    loop = asyncio.get_running_loop()

    async def in_order(order: list[str]) -> None:
        project.write(TOOLS, DOES, order=order)
        texts = sorted(order)
        assert await asyncio.gather(*(project.call("meet", {"text": text}) for text in texts)) == texts

    @settings(max_examples=25)
    @given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True))
    def property_(order: list[str]) -> None:
        asyncio.run_coroutine_threadsafe(in_order(order), loop).result()

    await asyncio.to_thread(property_)


async def test_no_more_calls_are_under_way_than_the_server_may_have(project: Project):
    path = project.bench.settings.project / ".mcp.json"
    path.write_text(path.read_text().replace('"command"', '"parallel": 2, "command"'))
    assert "peer.count" in project.bench.tools()  # another number is no other server
    texts = [str(n) for n in range(7)]
    assert await asyncio.gather(*(project.call("count", {"text": text}) for text in texts)) == texts
    assert max((await seen(project))["at_once"]) <= 2


async def test_a_call_that_waits_for_its_turn_does_not_use_up_its_time(project: Project):
    path = project.bench.settings.project / ".mcp.json"
    path.write_text(path.read_text().replace('"command"', '"parallel": 1, "timeout": 1, "command"'))
    await project.call("pid")
    lines = await asyncio.gather(*(Held(project, str(n)).fails() for n in range(2)))
    assert ["took longer than 1 seconds for hold" in line for line in lines] == [True] * 2
    assert sorted((await seen(project))["cancelled"]) == ["0", "1"]  # each was sent


async def test_a_call_that_is_stopped_is_told_to_the_server_and_leaves_the_other(project: Project):
    pid = await project.call("pid")
    first, other = await held(project, "first", "other")
    first.task.cancel()
    assert "Stopped" in await first.fails()
    assert (await seen(project))["cancelled"] == ["first"]
    assert await project.call("release") == "released"
    assert await other.task == "other"
    assert await project.call("pid") == pid


async def test_a_call_whose_time_is_up_leaves_the_other(project: Project):
    pid = await project.call("pid")
    (other,) = await held(project, "other")
    path = project.bench.settings.project / ".mcp.json"
    path.write_text(path.read_text().replace('"command"', '"timeout": 1, "command"'))
    assert "took longer than 1 seconds for hold" in await project.fails("hold", params={"text": "late"})
    assert (await seen(project))["cancelled"] == ["late"]
    await project.call("release")
    assert await other.task == "other"
    assert await project.call("pid") == pid


async def test_a_server_that_does_not_let_go_gets_no_further_call_and_ends_with_the_last(project: Project):
    pid = await project.call("pid")
    (other,) = await held(project, "other")
    stuck = Held(project, "x", "silence")
    await stuck.begun.wait()
    stuck.task.cancel()
    await stuck.fails()
    assert await project.call("pid") != pid
    assert is_alive(int(pid))  # it still has the other, which may take its time
    other.task.cancel()
    await other.fails()
    assert not is_alive(int(pid))


async def test_a_crash_fails_every_call_with_one_clear_line_each(project: Project):
    calls = await held(project, "a", "b", "c")
    line = "The MCP server peer is gone: it ended: out of luck."
    assert line in await project.fails("crash")
    for call in calls:
        said = await call.fails()
        assert line in said
        assert len(said.splitlines()) <= 2  # the line and its hint
    assert await project.call("pid")


async def test_a_flood_ends_every_call_and_says_so(project: Project):
    pid = await project.call("pid")
    calls = await held(project, "a", "b")
    said = [await project.fails("chatter"), *[await call.fails() for call in calls]]
    assert all("it sent more than 1,500 messages for 3 calls" in line for line in said)
    assert not is_alive(int(pid))


async def test_a_server_that_has_changed_is_ended_and_what_it_would_have_said_is_not_heard(project: Project):
    pid = await project.call("pid")
    (call,) = await held(project, "a")
    project.write([*TOOLS, tool("new")], DOES)
    for line in (await project.fails("pid"), await call.fails()):
        assert "has changed since you trusted it: new is new" in line
        assert "workbench trust --mcp peer" in line
    assert not is_alive(int(pid))


async def test_a_lie_costs_its_own_call_and_the_server_ends_with_the_last(project: Project):
    pid = await project.call("pid")
    (call,) = await held(project, "a")
    assert "its own schema does not allow" in await project.fails("lie")
    assert await call.task == "a"
    assert await project.call("pid") != pid
    assert not is_alive(int(pid))


async def test_a_question_that_does_not_say_whose_it_is_waits_until_it_is_clear(project: Project):
    """Over stdio the older protocol has nothing that would tell: the person sees it at the call that has asked."""
    project.write(TOOLS, DOES, question=FORM, here=2)
    shown, line = types("y", "b", "", "yes")
    approver = prompted(line, lambda plan: "")
    steps: list[str | None] = []
    released: list[asyncio.Task[Any]] = []

    def hear(event: Event) -> None:
        if event.body.get("text") == "asked":
            steps.extend(shown)  # nothing yet
            released.append(asyncio.create_task(project.call("release")))
        if event.kind is Kind.APPROVAL:
            steps.append(event.step)

    run = await planned(project, ("ask", "x"), ("hold", "y"), approver=approver, listeners=(hear,))
    assert shown[0].startswith("s0 peer.ask: the MCP server peer asks: Which table?")
    assert json.loads(run.steps["s0"].value)["content"]["table"] == "b"
    assert run.steps["s1"].value == "y"
    assert steps == ["s0"]
    assert await released[0] == "released"


async def test_of_two_questions_that_may_be_anybodys_one_is_put_to_nobody_and_the_other_to_its_own_call(
    project: Project,
):
    project.write(TOOLS, DOES, question=FORM, here=2)
    shown, line = types("y", "b", "", "yes")
    told: list[str] = []
    run = await planned(
        project,
        ("ask", "x"),
        ("ask", "y"),
        approver=prompted(line, lambda plan: ""),
        listeners=(lambda event: told.append(str(event.body.get("text"))),),
    )
    answers = {step.id: json.loads(step.value) for step in run.steps.values()}
    (asked,) = [name for name, answer in answers.items() if answer["action"] == "accept"]
    assert shown[0].startswith(f"{asked} peer.ask: the MCP server peer asks: ")
    assert sorted(answer["action"] for answer in answers.values()) == ["accept", "cancel"]
    lines = [text for text in told if "not answered: the MCP server peer does not say for which of its calls" in text]
    assert len(lines) == 2


async def test_a_question_reaches_the_run_whose_call_has_asked(project: Project):
    project.write(TOOLS, DOES, question=FORM)
    (other,) = await held(project, "other")
    shown, line = types("n")
    asking = Held(project, "x", "ask", approver=prompted(line, lambda plan: ""), rounds=False)
    await asking.begun.wait()
    assert shown == []
    await project.call("release")
    assert json.loads(await asking.task) == {"action": "decline"}
    assert await other.task == "other"


async def test_a_question_for_a_call_that_was_given_up_is_not_answered_for_another(project: Project):
    project.write(TOOLS, DOES, question=FORM, late=True)
    shown, line = types("y", "b", "", "yes")
    first = Held(project, "first")
    await first.begun.wait()
    other = Held(project, "other", approver=prompted(line, lambda plan: ""), rounds=False)
    await other.begun.wait()
    first.task.cancel()
    await first.fails()
    assert (await seen(project))["answers"] == [{"action": "cancel"}]
    assert shown == []
    await project.call("release")
    assert await other.task == "other"


async def test_a_server_without_calls_is_ended_after_a_while(tmp_path: Path):
    project = Project(tmp_path, bounds=Bounds(idle=0.1))
    project.write(TOOLS, DOES)
    await project.trust()
    pid = int(await project.call("pid"))
    assert await asyncio.to_thread(all_gone, [pid], 20.0)
    assert await project.call("pid") != pid
    await project.bench.close()


LITTLE = Bounds(total=10, messages=3)
WORDS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(0, 2)), min_size=10, max_size=60)


@given(WORDS)
def test_a_server_within_the_bounds_of_each_call_is_never_ended(words: list[tuple[int, int, int]]):
    heard, calls = Heard(LITTLE), dict[int, tuple[int, int]]()
    for call, size, messages in words:
        if call not in calls:
            heard.begin()
            calls[call] = (0, 0)
        elif calls[call][0] + size > LITTLE.total or calls[call][1] + messages > LITTLE.messages:
            heard.end()
            del calls[call]
        else:
            calls[call] = calls[call][0] + size, calls[call][1] + messages
            assert heard.take(size, messages)


@given(WORDS)
def test_a_server_says_no_more_than_the_bounds_for_every_call_that_was_made(words: list[tuple[int, int, int]]):
    heard, under_way, made, said = Heard(LITTLE), set[int](), 0, [0, 0]
    for call, size, messages in words:
        if call not in under_way:
            heard.begin()
            under_way.add(call)
            made += 1
        elif size == 0:
            heard.end()
            under_way.discard(call)
        elif heard.take(size, messages):
            said = [said[0] + size, said[1] + messages]
        assert said[0] <= LITTLE.total * made
        assert said[1] <= LITTLE.messages * made
