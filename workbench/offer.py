"""The tables a user offers with a request: what planners see of them, and their rows as files when needed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.artifacts import PREVIEW_ROWS, Artifact
from workbench.core.errors import Refused, Unavailable
from workbench.core.request import ColumnProfile, Variable

if TYPE_CHECKING:
    import pandas as pd

MAX_VALUES = 200
_ISO_DATE = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_READERS = {".csv": "read_csv", ".tsv": "read_csv", ".parquet": "read_parquet", ".json": "read_json"}


def frozen(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The frames as they are now. The copies are shallow: pandas copies on write, so that later changes by the user do
    not reach them, and nothing is duplicated. For work that goes on without its caller: call it on their thread."""
    return {name: frame.copy(deep=False) for name, frame in frames.items()}


class Offer:
    """The frames of one request, as they were when it was made."""

    def __init__(self, frames: Mapping[str, pd.DataFrame], named: Collection[str] = ()) -> None:
        self._frames = frozen(frames)
        self._named = frozenset(named)

    def add(self, name: str, made: Artifact, artifacts: Path) -> bool:
        """Offer a table that an earlier run has made, as a file below `artifacts`; False when the user has one of that
        name, or the file is gone."""
        from workbench.sandbox.frames import read_frame

        if name in self._frames:
            return False
        try:
            self._frames[name] = read_frame(artifacts / made.path)
        except Unavailable:
            return False
        return True

    def variables(self) -> tuple[Variable, ...]:
        """What planners see, in the order the frames were given. Takes time in proportion to the rows."""
        return tuple(profile(name, frame, named=name in self._named) for name, frame in self._frames.items())

    async def snapshot(self, names: Collection[str], artifacts: Path, run: str) -> dict[str, Artifact]:
        """The named frames as Arrow files under `artifacts/run/`. Raises Refused naming a column that cannot travel."""
        from workbench.sandbox.frames import snapshot

        if gone := [name for name in names if name not in self._frames]:
            raise Refused(
                f"The table @{gone[0]} had not been taken yet when the run stopped.",
                hint="Load it again under that name, or ask again.",
            )

        def write() -> dict[str, Artifact]:
            return {name: snapshot(self._frames[name], artifacts, run, name) for name in names}

        return await asyncio.to_thread(write)


def profile(name: str, frame: pd.DataFrame, *, named: bool = False) -> Variable:
    """A frame as planners see it: names, types, statistics; the first rows only when the user named the frame."""
    head = frame.head(PREVIEW_ROWS)
    return Variable(
        name=name,
        rows=len(frame),
        columns=tuple(_column(str(label), frame.iloc[:, at]) for at, label in enumerate(frame.columns)),
        named=named,
        head=tuple(tuple(_scalar(v) for v in row) for row in head.itertuples(index=False)) if named else (),
    )


def _column(name: str, values: pd.Series[Any]) -> ColumnProfile:
    import pandas as pd

    kind = _type(values)
    missing = int(values.isna().sum())
    if kind == "other":
        return ColumnProfile(name=name, type=kind, missing=missing)
    present = values.dropna()
    distinct = int(present.nunique())
    least = most = None
    if kind in ("integer", "number", "date", "timestamp") and len(present):
        least, most = _scalar(present.min()), _scalar(present.max())
    texts: tuple[str, ...] | None = None
    dates = False
    if kind == "text":
        unique = pd.Series(present.unique()).astype(str)
        dates = bool(len(unique)) and bool(unique.str.fullmatch(_ISO_DATE).all())
        if dates:
            least, most = str(unique.min()), str(unique.max())
        if len(unique) <= MAX_VALUES:
            texts = tuple(sorted(unique))
    return ColumnProfile(
        name=name,
        type=kind,
        missing=missing,
        distinct=distinct,
        minimum=least,
        maximum=most,
        values=texts,
        dates=dates,
    )


def _type(values: pd.Series[Any]) -> str:
    from pandas.api import types

    if types.is_bool_dtype(values):
        return "boolean"
    if types.is_integer_dtype(values):
        return "integer"
    if types.is_numeric_dtype(values):
        return "number"
    if types.is_datetime64_any_dtype(values):
        return "timestamp"
    if isinstance(values.dtype, types.CategoricalDtype):
        return "text" if types.is_string_dtype(values.cat.categories) else "other"
    present = values.dropna()
    if types.is_string_dtype(present) and len(present):
        return "text"
    inferred = types.infer_dtype(present, skipna=True)
    return {"string": "text", "date": "date", "boolean": "boolean", "empty": "text"}.get(inferred, "other")


def _scalar(value: Any) -> Any:
    import pandas as pd

    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    return value if isinstance(value, str | int | float | bool) else str(value)


def load_table(path: Path) -> pd.DataFrame:
    """The table in a CSV, TSV, Parquet or JSON file. Raises Refused in one line when the file is not one."""
    import pandas as pd

    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise Refused(
            f"{path.name} is not a table I can read.", hint=f"Give a file that ends in {', '.join(sorted(_READERS))}."
        )
    try:
        options = {"sep": "\t"} if path.suffix.lower() == ".tsv" else {}
        frame = getattr(pd, reader)(path, **options)
    except FileNotFoundError as error:
        raise Refused(f"There is no file {path}.", hint="Check the path; it is relative to this folder.") from error
    except Exception as error:  # readers raise anything from UnicodeDecodeError to ArrowInvalid on a wrong file
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise Refused(f"{path.name} cannot be read as {path.suffix[1:].upper()}: {first[0]}") from error
    if not isinstance(frame, pd.DataFrame) or not len(frame.columns):
        raise Refused(f"{path.name} holds no table.")
    if path.suffix.lower() in (".csv", ".tsv") and _looks_binary(frame):
        raise Refused(f"{path.name} is not text, so it is not a CSV.", hint="Give the right file.")
    return frame


def _looks_binary(frame: pd.DataFrame) -> bool:
    return any(re.search(r"[\x00-\x08\x0e-\x1f]|�", str(label)) for label in frame.columns)
