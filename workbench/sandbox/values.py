"""What a tool returned, as JSON. Runs in the worker: standard library only; numpy and pandas are never imported here.

Not a number and the infinities become null: JSON has no word for them. Sets become lists, sorted where possible; dates,
times, paths and UUIDs become text; decimals become numbers; objects that say how they want to be seen become that (see
`views`). Bytes, cycles and objects of any other kind are refused by their place.
"""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any

from workbench.sandbox import views
from workbench.sandbox.wire import FILE

MAX_DEPTH = 64


class NotPlain(ValueError):
    """The value cannot leave the worker; says where and why."""


def plain(value: Any, keep: Callable[[Any], Any | None], where: str = "the result") -> Any:
    """The value as JSON. `keep` is asked first about every object that is not JSON already: it gives what stands for a
    table or picture, None when the object is neither. Raises NotPlain."""
    return _plain(value, keep, where, ())


def _plain(value: Any, keep: Callable[[Any], Any | None], where: str, above: tuple[int, ...]) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is str:
        return clean(value)
    if id(value) in above:
        raise NotPlain(f"{where} contains itself.")
    if len(above) >= MAX_DEPTH:
        raise NotPlain(f"{where} is nested more than {MAX_DEPTH} deep.")
    within = (*above, id(value))
    if isinstance(value, Mapping):
        return _object(value, keep, where, within)
    if isinstance(value, list | tuple):
        return [_plain(item, keep, f"{where}[{index}]", within) for index, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return [_plain(item, keep, f"{where}[…]", within) for item in _in_order(value)]
    kept = keep(value)
    return kept if kept is not None else _plain(_simple(value, where), keep, where, within)


def _object(value: Mapping[Any, Any], keep: Callable[[Any], Any | None], where: str, within: tuple[int, ...]) -> Any:
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = clean(key) if isinstance(key, str) else str(_plain(key, keep, f"a key of {where}", within))
        if name == FILE:
            raise NotPlain(f"{where} has the key {FILE!r}, which the workbench keeps for itself.")
        if name in found:
            raise NotPlain(f"{where} has the key {name!r} twice.")
        found[name] = _plain(item, keep, f"{where}.{name}", within)
    return found


def _simple(value: Any, where: str) -> Any:
    """One step towards JSON."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dt.datetime | dt.date | dt.time):
        missing = type(value).__name__ == "NaTType"  # pandas' NaT calls itself a datetime
        return None if missing else value.isoformat()
    if isinstance(value, dt.timedelta):
        return str(value)
    if isinstance(value, Decimal):
        return float(value) if value != value.to_integral_value() or not value.is_finite() else int(value)
    if isinstance(value, PurePath) or (type(value).__module__, type(value).__name__) == ("uuid", "UUID"):
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if type(value).__name__ == "NAType":
        return None
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic | numpy.ndarray):
        if value.dtype.kind in "mM":  # .tolist() would give bare integers for nanoseconds
            return value.astype(str).tolist()
        found = value.tolist()
        if type(found) is not type(value):
            return found
    if hasattr(value, "tolist") and type(value).__module__.partition(".")[0] == "pandas":
        return value.tolist()
    if isinstance(value, bytes | bytearray | memoryview):
        raise NotPlain(f"{where} is bytes: return text, toolkit.Image for a PNG, or toolkit.Audio for a sound.")
    if (seen := views.of(value)) is not None:
        return seen
    raise NotPlain(
        f"{where} is a {_name(type(value))}: return JSON values, a DataFrame, toolkit.Table, Image or Audio, "
        "or give its class a `_repr_html_`."
    )


def _in_order(value: Any) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=repr)


def clean(text: str) -> str:
    """The text without lone surrogates, which no file or database takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
