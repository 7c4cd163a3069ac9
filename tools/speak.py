"""Reads a text aloud with your model for speech, as a sound to play."""

from __future__ import annotations

import base64
from typing import Any, Literal

from workbench import toolkit

PERMISSIONS: dict[str, list[str]] = {}
USES = ["audio.speak"]
EFFECT = "read"
TIMEOUT = 3600
EXAMPLES = ["read aloud: {text}", "say aloud {text}"]


def run(
    text: str, voice: str = "", format: Literal["mp3", "wav", "ogg", "flac"] = "mp3", instructions: str = ""
) -> dict[str, Any]:
    """Make speech of a text.

    Args:
        text: what is read, at most 4,096 characters.
        voice: a voice of the model.
        format: kind of sound.
        instructions: how it is read, for models that take them.
    """
    asked = {"text": text, "voice": voice, "format": format, "instructions": instructions}
    answer = toolkit.call("audio.speak", **asked)
    title = text if len(text) <= 80 else f"{text[:79]}…"
    said = f"Read by {answer['model']}, voice {answer['voice']}"
    return {
        "sound": toolkit.Audio(base64.b64decode(answer["sound"]), title=title, alt=text[:4000]),
        "seconds": answer["seconds"],
        "formatted": f"{said}: {answer['seconds']:.1f} seconds.",
    }
