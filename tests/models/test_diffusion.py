"""A model in a folder, in a process of its own: what goes in and out of it, and that nothing outlives a call.

The programs that paint here are the tests' own; `test_diffusers.py` runs the real one with a real pipeline.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from tests.models.test_images import png
from tests.processes import is_alive
from workbench.configuration import load_settings
from workbench.core.errors import Unavailable
from workbench.core.png import words
from workbench.models.choose import choose_images
from workbench.models.diffusion import Diffusion
from workbench.models.images import Painted, Wanted

REPOSITORY = str(Path(__file__).resolve().parents[2])
PICTURE = base64.b64encode(png(said={"path": "/home/me"})).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tiny-model"
    made.mkdir()
    (made / "model_index.json").write_text("{}")
    return made


def program(folder: Path, text: str) -> Diffusion:
    """A model whose program is `text`; it has `asked`, the request, and `say(**message)`."""
    head = f"""
        import json, os, sys, time, subprocess
        asked = json.loads(sys.stdin.readline())
        picture = {PICTURE!r}
        def say(**message):
            print(json.dumps(message), flush=True)
    """
    file = folder.parent / "program.py"
    file.write_text(textwrap.dedent(head) + textwrap.dedent(text))
    return Diffusion(folder, [sys.executable, "-I", str(file)])


async def paint(model: Diffusion, **wanted: Any) -> tuple[Painted, list[str]]:
    lines: list[str] = []
    painted = await model.paint(Wanted(**{"prompt": "a boat", **wanted}), lines.append)
    return painted, lines


async def test_steps_are_told_and_seeds_are_known_even_when_nobody_gave_one(folder):
    model = program(folder, """
        for number, seed in enumerate(asked["seeds"]):
            for step in range(3):
                say(step=step + 1, of=3)
            say(png=picture)
        say(done=True)
    """)  # fmt: skip
    painted, lines = await paint(model, count=2, seed=41)
    assert painted.seeds == (41, 42)
    assert lines == [
        "step 1 of 3", "step 2 of 3", "step 3 of 3",
        "step 1 of 3, picture 2", "step 2 of 3, picture 2", "step 3 of 3, picture 2",
    ]  # fmt: skip
    assert [words(data) for data in painted.pngs] == [{}, {}]
    assert (painted.usd, painted.model) == ("0", "tiny-model (diffusers)")
    drawn, _ = await paint(model)
    assert isinstance(drawn.seeds[0], int)


async def test_the_process_has_nothing_of_the_users_and_goes_to_no_hub(folder, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-123456")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    model = program(folder, """
        say(said=" ".join(sorted(os.environ)))
        say(said=os.environ["HF_HUB_OFFLINE"] + os.environ["TRANSFORMERS_OFFLINE"])
        say(png=picture)
        say(done=True)
    """)  # fmt: skip
    seen: list[str] = []
    await model.paint(Wanted(prompt="x"), seen.append)
    assert "HF_HOME" in seen[0]
    assert not [name for name in ("OPENAI_API_KEY", "HTTPS_PROXY", "OMP_NUM_THREADS") if name in seen[0]]
    assert seen[1] == "11"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sys.stderr.write('torch: out of memory\\n'); sys.exit(1)", "out of memory"),
        ("os.kill(os.getpid(), 9)", "ended before the picture was done"),
        ("print('hello')", "no answer"),
        ("say(step='many', of=3)", "no answer"),
        ("say(png='***')", "broken picture"),
        ("say(png='aGVsbG8=')", "does not start as a PNG does"),
        ("say(done=True)", "made 0 of 1 pictures"),
        ("say(error='no such part', hint='look')", "no such part"),
        ("print('[' * 100000)", "no answer"),
        ("print('x' * (65 << 20))", "more than 64 MB"),
    ],
)
async def test_whatever_goes_wrong_in_there_is_one_line(folder, text, said):
    with pytest.raises(Unavailable, match=said) as caught:
        await paint(program(folder, text))
    assert "\n" not in caught.value.message


async def test_a_stopped_call_kills_the_process_and_all_that_it_started_within_two_seconds(folder):
    model = program(folder, """
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        say(said=f"{os.getpid()} {child.pid}")
        time.sleep(600)
    """)  # fmt: skip
    told: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(model.paint(Wanted(prompt="x"), told.put_nowait))
    pids = [int(pid) for pid in (await told.get()).split()]
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 2
    for pid in pids:
        assert await gone(pid)


async def gone(pid: int) -> bool:
    """Whether a process has ended; a killed grandchild is reaped by the system a moment later."""
    for _ in range(200):
        if not is_alive(pid):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_without_a_pipeline_or_without_diffusers_the_line_says_what_to_do(tmp_path, folder):
    with pytest.raises(Unavailable, match="no diffusers pipeline") as caught:
        await paint(Diffusion(tmp_path))
    assert "model_index.json" in caught.value.hint
    missing = (
        "import workbench.models.diffusing as it; sys.modules['torch'] = None; it.paint(asked, lambda m: say(**m))"
    )
    text = (
        f"sys.path.insert(0, {REPOSITORY!r})\ntry:\n    {missing}\n"
        "except it.Unable as error:\n    say(error=str(error), hint=error.hint)"
    )
    with pytest.raises(Unavailable, match="diffusers cannot be imported") as absent:
        await paint(program(folder, text))
    assert absent.value.hint == "pip install 'agent-workbench[diffusion]'"


def test_a_setting_with_a_folder_names_a_model_of_this_machine(tmp_path):
    env = {"WORKBENCH_CONFIG": str(tmp_path), "WORKBENCH_IMAGE_MODEL": f"diffusers:{tmp_path}/tiny"}
    chosen = choose_images(load_settings(env, tmp_path))
    assert isinstance(chosen, Diffusion)
    assert (chosen.name, chosen.endpoint) == ("tiny (diffusers)", "")
    assert json.dumps(chosen.name)
