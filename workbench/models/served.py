"""Which models an endpoint serves, in the words of errors."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from workbench.core.errors import Unavailable, WorkbenchError

WHICH = "Say which: WORKBENCH_MODEL or --model."


def only_model(served: Sequence[str], where: str) -> str:
    """The name of the only model that can chat. Raises Unavailable, naming those that are there, when it is not one."""
    chat = [name for name in served if "embed" not in name.lower()]
    if len(chat) == 1:
        return chat[0]
    there = f"serves {listed(chat)}" if chat else "serves no chat model"
    raise Unavailable(f"{where} {there}.", hint=WHICH, available=chat)


def is_about_the_model(error: WorkbenchError) -> bool:
    """Whether a refusal is, or may be, about a model that is not there."""
    said = str(error.data.get("said", "")).lower()
    unknown = error.data.get("code") == "model_not_found" or ("model" in said and "not" in said)
    return error.data.get("status") == 404 or (unknown and error.data.get("status") == 400)


def unknown_model(name: str, served: Sequence[str], where: str, error: WorkbenchError) -> WorkbenchError:
    """The error in the light of what the endpoint serves; an empty list when it did not say."""
    if name in served:
        return error
    if not served:
        return Unavailable(
            f"{where} has no chat completions, or no model {name} ({error.data.get('status')}).",
            hint="Check OPENAI_BASE_URL (it usually ends in /v1) and WORKBENCH_MODEL.",
            **error.data,
        )
    near = difflib.get_close_matches(name, served, n=8, cutoff=0.3)
    ordered = list(dict.fromkeys([*near, *served]))
    message = f"{where} has no model {name}; it serves {listed(ordered)}."
    return Unavailable(message, hint=WHICH, **error.data | {"available": ordered})


def listed(names: Sequence[str]) -> str:
    """The first names as one phrase, with how many more there are."""
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
