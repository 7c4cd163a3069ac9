"""The one JSON value in a model's reply, or a refusal to guess which it was.

Models wrap JSON into fences, think aloud before it and explain after it. All that is passed over. What is not passed
over is damage: when a value starts like JSON and does not end like it, nothing inside of it is taken for the reply, so
that half of a plan is never run as if it were the plan.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from workbench.core.errors import PlanInvalid
from workbench.policy.sanitize import without_lone_surrogates

MAX_CHARS = 400_000
MAX_STARTS = 1000
"""Brackets that are tried as the start of a value: a bound on the work that a hostile reply can cause."""

_THOUGHTS = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_START = re.compile(r"[{\[]")
_SPACE = re.compile(r"\s*")
_LOOSE_OBJECT = re.compile(r"""\{\s*(?:'[^'\n]{0,100}'|\w{1,100})\s*:""")


def read_json(text: str) -> Any:
    """The plan-like JSON value in the text, else the only value there is; half characters in it are replaced.

    Raises PlanInvalid when there is none, when it is broken or cut, and when there are several different ones.
    """
    if len(text) > MAX_CHARS:
        raise PlanInvalid([f"the reply is {len(text)} characters long; a plan has at most {MAX_CHARS}"])
    text = without_thoughts(text)
    found: list[Any] = []
    position = starts = 0
    while (start := _START.search(text, position)) is not None:
        starts += 1
        if starts > MAX_STARTS:
            raise PlanInvalid(["the reply holds too many brackets to find the plan in it"])
        value, position = _decode(text, start.start())
        if value is not _PROSE:
            found.append(value)
    plans = [value for value in found if _is_plan_like(value)]
    if any(plan != plans[0] for plan in plans):
        raise PlanInvalid(["the reply holds more than one plan; send one"])
    if plans:
        return _whole(plans[0])
    if len(found) == 1:
        return _whole(found[0])
    raise PlanInvalid(["the reply holds no plan; send one JSON object with `steps`"])


def _whole(value: Any) -> Any:
    """The value without halves of characters, which JSON can spell and no file or terminal takes."""
    try:
        text = json.dumps(value, ensure_ascii=False)
        whole = without_lone_surrogates(text)
        return value if whole == text else _DECODER.decode(whole)
    except RecursionError:
        raise PlanInvalid(["the JSON in the reply is nested too deeply"]) from None
    except ValueError as error:  # two keys that differed in nothing else
        raise PlanInvalid([f"the JSON in the reply is broken: {error}"]) from None


def without_thoughts(text: str) -> str:
    """The text without the thinking that some models put in front of it."""
    return _THOUGHTS.sub("", text)


def _decode(text: str, start: int) -> tuple[Any, int]:
    """The value that starts here, and where it ends; `_PROSE` when these brackets are not JSON at all."""
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        first = _SPACE.match(text, start + 1)
        is_cut = error.pos >= len(text) or "Unterminated" in error.msg
        starts_wrong = error.pos <= (first.end() if first else start + 1)
        if starts_wrong and not is_cut and not _LOOSE_OBJECT.match(text, start):
            return _PROSE, start + 1  # "{name}" or "[see below]": text, not data
        reason = "is cut off" if is_cut else f"is broken: {error.msg}"
        raise PlanInvalid([f"the JSON in the reply {reason} (character {error.pos} of {len(text)})"]) from None
    except RecursionError:
        raise PlanInvalid(["the JSON in the reply is nested too deeply"]) from None
    except ValueError as error:
        raise PlanInvalid([f"the JSON in the reply is broken: {error}"]) from None


def _is_plan_like(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "steps" in value or "refusal" in value
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) and "task" in v for v in value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object names the same key twice")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_PROSE = object()
