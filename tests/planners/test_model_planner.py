"""A model as the planner: a right plan or a typed error, whatever the model and its server do."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llmock.pytest_plugin import LLMock
from llmock.scenarios import Match, Reply, StreamFault, ToolCall

from tests.models.servers import Sleeps, connected, error, http, serving
from tests.models.servers import chat as said
from tests.planners.requests import GOOD, REQUEST, TEXT, TOOLS, Told, Watching
from tests.test_workbench import bench
from workbench.core import plan as plans
from workbench.core.artifacts import PNG, Artifact
from workbench.core.errors import PlanInvalid, Refused, TransientError, Unavailable, WorkbenchError
from workbench.core.events import AnyEvent, Event, Kind
from workbench.core.outcome import Outcome, StepOutcome, fold
from workbench.core.progress import State
from workbench.models.base import Message, Model
from workbench.models.base import Reply as ModelReply
from workbench.models.testing import TestModel
from workbench.planners.base import Planned
from workbench.planners.model import ModelPlanner
from workbench.workbench import Workbench

PLAN = plans.read(GOOD, TOOLS, ["sales"])
BROKEN = json.dumps(GOOD | {"steps": [*GOOD["steps"], {"id": "x", "task": "nope", "params": {}}]})


async def planned(model: Model, told: Told | None = None) -> Planned | WorkbenchError:
    """The plan, or the typed error; any other exception is a failure of the test."""
    try:
        return await ModelPlanner(model).plan(REQUEST, TOOLS, Told() if told is None else told)
    except WorkbenchError as problem:
        return problem


def is_right(result: Planned | WorkbenchError) -> bool:
    return isinstance(result, Planned) and result.plan == PLAN


async def test_a_good_plan_at_once_is_told_with_its_cost():
    told = Told()
    result = await planned(TestModel([GOOD]), told)
    assert isinstance(result, Planned)
    assert (result.plan, result.planner, result.model, list(result.notes)) == (PLAN, "model", "test-model", [])
    ((kind, body),) = told
    assert kind is Kind.MODEL_CALLED
    assert set(body) == {
        "purpose", "model", "endpoint", "request_sha256", "response_sha256",
        "tokens_in", "tokens_out", "usd", "finish", "seconds", "error", "messages", "schema",
    }  # fmt: skip
    assert (body["purpose"], body["usd"], body["finish"], body["error"]) == ("plan", "0", "stop", None)


async def test_a_repair_shows_the_model_its_own_reply_and_every_error():
    model, told = TestModel([BROKEN, f"Sorry!\n```json\n{TEXT}\n```\nDone."]), Told()
    result = await planned(model, told)
    assert is_right(result)
    assert isinstance(result, Planned)
    assert result.notes == ("The model mended its plan 1 time.",)
    assert told.purposes == ["plan", "repair"]
    first, second = model.calls
    assert second.messages[:2] == first.messages
    assert second.messages[2] == Message(role="assistant", content=BROKEN)
    assert "x: there is no tool 'nope'" in second.messages[3].content


async def test_after_two_repairs_the_last_errors_are_raised():
    model, told = TestModel([BROKEN, "no JSON", BROKEN, GOOD]), Told()
    result = await planned(model, told)
    assert isinstance(result, PlanInvalid)
    assert result.errors == ["x: there is no tool 'nope' (there are: web_search, query_data, plot)"]
    assert "another model" in result.hint
    assert told.purposes == ["plan", "repair", "repair"]
    assert len(model.calls[2].messages) == 4


@pytest.mark.parametrize(
    "reply",
    [
        {"goal": "", "steps": [], "refusal": "No table has prices."},
        {"goal": "", "steps": None, "refusal": "No table has prices."},
        {"refusal": "No table\nhas  prices."},
    ],
)
async def test_a_model_may_decline(reply):
    result = await planned(TestModel([reply]))
    assert isinstance(result, Refused)
    assert "declined: No table has prices." in result.message


async def test_a_reason_to_decline_is_one_clean_line():
    result = await planned(TestModel([{"steps": [], "refusal": "no\x1b[31m\x07 red\n\ud800" + "x" * 9000}]))
    assert isinstance(result, Refused)
    assert "declined: no [31m red" in result.message
    assert result.message.isprintable()
    assert len(result.message) < 600


async def test_half_a_character_of_a_model_goes_nowhere():
    query = TEXT.replace("select 1", r"select '\ud800'")
    assert query != TEXT
    result = await planned(TestModel([query]))
    assert isinstance(result, Planned), result
    json.dumps(result.plan.dump(), ensure_ascii=False).encode()
    assert (await ModelPlanner(TestModel(["\ud83d\ude00 \ud800"])).answer(OUTCOME, Told())).text == "😀 \ufffd"


async def test_steps_and_a_refusal_at_once_are_asked_about():
    told = Told()
    assert is_right(await planned(TestModel([GOOD | {"refusal": "rather not"}, GOOD | {"refusal": " "}]), told))
    assert told.purposes == ["plan", "repair"]


async def test_fields_that_a_model_filled_with_null_are_left_out():
    steps = [step | {"title": None, "needs": None} for step in GOOD["steps"]]
    assert is_right(await planned(TestModel([{"goal": GOOD["goal"], "steps": steps, "refusal": None}])))


async def test_without_tools_nobody_is_asked():
    model = TestModel([GOOD])
    with pytest.raises(Refused, match="no tools"):
        await ModelPlanner(model).plan(REQUEST, {}, Told())
    assert model.calls == []


@pytest.mark.parametrize("kind", [Unavailable, TransientError, Refused])
async def test_a_failed_call_is_told_and_raised(kind):
    told = Told()
    assert isinstance(await planned(TestModel([kind("no", hint="so")]), told), kind)
    assert told[0][1]["error"] == {"kind": kind.__name__, "message": "no", "hint": "so"}


async def test_a_cancelled_call_is_told_and_its_price_is_not_known():
    class Slow(TestModel):
        async def complete(self, messages: Any, **options: Any) -> ModelReply:
            await asyncio.Event().wait()
            raise AssertionError

    told = Told()
    task = asyncio.create_task(ModelPlanner(Slow([])).plan(REQUEST, TOOLS, told))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told[0][1]["error"]["kind"] == "Cancelled"
    assert told[0][1]["usd"] is None


@pytest.mark.parametrize("finish", ["length", "refusal", "content_filter"])
async def test_a_reply_that_is_not_whole_is_an_error_from_any_model(finish):
    class Cut(TestModel):
        async def complete(self, messages: Any, **options: Any) -> ModelReply:
            return ModelReply(text=TEXT, model="cut", finish=finish)

    told = Told()
    assert isinstance(await planned(Cut([]), told), Unavailable | Refused)
    assert told[0][1]["error"] is not None


# Broken plans


def _broken(rng: random.Random) -> str:
    """A plan that is wrong in one of the ways that models are."""
    steps: Any = [
        {"id": f"s{n}", "task": "web_search", "params": {"query": f"q{n}"}, "needs": [f"s{n - 1}"] if n else []}
        for n in range(rng.randint(2, 5))
    ]
    step = rng.choice(steps)
    other = rng.choice([s for s in steps if s is not step])
    way = rng.randrange(14)
    match way:
        case 0:
            steps[0]["needs"] = [steps[-1]["id"]]
        case 1:
            step["task"] = rng.choice(["websearch", "rm", "", "query data", "web_search "])
        case 2:
            step["params"] = {"query": {"$ref": rng.choice(["s99", "@nothing", "s1 + s2", "@", "#"])}}
        case 3:
            step["params"] = {"query": rng.choice([1, None, True, ["x"], {"a": 1}])}
        case 4:
            step["params"] = rng.choice(["query", [], None, 3])
        case 5:
            step["needs"] = rng.choice([["s99"], "s0", [3], {"s0": 1}, [step["id"]]])
        case 6:
            other["id"] = step["id"]
        case 7:
            step["id"] = rng.choice(["1", "a b", "x" * 100, "ü", 7])
        case 8:
            step["depends_on"] = []
        case 9:
            del step[rng.choice(["task", "params"])]
            step["params"] = {}
        case 10:
            steps = rng.choice([[], "none", None, {"a": 1}, [[]]])
        case 11:
            step["params"] = {"query": "{{s77#/title}}"}
        case 12:
            step["timeout"] = rng.choice([-1, 0, "soon", 10**9])
        case 13:
            step["task"], step["params"] = "plot", {"data": rng.choice(["sales", [1], None]), "kind": "pie"}
    text = json.dumps({"goal": "g", "steps": steps})
    match rng.randrange(4):
        case 0:
            return f"Here it is:\n```json\n{text}\n```\nIt does {{what}} you [asked]."
        case 1:
            return text[: rng.randint(1, len(text) - 1)]
        case _:
            return text


@pytest.mark.parametrize("block", range(4))
async def test_of_200_broken_plans_every_one_is_repaired_or_rejected_within_three_calls(block):
    for number in range(50):
        rng = random.Random(1000 * block + number)
        text = _broken(rng)
        repaired, hopeless = TestModel([text, text, GOOD]), TestModel([text] * 4)
        assert is_right(await planned(repaired)), text
        assert isinstance(await planned(hopeless), PlanInvalid), text
        assert (len(repaired.calls), len(hopeless.calls)) == (3, 3)


async def test_nothing_is_called_before_a_plan_is_valid(tmp_path: Path):
    texts = iter([_broken(random.Random(n)) for n in range(40)] * 3)
    wb = Workbench(bench(tmp_path).settings, planner=ModelPlanner(TestModel(lambda messages: next(texts))))
    for number in range(40):
        events: list[AnyEvent] = []
        with pytest.raises(PlanInvalid):
            await wb.ask(f"number {number}", listeners=(events.append,))
        kinds = [event.kind for event in events]
        assert not {Kind.STEP_INTENT, Kind.STEP_STARTED, Kind.TOOL_CALLED, Kind.PLAN_MADE} & set(kinds)
        assert kinds.count(Kind.MODEL_CALLED) == 3
    await wb.close()


# The plan suite against a server that misbehaves on request


def never(llmock: LLMock) -> None:
    pass


Arrange = Callable[[LLMock], object]
STREAMED_ERROR = "TransientError where the reply is streamed"


@pytest.mark.parametrize(
    ("arrange", "wanted"),
    [
        pytest.param(never, Planned, id="nothing-wrong"),
        pytest.param(lambda m: m.rate_limit(times=2, retry_after=3.0), Planned, id="429-then-well"),
        pytest.param(lambda m: m.rate_limit(times=None, retry_after=3.0), TransientError, id="429-for-good"),
        pytest.param(lambda m: m.rate_limit(times=None, retry_after=900.0), TransientError, id="429-for-too-long"),
        pytest.param(lambda m: _use_up(m.limits(rpm=1)), TransientError, id="quota-of-requests"),
        pytest.param(lambda m: m.limits(tpm=1), TransientError, id="quota-of-tokens"),
        pytest.param(lambda m: m.fail(500, times=2), Planned, id="500-then-well"),
        pytest.param(lambda m: m.fail(500, times=None), TransientError, id="500-for-good"),
        pytest.param(lambda m: m.outage(), TransientError, id="503-outage"),
        pytest.param(lambda m: m.fail(400), Planned, id="400-once"),
        pytest.param(lambda m: m.fail(400, times=None), Unavailable, id="400-for-good"),
        pytest.param(lambda m: m.fail(401), Unavailable, id="401"),
        pytest.param(lambda m: m.fail(403), Unavailable, id="403"),
        pytest.param(lambda m: m.fail(404), Unavailable, id="404"),
        pytest.param(lambda m: m.fail(422), Planned, id="422-once"),
        pytest.param(lambda m: m.context_overflow(times=None), Unavailable, id="context-overflow"),
        pytest.param(lambda m: m.limits(context_window=5), Unavailable, id="context-window"),
        pytest.param(lambda m: m.delay(0.2), Planned, id="delay-within-timeout"),
        pytest.param(lambda m: m.disconnect(), Planned, id="disconnect-in-stream"),
        pytest.param(lambda m: m.truncate(), Planned, id="truncate-in-stream"),
        pytest.param(lambda m: m.corrupt(), Planned, id="malformed-in-stream"),
        pytest.param(lambda m: m.disconnect(times=None), STREAMED_ERROR, id="disconnect-in-every-stream"),
        pytest.param(lambda m: m.truncate(times=None), STREAMED_ERROR, id="truncate-in-every-stream"),
        pytest.param(lambda m: m.truncate(after_chunks=3, times=None), STREAMED_ERROR, id="truncate-late"),
        pytest.param(lambda m: m.corrupt(times=None), STREAMED_ERROR, id="malformed-in-every-stream"),
        pytest.param(lambda m: _finish(m, "length"), Unavailable, id="finish-length"),
        pytest.param(lambda m: _finish(m, "content_filter"), Refused, id="finish-content-filter"),
        pytest.param(lambda m: m.add(Reply(text="")), Planned, id="empty-reply-once"),
        pytest.param(lambda m: m.add(Reply(text="", times=None)), TransientError, id="empty-replies"),
        pytest.param(lambda m: m.reply("Mock words."), Planned, id="words-once"),
        pytest.param(lambda m: m.reply("Mock words.", times=None), PlanInvalid, id="only-words"),
        pytest.param(lambda m: m.reply(TEXT[:-9], times=1), Planned, id="cut-json-once"),
        pytest.param(lambda m: m.reply(TEXT[:-9], times=None), PlanInvalid, id="cut-json"),
        pytest.param(lambda m: m.call_tool("web_search", {"query": "x"}), Planned, id="calls-a-tool-instead"),
        pytest.param(lambda m: m.call_tool("x", {}, times=None), TransientError, id="only-calls-tools"),
        pytest.param(lambda m: _tool(m, None), Planned, id="forced-tool"),
        pytest.param(lambda m: _tool(m, "malformed_arguments"), Planned, id="forced-tool-malformed-once"),
        pytest.param(lambda m: _tool(m, "malformed_arguments", 9), PlanInvalid, id="forced-tool-malformed"),
        pytest.param(lambda m: _tool(m, "unknown_tool"), Planned, id="forced-tool-unknown-once"),
        pytest.param(lambda m: _tool(m, "unknown_tool", 99), Planned, id="forced-tool-unknown"),
    ],
)
@pytest.mark.parametrize("told", [Told, Watching], ids=["whole", "streamed"])
async def test_every_fault_of_llmock_ends_in_the_right_plan_or_a_typed_error(
    llmock: LLMock, arrange: Arrange, wanted: Any, told: Any
):
    # With patience: a busy machine answers late, and what is given up on here uses up the next test's faults there.
    await _ends_in(llmock, arrange, _where_told(wanted, told), told(), seconds=60.0)


@pytest.mark.parametrize(
    ("arrange", "wanted"),
    [
        pytest.param(lambda m: m.delay(3.0, times=None), TransientError, id="delay-beyond-timeout"),
        pytest.param(lambda m: m.stall(), Planned, id="stall-in-stream"),
        pytest.param(lambda m: m.stall(times=None), STREAMED_ERROR, id="stall-in-every-stream"),
        pytest.param(lambda m: m.slow_first_token(5.0), Planned, id="slow-first-token"),
        pytest.param(lambda m: m.slow_first_token(5.0, times=None), STREAMED_ERROR, id="slow-first-tokens"),
    ],
)
@pytest.mark.parametrize("told", [Told, Watching], ids=["whole", "streamed"])
async def test_every_wait_of_llmock_ends_in_the_right_plan_or_a_typed_error(
    llmock: LLMock, arrange: Arrange, wanted: Any, told: Any
):
    wanted = _where_told(wanted, told)
    # A plan has to come within the timeout, also from a busy machine; an error comes whenever it is over.
    await _ends_in(llmock, arrange, wanted, told(), seconds=1.0 if wanted is TransientError else 3.0)


def _where_told(wanted: Any, told: Any) -> Any:
    if wanted is STREAMED_ERROR:  # a fault of streams alone
        return TransientError if told is Watching else Planned
    return wanted


async def _ends_in(llmock: LLMock, arrange: Arrange, wanted: Any, told: Any, seconds: float) -> None:
    arrange(llmock)
    llmock.reply(TEXT, times=None)
    async with connected(llmock.base_url(), sleep=Sleeps(), timeout=seconds) as model:
        result = await planned(model, told)
    assert type(result) is wanted, result
    assert is_right(result) or isinstance(result, WorkbenchError)
    assert not isinstance(result, WorkbenchError) or "\n" not in "".join(result.lines())
    assert all(body["purpose"] in ("plan", "repair") for _, body in told)
    assert len(told) <= 3


async def test_what_llmock_makes_up_from_the_schema_is_rejected(llmock: LLMock):
    # By itself llmock fills every field of the schema with an example: steps and a refusal at once.
    async with connected(llmock.base_url()) as model:
        result = await planned(model)
    assert isinstance(result, PlanInvalid)


async def test_llmock_itself_finds_that_its_waits_are_kept(llmock: LLMock):
    llmock.rate_limit(times=2, retry_after=0.1).reply(TEXT)
    async with connected(llmock.base_url(), sleep=asyncio.sleep, uniform=lambda least, most: least) as model:
        assert is_right(await planned(model))
    llmock.assert_resilient()


def _use_up(llmock: LLMock) -> None:
    import urllib.request

    body = json.dumps({"model": "m", "messages": []}).encode()
    headers = {"content-type": "application/json", "authorization": "Bearer sk-test-0123456789abcdef"}
    asked = urllib.request.Request(f"{llmock.base_url()}/chat/completions", body, headers)  # noqa: S310 - our own server
    urllib.request.urlopen(asked).read()  # noqa: S310 - as above


def _finish(llmock: LLMock, reason: str) -> None:
    llmock.add(Reply(text=TEXT, finish_reason=reason, times=None))


def _tool(llmock: LLMock, fault: str | None, times: int = 1) -> None:
    """A server that knows the forced tool only, and breaks some of its calls."""
    llmock.fail(400, message="response_format is not supported")
    llmock.add(Reply(tool_calls=(ToolCall("plan", GOOD),), times=None, match=Match(tools=True)))
    if fault:
        llmock.break_tool_call(fault, times=times)


async def test_llmocks_stream_faults_bite_and_are_mended(llmock: LLMock):
    llmock.add(StreamFault("truncate", after_chunks=2)).reply(TEXT, times=None)
    told, sleep = Watching(), Sleeps()
    async with connected(llmock.base_url(), sleep=sleep) as model:
        assert is_right(await planned(model, told))
    assert len(sleep) == 1  # one try was lost
    assert told.drafts[-1].characters == len(TEXT)
    assert [step.id for step in told.drafts[-1].steps] == ["total", "chart"]


# What none of the others does


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ([http(200, "<html>Login</html>", "text/html")], Unavailable),
        ([http(200, '{"ok": true}')], Unavailable),
        ([http(200, '{"choices": []}')], Unavailable),
        ([error(401, "no")], Unavailable),
        ([said(None, refusal="I cannot help with that.")], Refused),
        ([http(200, TEXT, content_length="99999"), said(TEXT)], Planned),
        ([http(200, TEXT, content_length="99999")], TransientError),
        ([b"", said(TEXT)], Planned),
        ([b""], TransientError),
        ([error(429, retry_after="Mon, 23 Nov 2026 12:00:30 GMT"), said(TEXT)], Planned),
        ([said(TEXT, None)], Planned),
        ([said(BROKEN), error(500)], TransientError),
        ([said(BROKEN), said(TEXT)], Planned),
    ],
)
async def test_every_other_damage_ends_in_the_right_plan_or_a_typed_error(answers, wanted):
    async with serving(*answers) as server, connected(server.base_url) as model:
        result = await planned(model)
    assert type(result) is wanted, result
    assert is_right(result) or isinstance(result, WorkbenchError)


# Answers

STEP = StepOutcome(
    id="a",
    task="web_search",
    title="Search",
    params={},
    state=State.DONE,
    value={"n": 42, "picture": Artifact(path="r/p.png", mime=PNG, bytes=1, sha256="0", alt="bars")},
    sources=({"title": "Page", "url": "https://p.example"},),
)
OUTCOME = Outcome(run="r", request="how many?", status="done", steps=(STEP,))


async def test_the_answer_is_the_models_words_and_names_it():
    model, told = TestModel(["  There are 42 [1].\n"], name="m1"), Told()
    answer = await ModelPlanner(model).answer(OUTCOME, told)
    assert (answer.text, answer.planner) == ("There are 42 [1].", "m1")
    assert told.purposes == ["answer"]
    assert model.calls[0].schema is None
    assert model.calls[0].messages[-1].content.endswith("how many?")


@pytest.mark.parametrize("reply", ["", " \n", Unavailable("gone"), TransientError("busy"), Refused("no")])
async def test_no_answer_is_a_typed_error_and_told(reply):
    told = Told()
    with pytest.raises((Unavailable, TransientError, Refused)):
        await ModelPlanner(TestModel([reply])).answer(OUTCOME, told)
    assert told[0][1]["error"] is not None


async def test_what_a_model_thought_is_not_its_answer():
    model = TestModel(["<think>41? 42!</think>\n\n42.", "<think>hm</think>\n"])
    assert (await ModelPlanner(model).answer(OUTCOME, Told())).text == "42."
    with pytest.raises(Unavailable, match="said nothing"):
        await ModelPlanner(model).answer(OUTCOME, Told())


async def test_an_answer_that_is_cut_is_an_error():
    async with serving(said("There are", "length")) as server, connected(server.base_url) as model:
        with pytest.raises(Unavailable, match="cut at the token limit"):
            await ModelPlanner(model).answer(OUTCOME, Told())


async def test_what_was_paid_for_in_vain_is_counted():
    told = Told()
    async with serving(said(TEXT, "length")) as server, connected(server.base_url) as model:
        await planned(model, told)
    cost = fold([Event(run="r", seq=0, at="", kind=kind, body=body) for kind, body in told]).cost
    assert (cost.tokens_in, cost.tokens_out, cost.usd) == (10, 5, None)
