"""What an endpoint serves and can do, found out by asking it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from tests.models.servers import Asked, called, chat, connected, error, http, models, serving
from workbench.core.errors import Unavailable, WorkbenchError
from workbench.models.examine import examine
from workbench.models.wire import LADDER

DATA = json.dumps({"colour": "blue", "count": 3})


def only(rung: str, otherwise: Callable[[], bytes]) -> Callable[[Asked], bytes]:
    def answer(asked: Asked) -> bytes:
        if asked.rung != rung:
            return otherwise()
        return called("plan", DATA) if rung == "tool" else chat(DATA)

    return answer


@pytest.mark.parametrize("rung", LADDER)
@pytest.mark.parametrize(
    "otherwise",
    [lambda: error(400, "not supported"), lambda: error(500), lambda: chat("I would rather talk."), lambda: chat("{}")],
    ids=["400", "500", "prose", "other JSON"],
)
async def test_the_one_way_that_works_is_found(rung: str, otherwise: Callable[[], bytes]) -> None:
    async with (
        serving(only(rung, otherwise), models=models("small", "large")) as server,
        connected(server.base_url) as model,
    ):
        found = await examine(model)
    assert list(found.served) == ["small", "large"]
    assert {tried.rung for tried in found.tried if tried.works} == {rung}
    assert found.used == rung
    assert len(server.chats) == 4


async def test_a_server_without_a_list_is_tested_all_the_same() -> None:
    async with serving(chat(DATA)) as server, connected(server.base_url) as model:
        found = await examine(model)
    assert list(found.served) == []
    assert found.used == "json_schema"


@pytest.mark.parametrize("answer", [error(401), error(403), http(200, "<html>hello</html>", "text/html")])
async def test_what_is_wrong_with_the_endpoint_itself_is_one_line(answer: bytes) -> None:
    async with serving(answer, models=answer) as server, connected(server.base_url) as model:
        with pytest.raises(WorkbenchError) as caught:
            await examine(model)
    assert len(caught.value.lines()) <= 2


async def test_an_unknown_model_is_told_with_those_that_are_there() -> None:
    missing = error(404, "no such model", "model_not_found")
    async with serving(missing, models=models("gpt-a")) as server, connected(server.base_url) as model:
        with pytest.raises(Unavailable, match="gpt-a"):
            await examine(model)


def test_the_command_prints_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    from workbench import cli

    ready, over = threading.Event(), asyncio.Event()
    place: list[str] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving(only("tool", lambda: error(400)), models=models("the-model")) as server:
            place.append(server.base_url)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    monkeypatch.setenv("OPENAI_BASE_URL", place[0])
    code = cli.main(["models"])
    loop.call_soon_threadsafe(over.set)
    thread.join(10)
    loop.close()
    out = capsys.readouterr().out
    assert code == 0
    assert "the-model" in out
    assert "Plans are asked for by tool." in out


def test_without_a_model_the_command_says_what_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    from workbench import cli

    assert cli.main(["models"]) == 1
    assert "OPENAI_BASE_URL" in capsys.readouterr().err
