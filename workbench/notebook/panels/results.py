"""The results of a run, live: tables in pages, pictures, sound, code with its diff, Apply and Undo, sources.

`described` says what there is, `answer` gives what is looked at, both as JSON: `static/results.js` draws it, in a
panel, under a run, or from JupyterLab's extension. All texts are cleaned here, and HTML is what `render` has made.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from workbench.core.artifacts import PNG, Artifact
from workbench.core.errors import Refused, Unavailable, WorkbenchError
from workbench.core.outcome import StepOutcome
from workbench.notebook.panels import diffs, rows
from workbench.notebook.panels.messages import Verb
from workbench.render import (
    MAX_IMAGE,
    answer_html,
    clean_text,
    footer,
    host_of,
    inline_png,
    shown_frames,
    shown_views,
    view_html,
)
from workbench.run import Run

MAX_SOUND = 25_000_000
MAX_SOURCES = 50


def described(run: Run) -> dict[str, Any]:
    """What there is to see of a run, as JSON. Reads no file: the first rows of a table come with its record."""
    outcome = run.outcome
    known = {artifact.path: name for name, artifact in _files(run).items()}
    return {
        "run": outcome.run,
        "status": outcome.status,
        "answer": answer_html(outcome),
        "views": [{"html": view_html(view)} for view in shown_views(outcome)],
        "tables": [_table(known[frame.path], frame) for frame in shown_frames(outcome)],
        "pictures": [
            {"id": known[one.path], "alt": clean_text(one.alt or one.title or "picture")} for one in outcome.images
        ],
        "audio": [
            {"id": known[one.path], "title": clean_text(one.title or "sound"), "said": clean_text(one.alt)}
            for one in outcome.sounds
        ],
        "code": [{"step": clean_text(step.id), "files": diffs.described(step)} for step in diffs.steps(outcome)],
        "sources": [_source(source) for source in outcome.sources[:MAX_SOURCES]],
        "footer": clean_text(footer(outcome)),
    }


async def answer(run: Run, message: Mapping[str, Any]) -> dict[str, Any]:
    """What a front end asks about the run, as JSON; `{"error", "hint", "conflicts"}` where it cannot be had:

        {do: "rows", table, sort, descending, filter, start, count}  → {rows, total, matching, start}
        {do: "file", file}        → {mime, data}: a picture or a sound, data in base64
        {do: "code", step, path}  → {text}: a file that the run has written, to copy
        {do: "standing", step}    → {apply: {can, conflicts}, undo: {can, conflicts}}
        {do: "apply" | "undo", step}  → {done: [{path, did}]}

    Nothing is raised: what asks is a script in a browser.
    """
    try:
        return await _answered(run, message)
    except Exception as error:  # noqa: BLE001 - a bug of ours, told where it was met: nobody else waits for this
        return told(error)


def told(error: Exception) -> dict[str, Any]:
    """An error as an answer."""
    if not isinstance(error, WorkbenchError):
        return {"error": clean_text(f"{type(error).__name__}: {error}"), "hint": "", "conflicts": []}
    conflicts = [clean_text(str(one)) for one in error.data.get("conflicts") or ()]
    return {"error": clean_text(error.message), "hint": clean_text(error.hint), "conflicts": conflicts}


async def _answered(run: Run, message: Mapping[str, Any]) -> dict[str, Any]:
    match message.get("do"):
        case "rows":
            table = _file(run, message.get("table"))
            if not table.is_frame:
                raise Refused("That is no table.")
            return await asyncio.to_thread(rows.page, run, table, rows.Wanted.read(message))
        case "file":
            return await asyncio.to_thread(_bytes, run, _file(run, message.get("file")))
        case "code":
            text = diffs.content(_step(run, message), str(message.get("path")))
            if text is None:
                raise Refused("The run has no such file.")
            return {"text": text}
        case "standing":
            step = _step(run, message).id
            return {
                name: {"can": not found, "conflicts": [clean_text(one) for one in found]}
                for name, found in (
                    ("apply", await run.writer.conflicts(run.outcome, step)),
                    ("undo", await run.writer.conflicts(run.outcome, step, undo=True)),
                )
            }
        case "apply" | "undo" as what:
            step = _step(run, message).id
            edited = await (
                run.writer.apply(run.outcome, step) if what == "apply" else run.writer.undo(run.outcome, step)
            )
            return {"done": [{"path": clean_text(edit.path), "did": edit.did} for edit in edited.files]}
        case _:
            raise Refused("The panel asked for something unknown.", hint="Reload the page.")


@cache
def panel_class() -> type[Any]:
    """The widget's class; made at the first use, since anywidget takes a while to import."""
    from workbench.notebook.panels.parts import script, style
    from workbench.notebook.panels.widget import panel_class as base

    class ResultsPanel(base()):  # type: ignore[misc]  # anywidget ships no types
        """The results of one run. `view` is what `described` says."""

        _esm = script("asks", "results", "explore")
        _css = style("results")

    return ResultsPanel


class Explored:
    """What `run.explore()` shows: the run as it is saved, and where somebody can click what looks through it.
    JupyterLab's extension does that by itself; without it a widget stands there, which a saved notebook keeps beside
    the run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._panel: Any = None

    @property
    def panel(self) -> Any:
        """The widget, to be put into a `VBox`; made at the first look."""
        if self._panel is None:
            self._panel = panel_class()(
                about=repr(self._run),
                verbs={"result": Verb(do=partial(answer, self._run), takes={"message": {"type": "object"}})},
                on_bug=lambda error: None,  # `answer` tells it where it was met
                view=described(self._run),
            )
        return self._panel

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        from IPython.core.getipython import get_ipython

        from workbench.notebook import kernel
        from workbench.notebook.panels import frozen

        data, metadata = self._run._repr_mimebundle_()
        if kernel.front(get_ipython()) != "live":
            return data, metadata
        if frozen.is_open():
            return data, {**metadata, "workbench": {**metadata["workbench"], "explore": True}}
        shown, more = self.panel._repr_mimebundle_()
        return {**shown, **data}, {**more, **metadata}


def explore(run: Run) -> Explored:
    """The results of a run to look through: see `Run.explore`."""
    return Explored(run)


def _files(run: Run) -> dict[str, Artifact]:
    """The files of a run by the name that a front end knows them by: the step and the number of the file in it. What
    is asked for is looked up here, and is never a path."""
    return {
        f"{step.id}/{number}": artifact for step in run.outcome.steps for number, artifact in enumerate(step.artifacts)
    }


def _file(run: Run, name: Any) -> Artifact:
    found = _files(run).get(name) if isinstance(name, str) else None
    if found is None:
        raise Refused("The run has no such file.")
    return found


def _step(run: Run, message: Mapping[str, Any]) -> StepOutcome:
    for step in diffs.steps(run.outcome):
        if clean_text(step.id) == message.get("step"):
            return step
    raise Refused("The run has written no such code.")


def _bytes(run: Run, artifact: Artifact) -> dict[str, Any]:
    if not artifact.is_sound and artifact.mime != PNG:
        raise Refused("That is no picture and no sound.")
    data = run.load(artifact)
    if data is None:
        raise Unavailable("The file is gone.", hint="Run the request again.")
    if len(data) > (MAX_SOUND if artifact.is_sound else MAX_IMAGE):
        raise Refused(f"A file of {len(data):,} bytes is not shown here.", hint="The run's .artifacts name it.")
    data = data if artifact.is_sound else inline_png(data)
    return {"mime": artifact.mime, "data": base64.b64encode(data).decode("ascii")}


def _table(name: str, frame: Artifact) -> dict[str, Any]:
    columns = frame.columns[: rows.MAX_COLUMNS]
    preview = frame.preview[: rows.PAGE]
    return {
        "id": name,
        "title": clean_text(frame.title),
        "columns": [
            {
                "name": clean_text(column.name),
                "sort": column.name if rows.is_sortable(column.type) else None,
                "type": column.type,
            }
            for column in columns
        ],
        "all_columns": len(frame.columns),
        "rows": rows.shown(row[: rows.MAX_COLUMNS] for row in preview),
        "total": frame.rows or 0,
    }


def _source(source: Mapping[str, str]) -> dict[str, str]:
    url, title = source.get("url", ""), source.get("title", "")
    host = host_of(url)
    return {"title": clean_text(title or url), "url": url if host else "", "host": clean_text(host or url)}
