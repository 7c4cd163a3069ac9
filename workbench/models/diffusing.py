"""The program that paints: one request on stdin, lines of JSON on stdout, nothing else.

    {"step": 3, "of": 20}   how far a picture has come        {"png": "…"}    a picture, base64
    {"said": "…"}           a line for the person             {"done": true}  all of them
    {"error": "…", "hint": "…"}                               why there is none

Started by `models.diffusion`, alone in its process; libraries that print do so on stderr.
"""

from __future__ import annotations

import base64
import importlib
import inspect
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

INSTALL = "pip install 'agent-workbench[diffusion]'"

Say = Callable[[Mapping[str, Any]], None]


class Unable(Exception):
    """Why nothing is painted, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def main() -> None:
    """Read the request, paint, and end."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)

    def say(message: Mapping[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    try:
        paint(json.loads(sys.stdin.readline()), say)
    except Unable as error:
        say({"error": str(error), "hint": error.hint})
    except Exception as error:  # noqa: BLE001 - whatever torch or a model raises has to reach the person as a line
        say({"error": f"The model failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}"})
    out.flush()
    os._exit(0)  # torch's threads are not waited for


def paint(asked: Mapping[str, Any], say: Say) -> None:
    """Load the pipeline and make one picture for each seed."""
    torch, diffusers = _libraries()
    say({"said": "loading the model"})
    device = _device(torch)
    pipeline = _loaded(diffusers, torch, asked["folder"], device)
    takes = inspect.signature(pipeline.__call__).parameters
    if "prompt" not in takes:
        raise Unable(f"{type(pipeline).__name__} makes no pictures from words.", "Use a text-to-image pipeline.")
    pipeline.set_progress_bar_config(disable=True)
    options = _options(asked, takes)
    for seed in asked["seeds"]:
        made = pipeline(
            prompt=asked["prompt"],
            generator=torch.Generator("cpu").manual_seed(seed),
            **options,
            **_watched(takes, say, pipeline),
        )
        out = io.BytesIO()
        made.images[0].convert("RGB").save(out, "PNG")
        say({"png": base64.b64encode(out.getvalue()).decode("ascii")})
    say({"done": True})


def _libraries() -> tuple[Any, Any]:
    try:
        return importlib.import_module("torch"), importlib.import_module("diffusers")
    except ImportError as error:
        raise Unable(f"diffusers cannot be imported: {error}.", INSTALL) from None


def _device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    with suppress(AttributeError):
        if torch.backends.mps.is_available():
            return "mps"
    return "cpu"


def _loaded(diffusers: Any, torch: Any, folder: str, device: str) -> Any:
    """The pipeline of a folder: nothing is fetched, no code of the model's is run, no pickle is opened."""
    dtype = torch.float16 if device == "cuda" else torch.float32
    try:
        pipeline = diffusers.DiffusionPipeline.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, torch_dtype=dtype
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        line = " ".join(str(error).split())[:300]
        raise Unable(
            f"The pipeline cannot be loaded: {line}",
            "Its weights have to lie there as safetensors, with all its parts.",
        ) from None
    return pipeline.to(device)


def _options(asked: Mapping[str, Any], takes: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if asked["size"] != "auto":
        width, height = map(int, asked["size"].split("x"))
        if width % 8 or height % 8:
            raise Unable(f"{asked['size']} is no size for this model.", "Width and height have to be multiples of 8.")
        options |= {"width": width, "height": height}
    if asked["steps"] is not None:
        options["num_inference_steps"] = asked["steps"]
    if lacking := sorted(set(options) - set(takes)):
        raise Unable(f"This model does not take {', '.join(lacking)}.", "Leave it out.")
    return options


def _watched(takes: Mapping[str, Any], say: Say, pipeline: Any) -> dict[str, Any]:
    """What has the pipeline tell of each step, where it can."""
    if "callback_on_step_end" not in takes:
        return {}

    def stepped(pipe: Any, step: int, time: Any, kept: dict[str, Any]) -> dict[str, Any]:
        say({"step": step + 1, "of": int(getattr(pipeline, "num_timesteps", 0) or step + 1)})
        return kept

    return {"callback_on_step_end": stepped}
