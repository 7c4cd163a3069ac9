"""Keeps a fact, preference, procedure or episode in the project's memory."""

from __future__ import annotations

from typing import Any, Literal

from workbench import toolkit

PERMISSIONS: dict[str, list[str]] = {}
USES = ["memory"]
EFFECT = "write"
TIMEOUT = 20
EXAMPLES = ["remember that {text}"]


def run(text: str, kind: Literal["fact", "preference", "procedure", "episode"] = "fact") -> dict[str, Any]:
    """Write one text to the memory of this project.

    Args:
        text: what to remember, as a sentence that stands on its own.
        kind: fact, preference (what the user likes), procedure (how it is done) or episode (what happened).
    """
    text = text.strip()
    if not text:
        raise toolkit.Failed("There is nothing to remember.", hint="Say what: remember that …")
    written = toolkit.call("memory.write", text=text, kind=kind)
    said = f"Remembered: {text}"
    if written.get("became", "new") != "new":
        said = f"Known already: {written['text']}"
    closed = "".join(f"\nNo longer holds: {old}" for old in written.get("closed", ()))
    return {"id": written["id"], "text": written["text"], "formatted": said + closed}
