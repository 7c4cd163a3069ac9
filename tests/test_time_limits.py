"""How long a call may take: as long as its tool says, and nothing between it and who answers gives up before that."""

from __future__ import annotations

import asyncio
import selectors
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench
from tests.test_services import CALL, HOST, Table
from tests.test_workbench import bench
from tests.web import Reply, serving
from workbench.configuration import load_settings
from workbench.core.errors import TransientError
from workbench.models.choose import choose_images, choose_speech, choose_transcription
from workbench.planners.given import GivenPlanner
from workbench.registry.spec import describe
from workbench.services import host_services

ROOT = Path(__file__).resolve().parent.parent
CRAWLED = {"results": [{"url": "https://a.example/1", "raw_content": "one"}]}
FACTOR = 50
"""How much faster time passes in a `Fast` loop."""


class Patient(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> Any:
        return super().select(timeout and timeout / FACTOR)


class Fast(asyncio.SelectorEventLoop):
    """An event loop whose seconds are short. Others' are as long as ever."""

    def __init__(self) -> None:
        super().__init__(Patient())

    def time(self) -> float:
        return super().time() * FACTOR


def shipped() -> dict[str, Any]:
    found = {}
    for path in sorted((ROOT / "tools").glob("*.py")):
        spec = describe(path.read_bytes(), path, "shipped")
        assert spec is not None
        found[spec.name] = spec
    return found


@given(st.floats(min_value=0.01, max_value=3600))
def test_what_a_tool_waits_for_ends_before_the_tool_does_and_not_long_before(seconds: float):
    call = replace(CALL, timeout=seconds)
    assert 0 < call.patience < call.exchange < call.timeout
    assert call.timeout - call.patience <= 4.0
    assert call.patience >= 0.8 * call.timeout - 1e-9


@pytest.mark.parametrize(("seconds", "answered"), [(160.0, True), (20.0, False)])
def test_an_exchange_may_take_as_long_as_the_call_does(tmp_path: Path, seconds: float, answered: bool):
    """The server takes 40 seconds, of which the host has none to spare: 0.8 of ours."""

    async def main(url: str) -> Any:
        table = Table(tmp_path, bases={HOST: url})
        http = host_services(table.means, table.stream)(replace(CALL, timeout=seconds), table.doors)["http"]
        return await http({"url": f"https://{HOST}/slow"})

    with serving() as server, asyncio.Runner(loop_factory=Fast) as runner:
        server.replies = [Reply(body={"n": 1}, wait=40 / FACTOR)]
        if answered:
            assert runner.run(main(server.url))["json"] == {"n": 1}
        else:
            with pytest.raises(TransientError, match="within 18 seconds"):
                runner.run(main(server.url))


async def crawl(tmp_path: Path, url: str, **step: Any) -> Any:
    with serving() as server:
        server.replies = [Reply(body=CRAWLED)]
        wb = bench(tmp_path, tavily_base_url=server.url, tavily_api_key="tvly-0123456789abcdef")
        plan = [{"id": "s1", "task": "web_crawl", "params": {"url": url}, "retry": {"max": 0}, **step}]
        try:
            run = await wb.ask(f"crawl {url}", planner=GivenPlanner(plan), rounds=False)
            return run.steps["s1"].value, server.heard
        finally:
            await wb.close()


async def test_a_crawl_tells_the_search_engine_how_long_it_waits(tmp_path: Path):
    value, heard = await crawl(tmp_path, "https://a.example")
    assert value["results"] == [{"url": "https://a.example/1", "text": "one"}]
    assert heard[0].json["timeout"] == 150


async def test_the_time_of_a_step_goes_before_that_of_the_tool(tmp_path: Path):
    _, heard = await crawl(tmp_path, "https://a.example", timeout=100)
    assert heard[0].json["timeout"] == 96


async def test_a_budget_of_seconds_ends_a_call_that_has_time(tmp_path: Path):
    with serving() as server:
        server.replies = [Reply(body=CRAWLED, wait=30.0)]
        wb = bench(tmp_path, tavily_base_url=server.url, tavily_api_key="tvly-0123456789abcdef")
        plan = [{"task": "web_crawl", "params": {"url": "https://a.example"}}]
        with pytest.raises(workbench.BudgetExceeded):
            await wb.ask("crawl https://a.example", planner=GivenPlanner(plan), rounds=False, budget="seconds=2")
        await wb.close()


def test_tools_that_search_have_more_time_than_what_they_ask():
    tools = shipped()
    assert replace(CALL, timeout=tools["web_crawl"].timeout).patience > 150
    assert replace(CALL, timeout=tools["web_extract"].timeout).patience > 60


@pytest.mark.parametrize("chosen", [choose_images, choose_speech, choose_transcription])
def test_a_picture_and_a_sound_have_time_enough_and_more_where_the_settings_say_so(tmp_path: Path, chosen: Any):
    models = {f"WORKBENCH_{name}_MODEL": "m" for name in ("IMAGE", "SPEECH", "TRANSCRIPTION")}

    def seconds(**env: str) -> float:
        model = chosen(load_settings({"WORKBENCH_CONFIG": str(tmp_path), **models, **env}, tmp_path))
        assert model is not None
        return float(model._remote._timeout)

    assert seconds() >= 300
    assert seconds(WORKBENCH_MODEL_TIMEOUT="900") == 900


def test_no_tool_that_asks_a_model_ends_before_the_tries_that_the_model_has(tmp_path: Path):
    settings = load_settings({"WORKBENCH_CONFIG": str(tmp_path)}, tmp_path)
    longest = {"model": settings.model_timeout, "image": 300.0, "audio": 600.0}
    asking = {
        name: max(longest[use.partition(".")[0]] for use in spec.uses)
        for name, spec in shipped().items()
        if {use.partition(".")[0] for use in spec.uses} & longest.keys()
    }
    assert {"generate_code", "generate_image", "speak", "transcribe"} <= asking.keys()
    for name, seconds in asking.items():
        assert shipped()[name].timeout >= (settings.model_retries + 1) * seconds, name


@pytest.mark.parametrize(("uses", "seconds"), [([], 60), (["http"], 60), (["model"], 600), (["image.make"], 600)])
def test_a_tool_that_does_not_say_has_a_minute_and_ten_where_it_asks_a_model(uses: list[str], seconds: float):
    source = f"PERMISSIONS = {{}}\nUSES = {uses!r}\n\ndef run() -> str:\n    return ''\n"
    spec = describe(source.encode(), Path("tools/mine.py"), "project")
    assert spec is not None
    assert spec.timeout == seconds
