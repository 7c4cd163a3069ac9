"""The runs panel: what was asked, how it ended and what it cost; opened, taken up again, run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Refused
from workbench.notebook import kernel
from workbench.notebook.panels import results, shown, widget
from workbench.notebook.panels.desk import Desk
from workbench.notebook.panels.messages import COUNT, FLAG, LINE, Verb
from workbench.notebook.panels.parts import script, style
from workbench.notebook.panels.request import namespace
from workbench.offer import frozen
from workbench.render import clean_text

if TYPE_CHECKING:
    from workbench.run import Run
    from workbench.workbench import Workbench

ABOUT = "A panel that showed the runs on record. workbench.panel('runs') shows it again; so does %workbench runs."
PAGE = 20
LOOKED_AT = 1000
"""The newest runs, which are listed and counted."""
DAYS = 14
"""Days that the chart of costs shows: the newest on which something was asked."""


@cache
def panel_class() -> type[Any]:
    """The widget's class."""
    import traitlets

    class RunsPanel(widget.panel_class()):  # type: ignore[misc]  # made at run time
        """The runs on record. `state` and `run` are those of the run that was taken up or run again last, and may be
        observed."""

        _esm = script("asks", "fields", "plan", "question", "steps", "results", "list", "chart", "runs")
        _css = style("plan", "steps", "results", "desk")
        state = traitlets.Unicode("idle")
        run = traitlets.Any(None, allow_none=True)

        def __init__(self, workbench: Workbench) -> None:
            shelf = Runs(workbench, self)
            super().__init__(about=ABOUT, verbs=shelf.verbs(), on_bug=workbench.log.bug, view=shelf.view())

    return RunsPanel


class Runs(Desk):
    """What the panel's page may ask."""

    def __init__(self, workbench: Workbench, panel: Any) -> None:
        super().__init__(workbench, panel)
        self._rows: Sequence[Mapping[str, Any]] = ()
        self._opened: Run | None = None

    def verbs(self) -> dict[str, Verb]:
        filters = {"text": LINE, "status": LINE, "model": LINE}
        return super().verbs() | {
            "list": Verb(do=self._list, takes={**filters, "start": COUNT, "anew": FLAG}),
            "open": Verb(do=self._open_run, takes={"run": LINE}),
            "opened": Verb(do=self._of_opened, takes={"message": {"type": "object"}}),
            "resume": Verb(do=self._resume, takes={"run": LINE}),
            "rerun": Verb(do=self._rerun, takes={"run": LINE}),
        }

    async def _list(self, text: str, status: str, model: str, start: int, anew: bool) -> Mapping[str, Any]:
        """A page of the runs that pass the filters, newest first, and what those cost. `anew` reads the record again;
        else the page is of what was read before."""
        if anew or not self._rows:
            self._rows = await self.workbench.record.runs(LOOKED_AT)
        words = text.casefold().split()
        rows = [
            row
            for row in self._rows
            if (not status or row["status"] == status)
            and (not model or (row.get("model") or "") == model)
            and all(word in f"{row['run']} {row.get('request') or ''}".casefold() for word in words)
        ]
        return {
            "rows": [row_of(row) for row in rows[start : start + PAGE]],
            "total": len(rows),
            "start": start,
            "page": PAGE,
            "note": _note(self._rows, rows),
            "statuses": sorted({str(row["status"]) for row in self._rows}),
            "models": sorted({clean_text(row["model"]) for row in self._rows if row.get("model")}),
            "costs": {"day": by_day(rows), "model": by_model(rows)},
        }

    async def _open_run(self, run: str) -> Mapping[str, Any]:
        self._opened = opened = await self.workbench.record.show(run)
        return shown.opened(opened)

    async def _of_opened(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._opened is None:
            raise Refused("No run is open here.", hint="Open one in the list.")
        return await results.answer(self._opened, message)

    def _resume(self, run: str) -> Coroutine[Any, Any, None]:
        from workbench.notebook.attached import tables

        frames = frozen(tables(namespace()))
        return self._again(partial(self.workbench.resume, run, variables=frames))

    def _rerun(self, run: str) -> Coroutine[Any, Any, None]:
        return self._again(partial(self.workbench.rerun, run))

    def _again(self, ask: Any) -> Coroutine[Any, Any, None]:
        notebook = kernel.notebook(kernel.shell())

        def asked(*, rounds: bool, **options: Any) -> Coroutine[Any, Any, Run]:
            begun: Coroutine[Any, Any, Run] = ask(notebook=notebook, **options)
            return begun

        return self.begin(asked, asks=False)


def row_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A run as its row."""
    started: datetime | None = row["started_at"]
    imported = f", from {row['imported']}" if row.get("imported") else ""
    return {
        "run": row["run"],
        "request": clean_text(row.get("request") or "")[:300],
        "status": clean_text(f"{row['status']}{imported}"),
        "mark": MARKS.get(row["status"], "·"),
        "started": f"{started:%Y-%m-%d %H:%M}" if started is not None else "",
        "seconds": "" if row["seconds"] is None else f"{row['seconds']:.1f} s",
        "model": clean_text(row.get("model") or row.get("planner") or ""),
        "cost": dollars(row["usd"]),
    }


MARKS = {"done": "✓", "failed": "✗", "cancelled": "■", "budget": "■", "planned": "·", "running": "▸"}


def by_day(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What runs cost on each day (UTC), the newest `DAYS` of them, oldest first."""
    found = _costs(rows, lambda row: f"{row['started_at']:%Y-%m-%d}" if row["started_at"] is not None else "")
    return sorted(found, key=lambda one: str(one["name"]))[-DAYS:]


def by_model(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What runs cost by model, the dearest first."""
    found = _costs(rows, lambda row: clean_text(row.get("model") or ""))
    return sorted(found, key=lambda one: (-float(one["usd"]), -int(one["runs"])))[:12]


def _costs(rows: Sequence[Mapping[str, Any]], name: Any) -> list[dict[str, Any]]:
    runs, unknown = Counter[str](), Counter[str]()
    usd: dict[str, Decimal] = {}
    for row in rows:
        if not (key := name(row)):
            continue
        runs[key] += 1
        if row["usd"] is None:
            unknown[key] += 1
        else:
            usd[key] = usd.get(key, Decimal(0)) + Decimal(row["usd"])
    return [
        {
            "name": key,
            "usd": float(usd.get(key, Decimal(0))),
            "said": f"{dollars(usd.get(key, Decimal(0)))}, {_runs(runs[key])}"
            + (f", {unknown[key]} of unknown price" if unknown[key] else ""),
            "cost": dollars(usd.get(key, Decimal(0))),
            "runs": runs[key],
        }
        for key in runs
    ]


def dollars(usd: Any) -> str:
    """An amount of US dollars; "unknown" where a price is."""
    if usd is None:
        return "unknown"
    amount = Decimal(usd)
    return f"${amount:.2f}" if amount >= 1 or not amount else f"${amount:.4f}".rstrip("0")


def _runs(number: int) -> str:
    return f"{number:,} run{'' if number == 1 else 's'}"


def _note(all_rows: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    if not all_rows:
        return "Nothing was asked yet."
    if not rows:
        return "No run passes these filters."
    newest = f"the newest {LOOKED_AT:,} runs are listed" if len(all_rows) == LOOKED_AT else ""
    unended = (
        "running: goes on elsewhere, or its kernel has died" if any(r["status"] == "running" for r in rows) else ""
    )
    return "; ".join(filter(None, (newest, unended)))
