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
from tests.sandbox import sounds as made
from workbench import bridge
from workbench.configuration import load_settings
from workbench.core.errors import Denied, ToolFailed
from workbench.core.png import words
from workbench.policy.approval import Asked, Decision
from workbench.sandbox.vetting import check_png
from workbench.workbench import Workbench

KEY = "sk-nobody-0123456789abcdef"
PICTURE = {"match": {"endpoint": "image"}, "response": {"image": {"b64Json": base64.b64encode(png()).decode()}}}
SOUND = made.wav(1.5)
SPEECH = {
    "match": {"endpoint": "speech"},
    "response": {"audio": base64.b64encode(SOUND).decode(), "format": "wav"},
}
SAID = "Good morning, “Lisbon” & café."
SEGMENTS = [
    {"id": 0, "start": 0.0, "end": 0.7, "text": "Good morning,"},
    {"id": 1, "start": 0.7, "end": 1.5, "text": "Lisbon"},
]
TRANSCRIPT = {
    "match": {"endpoint": "transcription"},
    "response": {"transcription": {"text": SAID, "language": "english", "duration": 1.5, "segments": SEGMENTS}},
}
SPEAK = '[{"task": "speak", "params": {"text": "Good morning, “Lisbon” & café.", "format": "wav"}}]'
PAINT = '[{"task": "generate_image", "params": {"prompt": "a lighthouse at dusk, “sea” & café"}}]'


Make = Callable[..., Workbench]


@pytest.fixture
def bench(aimock_program: Path, tmp_path: Path) -> Iterator[Make]:
    """Makes a workbench in a project of its own; `said`: what aimock answers."""
    stack = ExitStack()
    benches: list[Workbench] = []

    def make(said: list[dict[str, Any]] | None = None, **env: str) -> Workbench:
        project = tmp_path / "project"
        (project / ".git").mkdir(parents=True, exist_ok=True)
        base = {
            "WORKBENCH_HOME": str(tmp_path / f"home{len(benches)}"),
            "WORKBENCH_CONFIG": str(tmp_path / "config"),
            "WORKBENCH_USER": "tester",
        }
        if said is not None:
            folder = tmp_path / f"aimock{len(benches)}"
            folder.mkdir()
            url = stack.enter_context(aimock.serving(aimock_program, folder, said))
            base |= {f"WORKBENCH_{which}_BASE_URL": url for which in ("IMAGE", "SPEECH", "TRANSCRIPTION")}
            base |= {"WORKBENCH_IMAGE_API_KEY": KEY, "WORKBENCH_AUDIO_API_KEY": KEY}
        benches.append(Workbench(load_settings(base | env, project)))
        return benches[-1]

    with stack:
        yield make
        for workbench in benches:
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
    assert repr(picture) == f"[picture] Picture made by painter-2 for: {prompt}"
    assert picture._repr_png_() == png()  # without the words, which name the run
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
    assert "127.0.0.1" not in cassette.read_text()

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


NOBODY = {
    "WORKBENCH_IMAGE_MODEL": "painter", "WORKBENCH_SPEECH_MODEL": "reader", "WORKBENCH_TRANSCRIPTION_MODEL": "listener",
    "WORKBENCH_IMAGE_BASE_URL": "http://127.0.0.1:9/v1", "WORKBENCH_SPEECH_BASE_URL": "http://127.0.0.1:9/v1",
    "WORKBENCH_TRANSCRIPTION_BASE_URL": "http://127.0.0.1:9/v1", "WORKBENCH_AUDIO_API_KEY": KEY,
    "WORKBENCH_MODEL_RETRIES": "0",
}  # fmt: skip
"""Models at an address where nobody listens: what is refused before is never sent there."""

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("generate_image", {"prompt": ""}, "nothing to paint"),
    ("generate_image", {"prompt": "x" * 40_000}, "at most 32,000"),
    ("generate_image", {"prompt": "x", "size": "huge"}, "no size"),
    ("generate_image", {"prompt": "x", "size": "9999x9999"}, "no size"),
    ("generate_image", {"prompt": "x", "count": 0}, "from 1 to 4"),
    ("generate_image", {"prompt": "x", "count": 5}, "from 1 to 4"),
    ("generate_image", {"prompt": "x", "seed": -1}, "The seed has to be"),
    ("generate_image", {"prompt": KEY}, "secret|key"),
    ("speak", {"text": " "}, "nothing to read aloud"),
    ("speak", {"text": "x" * 5_000}, "at most 4,096"),
    ("transcribe", {}, "Name one sound"),
    ("transcribe", {"sound": 7}, "Name one sound"),
    ("transcribe", {"file": "memo.wav", "language": "no language!"}, "no language"),
    ("transcribe", {"file": "notes.txt"}, "no WAV, MP3, Ogg or FLAC"),
    ("transcribe", {"file": "empty.wav"}, "no WAV, MP3, Ogg or FLAC"),
    ("transcribe", {"file": "cut.wav"}, "cut short"),
    ("transcribe", {"file": "big.wav"}, "more than 25 MB"),
    ("transcribe", {"file": "missing.wav"}, "no file missing.wav"),
    ("transcribe", {"file": ".hidden.wav"}, "is hidden"),
    ("transcribe", {"file": "../outside.wav"}, "no path in the project"),
    ("transcribe", {"file": "/etc/passwd"}, "no path in the project"),
    ("transcribe", {"file": "ключ 🎵.wav"}, "no file"),
    ("transcribe", {"file": "key.wav"}, "holds one of your keys"),
]


def test_what_cannot_be_painted_spoken_or_heard_is_one_line_and_nobody_is_asked(bench: Make, tmp_path: Path):
    workbench = bench(None, **NOBODY)
    files = {
        "memo.wav": SOUND, "notes.txt": b"plain words", "empty.wav": b"", "cut.wav": SOUND[:500], ".hidden.wav": SOUND,
        "big.wav": b"RIFF" + bytes(25_100_000), "../outside.wav": SOUND, "key.wav": SOUND + KEY.encode(),
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / "project" / name).write_bytes(data)
    for task, params, said in BAD:
        plan = json.dumps([{"task": task, "params": params}], ensure_ascii=False)
        with pytest.raises((ToolFailed, Denied), match=said) as caught:
            ask(workbench, plan)
        assert "\n" not in caught.value.message, params
    assert bridge.wait(workbench.record.sql("select count(*) from model_calls")).iloc[0, 0] == 0


def test_an_endpoint_that_is_gone_is_one_line_that_names_its_setting(bench: Make, tmp_path: Path):
    workbench = bench(None, **NOBODY)
    (tmp_path / "project" / "memo.wav").write_bytes(SOUND)
    for task, params, setting in (
        ("generate_image", {"prompt": "x"}, "WORKBENCH_IMAGE_BASE_URL"),
        ("speak", {"text": "hello"}, "WORKBENCH_SPEECH_BASE_URL"),
        ("transcribe", {"file": "memo.wav"}, "WORKBENCH_TRANSCRIPTION_BASE_URL"),
    ):
        with pytest.raises(ToolFailed, match="cannot be reached") as caught:
            ask(workbench, json.dumps([{"task": task, "params": params}]))
        assert setting in caught.value.hint
    calls = bridge.wait(workbench.record.sql("select usd from model_calls"))
    assert [str(usd) for usd in calls["usd"]] == ["0"] * 3 or calls["usd"].astype(float).tolist() == [0.0] * 3


def test_a_text_is_read_aloud_and_the_sound_is_a_file_with_a_player_that_waits(bench: Make):
    workbench = bench([SPEECH], WORKBENCH_SPEECH_MODEL="reader", WORKBENCH_SPEECH_VOICE="nova")
    run = ask(workbench, SPEAK)
    [sound] = run.audio
    assert (sound.data, sound.mime, sound.seconds, sound.alt) == (SOUND, "audio/wav", 1.5, SAID)
    assert (sound.path.suffix, sound.path.parent.name) == (".wav", run.id)
    assert run.steps[0].audio == [sound]
    assert run.steps[0].value["sound"] == sound
    shown = run._repr_mimebundle_()[0]
    assert "[sound, 0:01] Good morning, “Lisbon” & café." in shown["text/plain"]
    assert (
        f'<audio controls preload="metadata" title="{SAID.replace("&", "&amp;")}" src="data:audio/wav;base64,'
        in shown["text/html"]
    )
    assert base64.b64encode(SOUND).decode() in shown["text/html"]
    assert "autoplay" not in shown["text/html"]
    assert sound._repr_html_() in shown["text/html"]
    assert repr(sound) == "[sound, 0:01] Good morning, “Lisbon” & café."
    assert "voice nova" in run.steps[0].value["formatted"]
    assert KEY not in shown["text/html"]


def test_nbconvert_keeps_the_player(bench: Make):
    import nbformat
    from nbconvert import HTMLExporter

    notebooks: Any = nbformat.v4
    exporter: Any = HTMLExporter
    shown = ask(bench([SPEECH], WORKBENCH_SPEECH_MODEL="reader"), SPEAK)._repr_mimebundle_()[0]
    output = notebooks.new_output("display_data", data=shown)
    cell = notebooks.new_code_cell("%agent …", outputs=[output])
    page, _ = exporter().from_notebook_node(notebooks.new_notebook(cells=[cell]))
    assert "<audio controls" in page
    assert base64.b64encode(SOUND).decode() in page


def test_a_sound_that_is_long_is_named_and_not_put_into_the_page(bench: Make):
    long = made.wav(200.0)
    said = {"match": {"endpoint": "speech"}, "response": {"audio": base64.b64encode(long).decode(), "format": "wav"}}
    run = ask(bench([said], WORKBENCH_SPEECH_MODEL="reader"), SPEAK)
    assert run.audio[0].data == long
    html = run._repr_mimebundle_()[0]["text/html"]
    assert "[sound, 3:20: Good morning, “Lisbon” &amp; café.]" in html
    assert "<audio" not in html


def test_a_file_of_the_project_is_written_down_with_times_and_language(bench: Make, tmp_path: Path):
    workbench = bench([TRANSCRIPT], WORKBENCH_TRANSCRIPTION_MODEL="listener")
    (tmp_path / "project" / "memo.wav").write_bytes(SOUND)
    run = ask(workbench, "transcribe memo.wav")
    value = run.steps[0].value
    assert (value["text"], value["language"], value["seconds"], value["model"]) == (SAID, "english", 1.5, "listener")
    assert value["segments"].to_dict("list") == {
        "start": [0.0, 0.7], "end": [0.7, 1.5], "text": ["Good morning,", "Lisbon"]
    }  # fmt: skip
    assert run.df.equals(value["segments"])
    assert SAID in run.answer
    assert not list((workbench_home(run)).glob(".part-*"))
    assert [path.suffix for path in workbench_home(run).iterdir() if path.suffix == ".wav"] == []


def workbench_home(run: Any) -> Path:
    """The folder of a run's files."""
    return Path(run._folder / run.id)


def test_what_was_read_aloud_is_written_down_in_the_next_step_and_both_are_replayed(bench: Make, tmp_path: Path):
    cassette = tmp_path / "project" / "sound.cassette"
    plan = json.dumps(
        [
            {"id": "s1", "task": "speak", "params": {"text": "Good morning.", "format": "wav"}},
            {"id": "s2", "task": "transcribe", "params": {"sound": {"$ref": "s1#/sound"}}},
        ]
    )
    both = {"WORKBENCH_SPEECH_MODEL": "reader", "WORKBENCH_TRANSCRIPTION_MODEL": "listener"}
    with pytest.raises(Denied, match="does not come from your request"):
        ask(
            bench([SPEECH, TRANSCRIPT], **both), plan
        )  # a model made the sound: before it goes to another, one is asked
    workbench = bench([SPEECH, TRANSCRIPT], **both, WORKBENCH_CASSETTE=str(cassette))
    run = ask(workbench, plan, approver=yes)
    assert run.steps["s2"].value["text"] == SAID
    calls = bridge.wait(workbench.record.sql("select distinct purpose, model from model_calls order by 1"))
    assert calls.values.tolist() == [["tool speak", "reader"], ["tool transcribe", "listener"]]
    gone = bench(None, WORKBENCH_CASSETTE=str(cassette), WORKBENCH_REPLAY="strict")
    replayed = ask(gone, plan, approver=yes)
    assert replayed.audio[0].data == SOUND
    assert replayed._repr_mimebundle_()[0] == run._repr_mimebundle_()[0]


async def yes(asked: Asked) -> Decision:
    return Decision(answer="allow", by="test")


def test_without_a_model_for_sound_the_line_names_the_setting(bench: Make, tmp_path: Path):
    workbench = bench()
    (tmp_path / "project" / "memo.wav").write_bytes(SOUND)
    for task, params, setting in (
        ("speak", {"text": "hello"}, "WORKBENCH_SPEECH_MODEL"),
        ("transcribe", {"file": "memo.wav"}, "WORKBENCH_TRANSCRIPTION_MODEL"),
    ):
        with pytest.raises(ToolFailed) as caught:
            ask(workbench, json.dumps([{"task": task, "params": params}]))
        assert setting in caught.value.hint


def test_what_is_in_force_names_the_models_for_pictures_and_sound_that_are_set(bench: Make):
    status = bench(None, WORKBENCH_IMAGE_MODEL="painter", WORKBENCH_SPEECH_MODEL="reader").status()
    assert (status["pictures"], status["speech"]) == ("painter", "reader")
    assert "transcripts" not in status
