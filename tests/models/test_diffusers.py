"""A pipeline of diffusers for real: tiny, with random weights, made here. It proves the way, not the pictures.

`make diffusion` installs torch and runs it; no other target does.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from workbench.configuration import load_settings
from workbench.core.errors import Cancelled, Unavailable
from workbench.core.events import Kind
from workbench.core.png import words
from workbench.models.diffusion import Diffusion
from workbench.models.images import Wanted
from workbench.sandbox.vetting import check_png
from workbench.workbench import Workbench

pytestmark = [pytest.mark.diffusion, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Stable Diffusion of about a million random weights."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("diffusion") / "tiny"
    words_of = ["<|startoftext|>", "<|endoftext|>", *(chr(c) for c in range(97, 123)),
                *(f"{chr(c)}</w>" for c in range(97, 123)), "ab</w>"]  # fmt: skip
    tokens = folder.parent / "tokens"
    tokens.mkdir()
    (tokens / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(words_of)}))
    (tokens / "merges.txt").write_text("#version: 0.2\na b</w>\n")
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=len(words_of) + 1, hidden_size=32, intermediate_size=37, num_hidden_layers=1, num_attention_heads=4,
        max_position_embeddings=77, bos_token_id=0, eos_token_id=1, pad_token_id=1, projection_dim=32,
    )  # fmt: skip
    made = StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(32, 64), in_channels=3, out_channels=3, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        ),
        text_encoder=CLIPTextModel(text),
        tokenizer=CLIPTokenizer(str(tokens / "vocab.json"), str(tokens / "merges.txt"), model_max_length=77),
        unet=UNet2DConditionModel(
            block_out_channels=(32, 64), layers_per_block=1, sample_size=32, in_channels=4, out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), cross_attention_dim=32,
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    made.save_pretrained(folder, safe_serialization=True)
    return folder


async def test_the_same_seed_gives_the_same_picture_and_each_step_is_told(pipeline):
    model, lines = Diffusion(pipeline), list[str]()
    wanted = Wanted(prompt="a lighthouse", size="64x64", seed=7, steps=4)
    first = await model.paint(wanted, lines.append)
    again = await model.paint(wanted, lambda text: None)
    other = await model.paint(Wanted(prompt="a lighthouse", size="64x64", seed=8, steps=4), lambda text: None)
    check_png(first.pngs[0])
    assert first.pngs == again.pngs
    assert first.pngs != other.pngs
    assert lines == ["loading the model", "step 1 of 4", "step 2 of 4", "step 3 of 4", "step 4 of 4"]


async def test_a_run_keeps_the_picture_with_its_seed_and_shows_the_steps(pipeline, tmp_path):
    env = {
        "WORKBENCH_HOME": str(tmp_path / "home"),
        "WORKBENCH_CONFIG": str(tmp_path / "config"),
        "WORKBENCH_IMAGE_MODEL": f"diffusers:{pipeline}",
    }
    workbench = Workbench(load_settings(env, tmp_path))
    heard: list[Any] = []
    params = {"prompt": "a lighthouse", "size": "64x64", "seed": 7, "steps": 3}
    plan = json.dumps([{"task": "generate_image", "params": params}])
    run = await workbench.ask(plan, listeners=(heard.append,))
    said = words(run.images[0].png)
    assert (said["model"], said["seed"], said["run"]) == ("tiny (diffusers)", "7", run.id)
    steps = [event.body["text"] for event in heard if event.kind is Kind.STEP_PROGRESS]
    assert [text for text in steps if text.startswith("step")] == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    assert "$0," in run._repr_mimebundle_()[0]["text/plain"]
    await workbench.close()


async def test_a_stop_in_the_middle_of_a_picture_ends_it_within_two_seconds(pipeline):
    model, told = Diffusion(pipeline), asyncio.Queue[str]()
    task = asyncio.create_task(model.paint(Wanted(prompt="x", size="64x64", steps=500), told.put_nowait))
    while not (await told.get()).startswith("step 3"):
        pass
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 2


async def test_a_run_that_is_stopped_ends_the_picture_within_two_seconds(pipeline, tmp_path):
    env = {
        "WORKBENCH_HOME": str(tmp_path / "home"),
        "WORKBENCH_CONFIG": str(tmp_path / "config"),
        "WORKBENCH_IMAGE_MODEL": f"diffusers:{pipeline}",
    }
    workbench = Workbench(load_settings(env, tmp_path))
    begun = asyncio.Event()

    def listen(event: Any) -> None:
        if event.kind is Kind.STEP_PROGRESS and event.body["text"].startswith("step 3"):
            begun.set()

    plan = json.dumps([{"task": "generate_image", "params": {"prompt": "x", "size": "64x64", "steps": 500}}])
    task = asyncio.create_task(workbench.ask(plan, listeners=(listen,)))
    await begun.wait()
    started = time.monotonic()
    task.cancel()
    with pytest.raises(Cancelled):
        await task
    assert time.monotonic() - started < 2
    await workbench.close()


async def test_what_the_pipeline_cannot_do_is_one_line_with_a_hint(pipeline, tmp_path):
    with pytest.raises(Unavailable, match="no size for this model") as caught:
        await Diffusion(pipeline).paint(Wanted(prompt="x", size="65x64"), lambda text: None)
    assert "multiples of 8" in caught.value.hint
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model_index.json").write_text((pipeline / "model_index.json").read_text())
    with pytest.raises(Unavailable, match="cannot be loaded"):
        await Diffusion(broken).paint(Wanted(prompt="x"), lambda text: None)
