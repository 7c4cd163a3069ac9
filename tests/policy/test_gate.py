"""The gate asks before a call leaves or acts on a stranger's word: one question at a time, each once; headless: no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.core.strategies import json_values
from workbench.core.artifacts import ARROW, Artifact
from workbench.core.errors import Denied
from workbench.core.events import Event, Kind
from workbench.core.plan import load
from workbench.core.provenance import REQUEST, Argument, Source, SourceKind, Sources
from workbench.core.settings import Policy
from workbench.core.tools import Permissions, ToolCall, ToolResult, ToolSpec
from workbench.policy import approval
from workbench.policy.approval import Approver, Asked, Decision
from workbench.policy.gate import Gate
from workbench.policy.rules import Rules
from workbench.policy.secrets import Secrets
from workbench.policy.taint import acts
from workbench.policy.words import leaves
from workbench.sandbox.base import Level

KEY = "sk-canary-7d1f0c55a9"
WEB = Source(kind=SourceKind.WEB, label="news.example", step="s1")
FRAME = Source(kind=SourceKind.FRAME, label="@sales")
TABLE = Artifact(path="r/t.arrow", mime=ARROW, bytes=1, sha256="0" * 64, rows=2)
FETCH = Permissions(network=("a.example", "b.example"))


def tool(name: str = "fetch", **fields: Any) -> ToolSpec:
    return ToolSpec(**{"name": name, "summary": name, "params": {}, "version": "v1", "source": b""} | fields)


def call(
    what: ToolSpec,
    params: Mapping[str, Any],
    made_of: Sources = REQUEST | {WEB},
    *,
    refs: tuple[str, ...] = (),
    step: str = "s2",
    **fields: Any,
) -> ToolCall:
    parts = tuple(Argument(path=f"/{key}", value=value, sources=made_of, refs=refs) for key, value in params.items())
    return ToolCall(run="r", step=step, tool=what, params=params, timeout=1, arguments=parts, sources=made_of, **fields)


class Questions:
    """An approver that keeps what it was asked and gives the answers in turn, the last one again and again."""

    def __init__(self, *answers: approval.Answer) -> None:
        self.asked: list[Asked] = []
        self._answers = list(answers)

    async def __call__(self, asked: Asked) -> Decision:
        self.asked.append(asked)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return Decision(answer=answer, by="user")


def gate(
    approver: Approver | None = None,
    request: str = "help me",
    level: Level = "kernel",
    servers: Sequence[str] = (),
    **policy: Any,
) -> tuple[Gate, list[Event]]:
    events: list[Event] = []

    def tell(kind: Kind, body: Mapping[str, Any], step: str) -> Event:
        event = Event(run="r", seq=len(events), at="", kind=kind, step=step, body=body)
        events.append(event)
        return event

    async def durable() -> None:
        return None

    from pydantic import SecretStr

    secrets = Secrets({"KEY": SecretStr(KEY)})
    made = Gate(
        run="r",
        request=request,
        rules=Rules(Policy(**policy), "/project"),
        redact=secrets.redact,
        holds_key=secrets.holds_key,
        level=lambda: level,
        tell=tell,
        approver=approver,
        durable=durable,
        servers=servers,
    )
    made.enter(load([{"task": "fetch"}]), 1)
    return made, events


async def ok(params: Mapping[str, Any]) -> Any:
    return {"ok": True}


async def test_what_tells_nobody_and_changes_nothing_is_free_whatever_it_is_made_of() -> None:
    asked = Questions("deny")
    made, _ = gate(asked)
    assert await made.admit(call(tool(), {"code": "anything", "data": TABLE})) is None
    assert await made.admit(call(tool(uses=("model",)), {"prompt": "anything"})) is None
    assert await made.admit(call(tool(uses=("memory",)), {"question": "anything"})) is None
    assert await made.admit(call(tool(uses=("sql",)), {"sql": "select 1"})) is None
    assert not asked.asked


LEAVING_OR_ACTING = {
    "network": tool(permissions=FETCH),
    "secret": tool(permissions=Permissions(secrets=("A_KEY",))),
    "http": tool(uses=("http",)),
    "image": tool(uses=("image",)),
    "audio": tool(uses=("audio",)),
    "model.image": tool(uses=("model.image",)),
    "new": tool(uses=("something.new",)),
    "remember": tool(uses=("memory.write",)),
    "memory": tool(uses=("memory",), effect="write"),
    "write": tool(effect="write"),
    "idempotent": tool(effect="idempotent"),
}


@pytest.mark.parametrize("spec", LEAVING_OR_ACTING.values(), ids=LEAVING_OR_ACTING)
async def test_what_leaves_or_acts_asks_for_a_strangers_value_and_not_for_the_users(spec: ToolSpec) -> None:
    asked = Questions("deny")
    made, events = gate(asked, "take my value, please")
    assert await made.admit(call(spec, {"x": "my value"}, REQUEST | {FRAME})) is None
    assert await made.admit(call(spec, {"x": "planned from the request alone"}, REQUEST)) is None
    assert not asked.asked
    denied = await made.admit(call(spec, {"x": "a stranger's"}))
    assert isinstance(denied, Denied)
    about = asked.asked[0].call
    assert about is not None
    assert [(part.path, part.value) for part in about.arguments] == [("/x", "a stranger's")]
    shown = "\n".join(about.lines())
    assert "a stranger's" in shown
    assert shown.splitlines()[0].count(spec.name) == 1, "the tool is named once"
    assert "web news.example (step s1)" in shown
    assert all(place in shown for place in about.where)
    (told,) = [event for event in events if event.kind is Kind.APPROVAL]
    assert told.step == "s2"
    assert told.body["decision"] == "deny"
    assert told.body["arguments"][0]["value"] == '"a stranger\'s"'
    assert told.body["arguments"][0]["sources"][0]["kind"] in ("user", "web")


@pytest.mark.parametrize("spec", LEAVING_OR_ACTING.values(), ids=LEAVING_OR_ACTING)
async def test_after_a_strangers_text_the_users_words_are_enough_to_look_something_up_and_not_to_act(
    spec: ToolSpec,
) -> None:
    asked = Questions("allow")
    made, _ = gate(asked, "summarise analysis.ipynb")
    assert await made.admit(call(spec, {"path": "analysis.ipynb", "content": "summarise"})) is None
    values = [[part.value for part in one.call.arguments] for one in asked.asked if one.call]
    assert values == ([["analysis.ipynb", "summarise"]] if acts(spec) else [])


async def test_a_choice_of_a_shipped_tool_is_no_strangers_value() -> None:
    asked = Questions("deny")
    made, _ = gate(asked, "remember that I like tea")
    kinds = {"properties": {"kind": {"type": "string", "enum": ["fact", "preference"]}}}

    def keeps(origin: str, kind: str) -> ToolCall:
        spec = tool("keep", uses=("memory.write",), params=kinds, origin=origin)
        return call(spec, {"text": "I like tea", "kind": kind}, REQUEST | {FRAME})

    assert await made.admit(keeps("shipped", "preference")) is None
    assert await made.admit(keeps("shipped", "a stranger's"))
    assert await made.admit(keeps("user", "preference"))
    assert await made.admit(call(tool(uses=("memory.write",), params=kinds), {"kind": "fact"}))


async def test_a_yes_to_a_write_is_for_one_step_and_a_no_for_all() -> None:
    asked = Questions("allow", "deny")
    made, _ = gate(asked)
    mail = tool("mail", effect="write")
    assert await made.admit(call(mail, {"to": "x"}, step="s2")) is None
    assert await made.admit(call(mail, {"to": "x"}, step="s2")) is None, "tried again"
    assert await made.admit(call(mail, {"to": "x"}, step="s3"))
    assert await made.admit(call(mail, {"to": "x"}, step="s4"))
    assert len(asked.asked) == 2


async def test_rows_of_the_users_frames_may_be_kept_and_may_not_be_sent() -> None:
    asked = Questions("deny")
    made, _ = gate(asked, "save @sales to a.csv")
    rows = REQUEST | {FRAME}
    keep, send = tool("keep", effect="write"), tool("send", permissions=FETCH)

    def made_of_rows(what: ToolSpec, **params: Any) -> ToolCall:
        parts = tuple(
            Argument(path=f"/{name}", value=value, sources=rows, refs=() if name == "path" else ("@sales",))
            for name, value in params.items()
        )
        return ToolCall(run="r", step="s1", tool=what, params=params, timeout=1, arguments=parts, sources=rows)

    assert await made.admit(made_of_rows(keep, path="a.csv", table=TABLE)) is None
    assert await made.admit(made_of_rows(keep, path="a.csv", table=12.5)) is None
    assert await made.admit(made_of_rows(keep, path="a.csv", text="DELETE"))
    assert await made.admit(made_of_rows(send, table=TABLE))
    assert len(asked.asked) == 2


async def test_an_effect_without_any_word_of_the_user_is_asked_about_as_a_whole() -> None:
    made, _ = gate(Questions("deny"))
    assert await made.admit(call(tool(effect="write"), {}))
    assert await made.admit(call(tool(effect="write"), {}, REQUEST)) is None
    default = {"properties": {"n": {"type": "integer", "default": 3}}}
    assert await made.admit(call(tool(effect="write", params=default), {"n": 3}))
    assert await made.admit(call(tool(permissions=FETCH, params=default), {"n": 3})) is None


async def test_headless_the_answer_is_no_and_names_option_and_setting() -> None:
    made, _ = gate(None)
    denied = await made.admit(call(tool(permissions=FETCH), {"url": "x"}))
    assert denied is not None
    assert "--yes" in denied.hint
    assert 'allow = ["tool:fetch"]' in denied.hint


async def test_a_yes_is_bound_to_the_tool_and_its_parameters_and_a_change_asks_again() -> None:
    asked = Questions("allow")
    made, _ = gate(asked)
    spec = tool(permissions=FETCH)
    first = call(spec, {"url": "x"})
    assert await made.admit(first) is None
    assert await made.admit(first) is None
    assert len(asked.asked) == 1
    await made.admit(call(spec, {"url": "x "}))
    await made.admit(call(tool(permissions=FETCH, version="v2"), {"url": "x"}))
    await made.admit(call(spec, {"url": "x", "n": 1}))
    assert len(asked.asked) == 4
    bound = {(ask.call.version, ask.call.params_sha256) for ask in asked.asked if ask.call is not None}
    assert len(bound) == 4


async def test_a_no_holds_for_the_rest_of_the_run() -> None:
    asked = Questions("deny", "allow")
    made, _ = gate(asked)
    for _ in range(3):
        assert await made.admit(call(tool(permissions=FETCH), {"url": "x"})) is not None
    assert len(asked.asked) == 1


async def test_questions_come_one_at_a_time_in_order_and_equal_ones_once() -> None:
    open_now, most = 0, 0
    order: list[str] = []
    began, go = asyncio.Event(), asyncio.Event()

    async def slow(asked: Asked) -> Decision:
        nonlocal open_now, most
        began.set()
        assert asked.call is not None
        order.append(asked.call.step)
        open_now += 1
        most = max(most, open_now)
        await go.wait()
        open_now -= 1
        return Decision(answer="allow", by="user")

    made, _ = gate(slow)
    spec = tool(permissions=FETCH)
    calls = [call(spec, {"url": url}, step=f"s{n}") for n, url in enumerate(["a", "b", "a", "c"])]
    tasks = [asyncio.create_task(made.admit(what)) for what in calls]
    await began.wait()
    go.set()
    assert await asyncio.gather(*tasks) == [None] * 4
    assert most == 1
    assert order == ["s0", "s1", "s3"]


async def test_stopping_while_a_question_waits_lets_the_next_one_through() -> None:
    waiting = asyncio.Event()

    async def first_hangs(asked: Asked) -> Decision:
        assert asked.call is not None
        if asked.call.step == "s1":
            waiting.set()
            await asyncio.Event().wait()
        return Decision(answer="allow", by="user")

    made, events = gate(first_hangs)
    spec = tool(permissions=FETCH)
    hanging = asyncio.create_task(made.admit(call(spec, {"url": "a"}, step="s1")))
    await waiting.wait()
    other = asyncio.create_task(made.admit(call(spec, {"url": "b"}, step="s2")))
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert await other is None
    assert [event.step for event in events] == ["s2"]


async def test_no_answer_in_time_is_a_no() -> None:
    async def never(asked: Asked) -> Decision:
        await asyncio.Event().wait()
        raise AssertionError

    made, events = gate(approval.within(never, 0.01))
    denied = await made.admit(call(tool(permissions=FETCH), {"url": "x"}))
    assert denied is not None
    assert "0.01 seconds" in denied.message
    assert events[0].body["by"] == "timeout"


async def test_what_the_plan_wants_asked_about_is_asked_at_each_step_and_item_whatever_a_rule_allows() -> None:
    asked = Questions("allow")
    made, events = gate(asked, allow=["tool:fetch"])
    quiet = tool()
    for item in (0, 1):
        assert await made.admit(call(quiet, {"url": "x"}, REQUEST, approve=True, item=item)) is None
    assert await made.admit(call(quiet, {"url": "x"}, REQUEST, approve=True, step="s3")) is None
    assert await made.admit(call(quiet, {"url": "x"}, REQUEST, step="s4")) is None
    assert len(asked.asked) == 3
    first = asked.asked[0].call
    assert first is not None
    assert first.lines()[0] == "s2 fetch: the plan asks before fetch is called."
    assert any("url = " in line for line in first.lines())
    assert [event.kind for event in events] == [Kind.APPROVAL] * 3


async def test_a_retry_of_what_was_allowed_is_not_asked_about_again() -> None:
    asked = Questions("allow")
    made, _ = gate(asked)
    what = call(tool(), {"url": "x"}, REQUEST, approve=True)
    for attempt in (1, 2):
        assert await made.admit(replace(what, attempt=attempt)) is None
    assert len(asked.asked) == 1


async def test_headless_a_plan_that_wants_to_ask_hears_no_and_the_option_that_says_yes() -> None:
    made, _ = gate()
    denied = await made.admit(call(tool(), {"url": "x"}, REQUEST, approve=True))
    assert denied is not None
    assert denied.hint == "--yes approves without asking."


async def test_what_the_items_of_a_list_receive_at_once_is_kept_apart() -> None:
    made, _ = gate()
    reader = tool("reader", uses=("http", "sql"))
    one, two = (call(reader, {"n": n}, REQUEST, item=n) for n in (0, 1))
    assert await made.admit(one) is None
    assert await made.admit(two) is None
    await made.guard("sql.open", ok, one)({"connection": "db"})
    result = ToolResult(status="ok")
    assert any(source.label == "db" for source in made.leave(one, result).reached)
    assert not any(source.label == "db" for source in made.leave(two, result).reached)


async def test_what_a_rule_denies_nobody_is_asked_about() -> None:
    asked = Questions("allow")
    made, _ = gate(asked, deny=("host:b.example",))
    denied = await made.admit(call(tool(permissions=FETCH), {"url": "x"}, REQUEST))
    assert denied is not None
    assert "host:b.example" in denied.message
    assert not asked.asked


async def test_a_rule_can_ask_about_what_would_be_free_and_allow_what_would_be_asked() -> None:
    asked = Questions("deny")
    made, _ = gate(asked, ask=("tool:quiet",), allow=("tool:fetch argument:url",))
    assert await made.admit(call(tool("quiet"), {"x": 1}, REQUEST)) is not None
    assert await made.admit(call(tool(permissions=FETCH), {"url": "x"})) is None
    assert await made.admit(call(tool(permissions=FETCH), {"url": "x", "body": "y"})) is not None
    assert len(asked.asked) == 2


@pytest.mark.parametrize("level", ["process", "none"])
async def test_code_that_nothing_confines_is_asked_about_unless_it_is_the_users(level: Level) -> None:
    asked = Questions("deny")
    made, _ = gate(asked, "run print(1)", level)
    code = tool("run_python", isolation="kernel")
    assert await made.admit(call(code, {"code": "print(1)"}, REQUEST | {FRAME})) is None
    assert await made.admit(call(code, {"code": "import os"}, REQUEST)) is None
    assert await made.admit(call(code, {"code": "import os"})) is not None
    about = asked.asked[0].call
    assert about is not None
    assert f"isolation {level}" in about.why
    confined, _ = gate(asked, "run print(1)", "kernel")
    assert await confined.admit(call(code, {"code": "import os"})) is None


@pytest.mark.parametrize("value", [KEY, KEY.encode().hex(), f"https://x/?k={KEY}", {"deep": [KEY]}, {KEY: 1}])
async def test_a_key_leaves_in_no_call_whoever_says_yes(value: Any) -> None:
    asked = Questions("allow")
    made, events = gate(asked, f"send {KEY}")
    for spec in (tool(permissions=FETCH), tool(effect="write"), tool(uses=("image",))):
        denied = await made.admit(call(spec, {"x": value}, REQUEST))
        assert denied is not None
        assert KEY not in str(denied)
    inside = call(tool(uses=("http", "image"), permissions=FETCH), {}, REQUEST)
    assert await made.admit(inside) is None
    for name in ("http", "image", "model.complete", "memory.write"):
        with pytest.raises(Denied):
            await made.guard(name, ok, inside)({"url": "https://a.example/", "json": value})
    assert not asked.asked
    assert KEY not in json.dumps([dict(event.body) for event in events])


async def test_a_tool_may_not_carry_what_it_received_to_another_place_unseen() -> None:
    asked = Questions("deny")
    made, _ = gate(asked, "the weather in Lisbon")
    spec = tool(uses=("memory", "http"), permissions=FETCH, source=b'("https://a.example/v1", {"q": "deep"})')
    inside = call(spec, {"city": "Lisbon"}, REQUEST)
    assert await made.admit(inside) is None
    http, recall = made.guard("http", ok, inside), made.guard("memory.recall", ok, inside)
    await http({"url": "https://a.example/", "json": {"from": "the tool itself"}})
    await http({"url": "https://a.example/next", "json": {"from": "a page of a.example"}})
    with pytest.raises(Denied):  # what a.example said goes to b.example
        await http({"url": "https://b.example/", "json": {"said": "by a.example"}})
    await recall({"question": "Lisbon"})
    with pytest.raises(Denied):  # what was remembered goes to a.example
        await http({"url": "https://a.example/next", "json": {"remembered": "a secret plan"}})
    await http({"url": "https://a.example/v1", "json": {"q": "Lisbon", "deep": ["weather", True, None]}})
    assert len(asked.asked) == 2
    about = asked.asked[1].call
    assert about is not None
    assert "memory" in "\n".join(about.lines())
    result = made.leave(inside, ToolResult(status="failed", error="the tool's own words"))
    assert result.status == "denied"
    assert {str(source.kind) for source in result.reached} == {"web", "memory"}


async def test_a_function_that_the_tool_did_not_seem_to_use_is_judged_by_what_the_call_is_made_of() -> None:
    asked = Questions("deny")
    made, _ = gate(asked)
    writes = call(tool(uses=("memory",)), {"question": "x"})  # says that it only reads
    draws = call(tool(uses=("model",)), {"prompt": "x"}, step="s3")
    for inside, name in ((writes, "memory.write"), (draws, "model.image"), (draws, "brand.new")):
        assert await made.admit(inside) is None
        with pytest.raises(Denied):
            await made.guard(name, ok, inside)({"text": "a stranger's"})
    assert len(asked.asked) == 3


async def test_sql_for_a_server_carries_nothing_there_that_came_from_elsewhere() -> None:
    asked = Questions("deny")
    made, _ = gate(asked, servers=["orders"])
    spec = tool("query", uses=("sql",))
    orders = Source(kind=SourceKind.DATABASE, label="orders", step="s1")
    notes = Source(kind=SourceKind.DATABASE, label="notes", step="s1")

    def query(connection: str, *made_of: Source, refs: tuple[str, ...] = ()) -> ToolCall:
        return call(spec, {"connection": connection, "sql": "select 1"}, REQUEST | set(made_of), refs=refs)

    assert await made.admit(query("orders", orders, FRAME)) is None
    assert await made.admit(query("notes.db", WEB, notes)) is None, "a file stays on this machine"
    for foreign in ((WEB,), (notes,), (orders, WEB)):
        assert await made.admit(query("orders", *foreign)) is not None
    sent = call(spec, {"connection": "orders", "sql": "insert rows"}, REQUEST | {FRAME}, refs=("@sales",))
    assert await made.admit(sent) is not None, "rows are not sent by reference"
    hidden = call(tool("query", uses=("sql",)), {"question": "x"}, step="s9")
    assert await made.admit(hidden) is None
    with pytest.raises(Denied):
        await made.guard("sql.open", ok, hidden)({"connection": "orders"})
    await made.guard("sql.open", ok, hidden)({"connection": "notes.db"})


async def test_what_was_admitted_with_the_call_is_not_asked_about_again_inside() -> None:
    asked = Questions("allow")
    made, _ = gate(asked)
    remember = call(tool("remember", uses=("memory",), effect="write"), {"text": "a stranger's"})
    assert await made.admit(remember) is None
    await made.guard("memory.write", ok, remember)({"text": "a stranger's", "kind": "fact"})
    assert len(asked.asked) == 1


async def test_a_host_function_answers_only_while_its_call_runs() -> None:
    made, _ = gate(Questions("allow"))
    inside = call(tool(uses=("memory",)), {})
    with pytest.raises(Denied):
        await made.guard("memory.recall", ok, inside)({"question": "x"})
    assert await made.admit(inside) is None
    recall = made.guard("memory.recall", ok, inside)
    await recall({"question": "x"})
    made.leave(inside, ToolResult(status="ok"))
    with pytest.raises(Denied):
        await recall({"question": "x"})


async def test_what_a_tool_reaches_by_what_it_declares_is_in_its_result() -> None:
    made, _ = gate(Questions("allow"))
    spec = tool("own", permissions=Permissions(network=("a.example",), read=("data",)), origin="project")
    inside = call(spec, {}, REQUEST, reads=("/db/sales.duckdb",))
    assert await made.admit(inside) is None
    reached = made.leave(inside, ToolResult(status="ok")).reached
    assert {str(source) for source in reached} == {"web a.example", "file data", "file /db/sales.duckdb", "tool own"}


async def test_the_results_of_earlier_steps_that_a_tool_can_see_are_asked_about_when_it_can_send_them() -> None:
    made, _ = gate(Questions("deny"), "fetch x")
    spec = tool(permissions=FETCH, source=b"toolkit.context()")
    assert await made.admit(call(spec, {"url": "x"}, context=(("s1", "recall", "secret"),)))
    assert await made.admit(call(spec, {"url": "x"}, step="s3")) is None


async def test_a_yes_to_what_a_tool_can_see_is_not_one_to_what_it_sees_later() -> None:
    asked = Questions("allow")
    made, _ = gate(asked, "fetch x")
    spec = tool(permissions=FETCH, source=b"toolkit.context()")
    seen = (("s1", "recall", "one"), ("s2", "recall", "two"))
    for context in (seen[:1], seen[:1], seen):
        assert await made.admit(call(spec, {"url": "x"}, context=context)) is None
    assert len(asked.asked) == 2


def test_a_question_hides_nothing() -> None:
    hidden = "pay\u200b \u202eevil\U000e0041\x1b[2K"
    shown = approval.shown(hidden)
    assert shown.isascii()
    assert "\\u{200b}" in shown
    long = approval.shown("x" * 100_000 + "and the end")
    assert "98,013 characters not shown" in long
    assert long.endswith('and the end"')
    assert len(long) < 2_100


def test_every_leaf_of_a_value_is_looked_at() -> None:
    from hypothesis import given

    @given(json_values)
    def every_leaf(value: Any) -> None:
        flat = [str(leaf) for leaf in leaves(value)]
        for text in _scalars(value):
            assert text in flat

    every_leaf()


def _scalars(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in [key, *_scalars(item)]]
    if isinstance(value, list):
        return [text for item in value for text in _scalars(item)]
    return [str(value)]


async def test_no_goes_before_yes_and_a_timeout_bounds_a_person() -> None:
    async def line(question: str) -> str:
        await asyncio.Event().wait()
        return "y"

    def pick(**options: Any) -> Approver:
        return approval.chosen(**{"yes": False, "line": None, "show": str} | options)

    assert pick(yes=True, deny=True) is approval.nothing
    assert pick(yes=True, line=line) is approval.everything
    assert pick() is approval.nobody
    asked = Asked(run="r", request="x", plan=load([{"task": "read"}]), round=1)
    assert (await pick(line=line, timeout=0.01)(asked)).by == "timeout"
