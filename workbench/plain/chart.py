"""The charts of the tool `plot` as a few lines of pandas and matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.plain.code import Unwritable

if TYPE_CHECKING:
    import pandas as pd

_KNOWN = {"data", "kind", "x", "y", "title", "x_label", "y_label"}
_KINDS = ("bar", "line", "scatter", "hist")


def lines(source: str, frame: pd.DataFrame, params: Mapping[str, Any], title: str) -> list[str]:
    """The code that draws `frame`, which the cells know as `source`. Columns that the call left open are named here, as
    the tool chose them. Raises Unwritable for what is no chart of these four kinds."""
    kind = params.get("kind", "bar")
    if kind not in _KINDS or (more := sorted(set(params) - _KNOWN)):
        raise Unwritable(
            f"a chart of kind {kind!r} with {', '.join(more)} has no short form"
            if kind in _KINDS
            else f"a chart of kind {kind!r} has no short form"
        )
    x, names = _columns(frame, kind, str(params.get("x") or ""), list(params.get("y") or []))
    code = [f"data = {source}", 'figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")']
    code += _drawn(frame, kind, x, names)
    across = params.get("x_label") or x
    up = params.get("y_label") or ("Count" if kind == "hist" else names[0] if len(names) == 1 else "")
    code.append(f"axes.set(title={title!r}, xlabel={str(across)!r}, ylabel={str(up)!r})")
    return [*code, "plt.show()"]


def _drawn(frame: pd.DataFrame, kind: str, x: str, names: list[str]) -> list[str]:
    several = len(names) > 1
    if kind == "hist":
        return [f"axes.hist(data[{x!r}].dropna(), bins=20, edgecolor='white')"]
    if kind == "scatter":
        drawn = [f"axes.scatter(data[{x!r}], data[{name!r}], s=18, alpha=0.6, label={name!r})" for name in names]
        return [*drawn, "axes.legend()"] if several else drawn
    look = f"legend={several}, rot=40" if kind == "bar" else f"legend={several}, marker='o', markersize=4"
    others = [c for c in frame.columns if c not in (x, *names) and not _is_number(frame[c])]
    if frame[x].duplicated().any():
        if len(names) > 1 or len(others) != 1 or frame.duplicated([x, others[0]]).any():
            raise Unwritable("several of its rows share one place")
        by = others[0]
        wide = f"data.pivot(index={x!r}, columns={by!r}, values={names[0]!r})"
        order = f".reindex(index=data[{x!r}].unique(), columns=data[{by!r}].unique())"
        return [f"wide = {wide}{order}", f"wide.plot.{kind}(ax=axes, {look.replace('legend=False', 'legend=True')})"]
    if kind == "line" and _is_date(frame[x]):
        made = f"data = data.assign(**{{{x!r}: pd.to_datetime(data[{x!r}])}}).sort_values({x!r})"
        return [made, f"data.plot.line(x={x!r}, y={names!r}, ax=axes, {look})"]
    return [f"data.plot.{kind}(x={x!r}, y={names!r}, ax=axes, {look})"]


def _columns(frame: pd.DataFrame, kind: str, x: str, names: list[str]) -> tuple[str, list[str]]:
    columns = [str(name) for name in frame.columns]
    numbers = [name for name in columns if _is_number(frame[name])]
    if kind == "hist":
        wanted = [*([x] if x else []), *names] or numbers[:1]
        if not wanted:
            raise Unwritable("there is no column of numbers to count")
        return wanted[0], wanted[:1]
    if not x:
        rest = [name for name in columns if name not in names]
        x = next((name for name in rest if name not in numbers), (rest or columns)[0])
    names = names or _alike(frame, [name for name in numbers if name != x])
    if not names:
        raise Unwritable("there is no column of numbers to draw")
    return x, names


def _alike(frame: pd.DataFrame, names: list[str]) -> list[str]:
    """The first column of numbers, and up to three more of like size."""
    sizes = {name: float(frame[name].abs().max()) for name in names}
    real = [name for name in names if name.lower() != "id" and not name.lower().endswith("_id")] or names
    return [name for name in real if sizes[real[0]] / 10 <= sizes[name] <= sizes[real[0]] * 10][:4] or real[:1]


def _is_number(column: pd.Series[Any]) -> bool:
    import pandas as pd

    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _is_date(column: pd.Series[Any]) -> bool:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    text = column.dropna().astype("str")
    return not _is_number(column) and len(text) > 0 and bool(text.str.fullmatch(r"\d{4}-\d\d(-\d\d)?").all())
