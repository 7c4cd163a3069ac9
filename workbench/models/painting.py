"""The host function `image.make`: the user's model for pictures, for tools that have some made.

The worker has no key and reaches no endpoint. It says what to paint and gets PNGs, with what was asked, the model, the
seed and the run in the words inside of each.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from workbench.core.errors import BudgetExceeded, ToolFailed, Unavailable
from workbench.core.png import MAX_WORDS, saying
from workbench.models.images import MAX_COUNT, MAX_SIDE, SIZE, ImageModel, Painted, Progress, Wanted
from workbench.models.metered import Tell, metered_call

MAX_CALLS = 20
"""Calls of the model that one call of a tool may make."""
MAX_PROMPT = 32_000
MAX_ANSWER = 11_000_000
"""Bytes of all pictures of one answer: as base64 they have to fit into a frame to the worker."""


def painting_service(
    model: ImageModel | None,
    purpose: str,
    run: str,
    tell: Tell,
    progress: Progress,
    room: Callable[[int], Awaitable[None]],
) -> Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]:
    """Takes `{prompt, size, count, seed, steps}` and answers `{pictures: [{png, seed, revised}], model}`, each png as
    base64.

    Each call is told as `model.called` with `purpose`; `run` stands in the pictures. `room(count)` raises
    BudgetExceeded when the user may not have so many more. Raises Unavailable without a model, ToolFailed for wrong
    parameters, and as `ImageModel.paint` does.
    """
    calls = 0

    async def make(params: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal calls
        wanted = _wanted(params)
        if model is None:
            raise Unavailable(
                "No model for pictures is connected.",
                hint="Set WORKBENCH_IMAGE_MODEL to a model of your endpoint, or to diffusers:FOLDER. A wireframe of a"
                " screen needs none.",
            )
        calls += 1
        if calls > MAX_CALLS:
            raise BudgetExceeded(f"The call has asked for pictures {MAX_CALLS} times.", hint="Ask for fewer at once.")
        await room(wanted.count)
        painted = await metered_call(
            model,
            lambda: model.paint(wanted, progress),
            purpose,
            tell,
            content=lambda painted: b"".join(painted.pngs),
            images=lambda painted: len(painted.pngs),
        )
        if (size := sum(map(len, painted.pngs))) > MAX_ANSWER:
            raise ToolFailed(
                f"The pictures have {size:,} bytes together; at most {MAX_ANSWER:,} are passed on.",
                hint="Ask for fewer or smaller ones.",
            )
        return {
            "pictures": [_picture(painted, at, wanted, run) for at in range(len(painted.pngs))],
            "model": painted.model,
        }

    return make


def _picture(painted: Painted, at: int, wanted: Wanted, run: str) -> dict[str, Any]:
    seed = painted.seeds[at]
    texts = {
        "Description": wanted.prompt[:MAX_WORDS],
        "Software": "agent-workbench",
        "prompt": wanted.prompt,
        "model": painted.model,
        "seed": "none" if seed is None else str(seed),
        "run": run,
    }
    png = saying(painted.pngs[at], texts)
    return {
        "png": base64.b64encode(png).decode("ascii"),
        "seed": seed,
        "revised": painted.revised[at] if at < len(painted.revised) else "",
    }


def _wanted(params: Mapping[str, Any]) -> Wanted:
    if unknown := sorted(set(params) - {"prompt", "size", "count", "seed", "steps"}):
        raise ToolFailed(f"image.make does not know {unknown[0][:40]!r}.")
    prompt, size = params.get("prompt"), params.get("size") or "auto"
    if not isinstance(prompt, str) or not prompt.strip():
        raise ToolFailed("There is nothing to paint.", hint="Say what the picture shows.")
    if len(prompt) > MAX_PROMPT:
        raise ToolFailed(f"The prompt has {len(prompt):,} characters; at most {MAX_PROMPT:,} are sent.")
    sides = SIZE.fullmatch(size) if isinstance(size, str) else None
    if sides is None or any(int(side) > MAX_SIDE for side in sides.groups() if side):
        raise ToolFailed(f"{str(size)[:40]!r} is no size.", hint=f"Write WIDTHxHEIGHT, up to {MAX_SIDE}, or auto.")
    count = params.get("count", 1)
    if type(count) is not int or not 1 <= count <= MAX_COUNT:
        raise ToolFailed(f"count has to be a whole number from 1 to {MAX_COUNT}.")
    seed = params.get("seed")
    if seed is not None and not (type(seed) is int and 0 <= seed < 2**63):
        raise ToolFailed("The seed has to be a whole number from 0 on.")
    steps = params.get("steps")
    if steps is not None and not (type(steps) is int and 1 <= steps <= 500):
        raise ToolFailed("steps has to be a whole number from 1 to 500.")
    return Wanted(prompt=prompt, size=size, count=count, seed=seed, steps=steps)
