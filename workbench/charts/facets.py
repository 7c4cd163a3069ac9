"""One chart for each value of a column, beside each other and to the same scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench import toolkit
from workbench.charts.columns import ROOM, Chart, built, chosen, named
from workbench.charts.words import cut

MAX_PANELS = 9


def prepare_all(
    frame: Any, kind: str, x: str, names: Sequence[str], error: Sequence[str] = (), facet: str = ""
) -> list[Chart]:
    """The charts of a table: one, or with `facet` one for each value of that column, in the order of the rows. Raises
    Failed as `prepare` does."""
    frame = named(frame)
    x, ys = chosen(frame, kind, x, names, [*error, *([facet] if facet else [])])
    if not facet:
        return [built(frame, kind, x, ys, error)]
    if facet in (x, *ys):
        raise toolkit.Failed(f"{facet!r} is drawn already.", hint="Choose another column for the panels.")
    values = frame[facet].astype("str").where(frame[facet].notna(), "missing")
    panels = list(values.unique())
    if len(panels) > MAX_PANELS:
        raise toolkit.Failed(
            f"{len(panels):,} panels are too many to read.", hint=f"Keep at most {MAX_PANELS} values of {facet}."
        )
    charts = []
    for panel in panels:
        chart = built(frame[values == panel].reset_index(drop=True), kind, x, ys, error, facet)
        chart.name, chart.room = cut(panel), ROOM / columns(len(panels)) * 1.1
        charts.append(chart)
    return aligned(charts)


def columns(panels: int) -> int:
    """How many panels stand side by side."""
    return 1 if panels == 1 else 2 if panels in (2, 4) else 3


def aligned(charts: list[Chart]) -> list[Chart]:
    """The charts with the same series in the same order, and named places at the same place in each."""
    import pandas as pd

    if charts[0].kind == "hist":
        return charts
    series = list(dict.fromkeys(name for chart in charts for name in chart.series))
    places: Any = None
    if not (charts[0].numbers or charts[0].dates) or charts[0].kind == "bar":
        every = pd.concat([chart.across for chart in charts]).drop_duplicates()
        places = every.sort_values() if charts[0].dates or charts[0].numbers else every
    if places is not None and any(chart.across.duplicated().any() for chart in charts):
        x = charts[0].x
        raise toolkit.Failed(f"Several rows of one panel share one {x}.", hint=f"Group by {x} first.")
    for chart in charts:
        if places is not None and chart.kind != "scatter":
            move = {
                name: pd.Series(values.to_numpy(), index=chart.across).reindex(places).reset_index(drop=True)
                for name, values in _flat(chart).items()
            }
            chart.series = {name: move[name, ""] for name in chart.series}
            chart.errors = {name: (move[name, "-"], move[name, "+"]) for name in chart.errors}
            chart.across = places.reset_index(drop=True)
        empty = pd.Series(float("nan"), index=chart.across.index)
        chart.series = {name: chart.series.get(name, empty) for name in series}
    return charts


def _flat(chart: Chart) -> dict[tuple[str, str], Any]:
    found = {(name, ""): values for name, values in chart.series.items()}
    for name, (below, above) in chart.errors.items():
        found[name, "-"], found[name, "+"] = below, above
    return found
