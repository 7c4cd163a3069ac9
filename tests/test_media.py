"""Pictures and sound as a user has them made: a request, aimock behind a real socket, files that anybody can read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.models.test_images import png
from tests.planners import aimock
from workbench import bridge
from workbench.configuration import load_settings
from workbench.core.errors import Denied, ToolFailed
from workbench.core.png import words
from workbench.sandbox.vetting import check_png
from workbench.workbench import Workbench

KEY = "sk-nobody-0123456789abcdef"
PICTURE = {"match": {"endpoint": "image"}, "response": {"image": {"b64Json": base64.b64encode(png()).decode()}}}
PAINT = '[{"task": "generate_image", "params": {"prompt": "a lighthouse at dusk, “sea” & café"}}]'


@pytest.fixture(scope="session")
def program() -> Path:
    found = aimock.installed()
    if found is None:
        pytest.skip("npm is not there to install aimock with")
    return found


Make = Callable[..., Workbench]


@pytest.fixture
def bench(program: Path, tmp_path: Path) -> Iterator[Make]:
    """Makes a workbench in a project of its own; `said`: what aimock answers."""
    stack = ExitStack()
    made: list[Workbench] = []

    def make(said: list[dict[str, Any]] | None = None, **env: str) -> Workbench:
        project = tmp_path / "project"
        (project / ".git").mkdir(parents=True, exist_ok=True)
        base = {
            "WORKBENCH_HOME": str(tmp_path / f"home{len(made)}"),
            "WORKBENCH_CONFIG": str(tmp_path / "config"),
            "WORKBENCH_USER": "tester",
        }
        if said is not None:
            folder = tmp_path / f"aimock{len(made)}"
            folder.mkdir()
            base["WORKBENCH_IMAGE_BASE_URL"] = stack.enter_context(aimock.serving(program, folder, said))
            base["WORKBENCH_IMAGE_API_KEY"] = KEY
        made.append(Workbench(load_settings(base | env, project)))
        return made[-1]

    with stack:
        yield make
        for workbench in made:
            bridge.wait(workbench.close())


def ask(workbench: Workbench, text: str, **how: Any) -> Any:
    return bridge.wait(workbench.ask(text, **how))


def test_a_picture_is_a_png_of_the_run_with_words_in_it_that_any_program_reads(bench: Make, tmp_path: Path):
    workbench = bench([PICTURE], WORKBENCH_IMAGE_MODEL="painter-2")
    run = ask(workbench, PAINT.replace('"}}]', '", "seed": 7}}]'))
    [picture] = run.images
    check_png(picture.png)
    assert picture.path.parent.name == run.id
    assert picture.path.suffix == ".png"
    prompt = "a lighthouse at dusk, “sea” & café"
    assert picture.alt == f"Picture made by painter-2 for: {prompt}"
    with Image.open(BytesIO(picture.png)) as image:
        image.load()
        said = image.info
    assert {name: said[name] for name in ("prompt", "model", "seed", "run")} == {
        "prompt": prompt, "model": "painter-2", "seed": "7", "run": run.id
    }  # fmt: skip
    assert KEY.encode() not in picture.png
    assert str(tmp_path).encode() not in picture.png

    # What the cell shows is the same when the run is another: the words of the file are not in it.
    again = ask(workbench, PAINT.replace('"}}]', '", "seed": 7}}]'))
    assert again.images[0].png != picture.png
    assert again._repr_mimebundle_()[0] == run._repr_mimebundle_()[0]
    html = run._repr_mimebundle_()[0]["text/html"]
    assert base64.b64encode(png()).decode() in html
    assert run.id not in html
    assert "price unknown, 0 tokens in, 0 out, 1 model call" in run._repr_mimebundle_()[0]["text/plain"]


def test_what_was_made_is_recorded_counted_and_replayed_without_a_server(bench: Make, tmp_path: Path):
    cassette = tmp_path / "project" / "pictures.cassette"
    workbench = bench([PICTURE], WORKBENCH_IMAGE_MODEL="painter", WORKBENCH_IMAGES_PER_DAY="3",
                      WORKBENCH_CASSETTE=str(cassette))  # fmt: skip
    run = ask(workbench, PAINT)
    frame = bridge.wait(workbench.record.sql("select purpose, model, usd from model_calls"))
    assert frame.iloc[0].tolist()[:2] == ["tool generate_image", "painter"]
    assert frame["usd"].isna().all()
    assert len(frame) == 1
    used = bridge.wait(workbench.record.sql("select body from events where kind = 'budget'"))
    assert any('"images":1' in str(body).replace(" ", "") for body in used["body"])
    assert KEY not in cassette.read_text()

    gone = bench(None, WORKBENCH_CASSETTE=str(cassette), WORKBENCH_REPLAY="strict")
    replayed = ask(gone, PAINT)
    assert replayed.images[0].png == run.images[0].png
    assert words(replayed.images[0].png)["run"] == run.id
    assert replayed._repr_mimebundle_()[0] == run._repr_mimebundle_()[0]


def test_without_room_in_the_budget_nobody_is_asked(bench: Make):
    workbench = bench([PICTURE], WORKBENCH_IMAGE_MODEL="painter", WORKBENCH_IMAGES_PER_DAY="1")
    four = PAINT.replace('"}}]', '", "count": 4}}]')
    with pytest.raises(ToolFailed, match="budget of images for this day is used up"):
        ask(workbench, four)
    assert bridge.wait(workbench.record.sql("select count(*) from model_calls")).iloc[0, 0] == 0


def test_without_a_model_one_line_says_what_to_set_and_that_a_wireframe_needs_none(bench: Make):
    workbench = bench()
    with pytest.raises(ToolFailed, match="No model for pictures is connected") as caught:
        ask(workbench, PAINT)
    assert "WORKBENCH_IMAGE_MODEL" in caught.value.hint
    run = ask(workbench, "draw a wireframe of a login page with an email field and a hologram")
    [picture] = run.images
    assert words(picture.png)["model"] == "wireframe, no AI model"
    assert "Not drawn: hologram" in picture.alt
    assert "No AI model" not in run.answer or "model" in run.answer
    assert "$0 (no model was called)" in run._repr_mimebundle_()[0]["text/plain"]


def test_words_of_a_stranger_are_asked_about_before_they_leave_as_a_prompt(bench: Make):
    workbench = bench([PICTURE], WORKBENCH_IMAGE_MODEL="painter")
    bridge.wait(workbench.memories.remember("The lighthouse keeper's pin is 4711."))
    plan = json.dumps(
        [
            {"id": "s1", "task": "recall", "params": {"question": "pin of the keeper"}},
            {"id": "s2", "task": "generate_image", "params": {"prompt": "a sign that reads {{s1#/results/0/text}}"}},
        ]
    )
    with pytest.raises(Denied, match="does not come from your request"):
        ask(workbench, plan)
    assert bridge.wait(workbench.record.sql("select count(*) from model_calls")).iloc[0, 0] == 0


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"prompt": ""}, "nothing to paint"),
        ({"prompt": "x" * 40_000}, "at most 32,000"),
        ({"prompt": "x", "size": "huge"}, "no size"),
        ({"prompt": "x", "size": "9999x9999"}, "no size"),
        ({"prompt": "x", "count": 0}, "from 1 to 4"),
        ({"prompt": "x", "count": 5}, "from 1 to 4"),
        ({"prompt": "x", "seed": -1}, "The seed has to be"),
        ({"prompt": KEY}, "value of a secret|holds the value|key"),
    ],
)
def test_what_cannot_be_painted_is_said_in_one_line_and_nobody_is_asked(bench: Make, params, said):
    workbench = bench([PICTURE], WORKBENCH_IMAGE_MODEL="painter")
    with pytest.raises((ToolFailed, Denied), match=said) as caught:
        ask(workbench, json.dumps([{"task": "generate_image", "params": params}]))
    assert "\n" not in caught.value.message
    assert bridge.wait(workbench.record.sql("select count(*) from model_calls")).iloc[0, 0] == 0
