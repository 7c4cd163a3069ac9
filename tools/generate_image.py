"""Makes pictures, photos or illustrations from words, with your model for images."""

from __future__ import annotations

import base64
from typing import Any

from workbench import toolkit

PERMISSIONS: dict[str, list[str]] = {}
USES = ["image"]
EFFECT = "read"
TIMEOUT = 3600
EXAMPLES = ["generate an image of {prompt}", "paint a picture of {prompt}"]


def run(
    prompt: str, size: str = "auto", count: int = 1, seed: int | None = None, steps: int | None = None, alt: str = ""
) -> dict[str, Any]:
    """Make 1 to 4 pictures.

    Args:
        prompt: what the picture shows.
        size: WIDTHxHEIGHT in pixels, or auto.
        count: how many.
        seed: the same seed gives the same picture, where the model has seeds.
        steps: of a model on this machine.
        alt: what the picture shows, for who cannot see it.
    """
    asked = {"prompt": prompt, "size": size, "count": count, "seed": seed, "steps": steps}
    answer = toolkit.call("image.make", **{name: value for name, value in asked.items() if value is not None})
    model, made = answer["model"], answer["pictures"]
    title = prompt if len(prompt) <= 80 else f"{prompt[:79]}…"
    said = alt.strip() or f"Picture made by {model} for: {prompt}"
    images = [toolkit.Image(base64.b64decode(one["png"]), title=title, alt=said[:4000]) for one in made]
    seeds = ", ".join(str(one["seed"]) for one in made if one["seed"] is not None)
    missing = f" {len(made)} of {count} came." if len(made) < count else ""
    return {
        "images": images,
        "model": model,
        "seeds": [one["seed"] for one in made],
        "revised_prompts": [one["revised"] for one in made if one["revised"]],
        "formatted": f"Made by {model}{f', seed {seeds}' if seeds else ''}.{missing}",
    }
