"""The one output gate: what a run shows, as text and as HTML that reads without scripts, style or widgets.

Everything that a user, a tool or a model wrote is cleaned and escaped here, for cells, pages and exports alike. Nothing
that changes from run to run (ids, times, paths, isolation) is in the text or the HTML: it is metadata, so that two runs
of the same notebook compare equal.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from workbench.core import views
from workbench.core.artifacts import FLAC, MP3, OGG, SOUNDS, WAV, Artifact
from workbench.core.outcome import SUMMARY, Outcome, StepOutcome
from workbench.core.plan import Plan, Step
from workbench.core.png import bare, shown_width
from workbench.core.progress import State
from workbench.render.changes import changes_html, changes_text
from workbench.render.clean import clean_text, escape, host_of, safe_html, safe_markdown
from workbench.render.tables import TEXT, table_html, table_text
from workbench.render.titles import what_it_does

Load = Callable[[Artifact], bytes | None]
"""The bytes of a run's file, None when it is gone."""

MAX_ROWS = 20
MAX_IMAGE = 8_000_000
MAX_SOUND = 2_000_000
"""Bytes of a sound that stands in the page; a longer one is in the run's `.audio`."""
MARKS = {
    State.WAITING: "·",
    State.RUNNING: "▸",
    State.DONE: "✓",
    State.FAILED: "✗",
    State.SKIPPED: "○",
    State.BLOCKED: "–",
    State.UNCERTAIN: "?",
    State.CANCELLED: "■",
}
# A notebook that nobody has trusted yet is shown without our sheet of styles; these few words stay.
STATE = ' style="text-align:left;white-space:nowrap"'
CODE = ' style="white-space:pre-wrap;word-break:normal"'
_PNG = b"\x89PNG\r\n\x1a\n"
_SOUNDS = {WAV: b"RIFF", MP3: b"ID3", OGG: b"OggS", FLAC: b"fLaC"}

STYLE = (
    "<style>.workbench.workbench{font-size:var(--jp-ui-font-size1,13px);color:var(--jp-ui-font-color1,CanvasText)}"
    ".workbench.workbench table{border-collapse:collapse;margin:.4em 0}"
    ".workbench.workbench th,.workbench.workbench td{text-align:left;padding:.15em .7em;vertical-align:top;"
    "border-bottom:1px solid var(--jp-border-color2,GrayText)}"
    ".workbench.workbench td.number,.workbench.workbench th.number{text-align:right;font-variant-numeric:tabular-nums}"
    ".workbench.workbench td p{margin:.2em 0}"
    ".workbench.workbench pre{white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere;margin:.2em 0}"
    ".workbench.workbench img{max-width:100%;background:#fff}"
    ".workbench.workbench .small{color:var(--jp-ui-font-color2,inherit);font-size:.92em}</style>"
)


def bundle(outcome: Outcome, load: Load) -> tuple[dict[str, str], dict[str, Any]]:
    """What a cell shows for a run: `text/plain` and `text/html`, and the metadata that goes beside them."""
    data = {"text/plain": as_text(outcome), "text/html": as_html(outcome, load)}
    metadata = {
        "workbench": {
            "run": outcome.run,
            "status": outcome.status,
            "started_at": outcome.started_at,
            "seconds": round(outcome.seconds, 3),
            "isolation": outcome.isolation,
            "steps": {
                step.id: {"seconds": round(step.seconds, 3), "tries": step.tries, "retries": step.retries}
                for step in outcome.steps
            },
        }
    }
    return data, metadata


NO_STEPS = "Plan: nothing to run; what was put beside the request answers it."


def as_text(outcome: Outcome) -> str:
    """A run as plain text: plan, how it was read, answer, tables, sources, model and cost."""
    parts: list[str] = []
    titles = {step.title for step in outcome.steps}  # the plan has said them already
    if outcome.plan is not None:
        parts.append(plan_text(outcome.plan, outcome.steps) if outcome.plan.steps else NO_STEPS)
    notes = [clean_text(note) for note in _notes(outcome)]
    if notes:
        parts.append("\n".join(notes))
    if outcome.answer:
        parts.append(clean_text(outcome.answer, keep_lines=True))
    parts += [clean_text(view["text"], keep_lines=True) for view in shown_views(outcome)]
    parts += [_frame_text(frame, titles) for frame in shown_frames(outcome)]
    parts += changes_text(outcome)
    parts += [f"[picture] {clean_text(image.alt or image.title)}" for image in outcome.images]
    parts += [f"[sound, {length(sound.seconds)}] {clean_text(sound.alt or sound.title)}" for sound in outcome.sounds]
    if outcome.sources:
        lines = [f"[{n}] {clean_text(s.get('title', ''))} {clean_text(s.get('url', ''))}" for n, s in _sources(outcome)]
        parts.append("Sources\n" + "\n".join(lines))
    if outcome.status == "planned":
        parts.append("Nothing was run: this is the plan.")
    if outcome.problem is not None and (outcome.plan is None or outcome.status == "budget"):
        parts.append(clean_text(f"{outcome.problem.kind}: {outcome.problem.message} {outcome.problem.hint}"))
    parts.append(footer(outcome))
    return "\n\n".join(part for part in parts if part)


def as_html(outcome: Outcome, load: Load) -> str:
    """A run as HTML that carries its pictures and loads nothing."""
    parts: list[str] = []
    titles = {step.title for step in outcome.steps}  # the plan has said them already
    if outcome.plan is not None:
        parts.append(plan_html(outcome.steps, outcome.plan) if outcome.plan.steps else f"<p>{NO_STEPS}</p>")
    if notes := _notes(outcome):
        parts.append("".join(f'<p class="small">{escape(note)}</p>' for note in notes))
    if outcome.answer:
        parts.append(answer_html(outcome))
    parts += [view_html(view) for view in shown_views(outcome)]
    parts += [_frame_html(frame, titles) for frame in shown_frames(outcome)]
    parts += changes_html(outcome)
    parts += [picture_html(image, load) for image in outcome.images]
    parts += [sound_html(sound, load) for sound in outcome.sounds]
    if outcome.sources:
        items = "".join(f"<li>{_link(s.get('title', ''), s.get('url', ''))}</li>" for _, s in _sources(outcome))
        parts.append(f"<p>Sources</p><ol>{items}</ol>")
    if outcome.status == "planned":
        parts.append("<p>Nothing was run: this is the plan.</p>")
    if outcome.problem is not None and (outcome.plan is None or outcome.status == "budget"):
        said = f"{outcome.problem.kind}: {outcome.problem.message} {outcome.problem.hint}"
        parts.append(f"<p>{escape(said)}</p>")
    parts.append(f'<p class="small">{escape(footer(outcome))}</p>')
    return STYLE + framed("".join(parts))


def answer_html(outcome: Outcome) -> str:
    """The answer. One that was put together from the results has their lines: tools tell in plain text."""
    hosts = {host_of(source.get("url", "")) for source in outcome.sources} - {""}
    return safe_markdown(outcome.answer, hosts, keep_lines=outcome.answered_by == SUMMARY)


def framed(source: str) -> str:
    """Our HTML in a frame in which no front end typesets formulas: in them are commands that link and load."""
    return f'<div class="workbench tex2jax_ignore mathjax_ignore">{source}</div>'


def plan_text(plan: Plan, steps: Sequence[StepOutcome] = (), *, full: bool = False) -> str:
    """A plan as aligned lines: state, id, tool, title; SQL or code and what went wrong below. `full`: also every other
    parameter, as a person sees it who is to approve the steps."""
    known = {step.id: step for step in steps}
    width = max(len(step.id) for step in plan.steps)
    tool = max(len(clean_text(step.task)) for step in plan.steps)
    lines = ["Plan"]
    for step in plan.steps:
        outcome = known.get(step.id, StepOutcome(id=step.id, task=step.task, title="", params={}))
        title = what_it_does(step.task, step.title, step.params)
        head = (
            f"  {MARKS[outcome.state]} {outcome.state:<9} {step.id:<{width}}  {clean_text(step.task):<{tool}}  {title}"
        )
        lines.append(head.rstrip())
        lines += [f"      {line}" for line in [*conditions(step), *_count(outcome)]]
        lines += [f"      {line}".rstrip() for line in _code(step.params).splitlines()]
        lines += [f"      {line}" for line in _parameters(step.params)] if full else []
        lines += [f"      {line}" for line in _trouble(outcome)]
    return "\n".join(lines)


def plan_html(steps: Sequence[StepOutcome], plan: Plan | None = None) -> str:
    """A plan as a table that reads right without any style."""
    rows = []
    planned = {step.id: step for step in plan.steps} if plan is not None else {}
    for step in steps:
        detail = escape(what_it_does(step.task, step.title, step.params))
        if said := [*(conditions(planned[step.id]) if step.id in planned else ()), *_count(step)]:
            detail += f"<p>{'<br>'.join(map(escape, said))}</p>"
        if (code := _code(step.params)) != "":
            detail += f"<pre{CODE}><code>{escape(code, keep_lines=True)}</code></pre>"
        if trouble := _trouble(step):
            detail += f"<p>{'<br>'.join(map(escape, trouble))}</p>"
        state = f"{MARKS[step.state]}&nbsp;{step.state}"
        cells = "".join(f"<td{TEXT}>{cell}</td>" for cell in (escape(step.id), escape(step.task), detail))
        rows.append(f"<tr><td{STATE}>{state}</td>{cells}</tr>")
    head = "".join(f"<th{TEXT}>{name}</th>" for name in ("State", "Step", "Tool", "What it does"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def shown_frames(outcome: Outcome) -> list[Artifact]:
    """The tables that are results: those that no later step took as its input, except to draw them."""
    return list(dict.fromkeys(a for step in _last(outcome) for a in step.artifacts if a.is_frame))


def shown_views(outcome: Outcome) -> list[Mapping[str, Any]]:
    """The objects that are results, in the same way."""
    return [view for step in _last(outcome) if step.state is State.DONE for view in views.find(step.value)]


def view_html(view: Mapping[str, Any]) -> str:
    """An object as it wants to be seen, cleaned; its text where nothing of that is left. Its picture stands with those
    of the run."""
    told = safe_html(view["html"]) if "html" in view else safe_markdown(view["markdown"]) if "markdown" in view else ""
    if not re.sub(r"<[^>]*>|&#10;|\s", "", told):
        told = "" if "picture" in view else f"<pre{CODE}>{escape(view['text'], keep_lines=True)}</pre>"
    return f"<div>{told}</div>" if told else ""


def _last(outcome: Outcome) -> list[StepOutcome]:
    """The steps that no later one took as its input, except to draw it."""
    needs = outcome.plan.needs() if outcome.plan is not None else {}
    drawn = {step.id for step in outcome.steps if any(artifact.is_image for artifact in step.artifacts)}
    used = {need for step, before in needs.items() if step not in drawn for need in before}
    if outcome.plan is not None and outcome.plan.sequential:
        used = set()
    return [step for step in outcome.steps if step.id not in used]


def _frame_text(frame: Artifact, told: set[str]) -> str:
    rows = frame.preview[:MAX_ROWS]
    text = table_text([column.name for column in frame.columns], rows)
    more = _more(frame, len(rows))
    title = f"{clean_text(frame.title)}\n" if frame.title and frame.title not in told else ""
    return f"{title}{text}" + (f"\n{more}" if more else "")


def _frame_html(frame: Artifact, told: set[str]) -> str:
    rows = frame.preview[:MAX_ROWS]
    table = table_html([column.name for column in frame.columns], rows)
    title = f"<p>{escape(frame.title)}</p>" if frame.title and frame.title not in told else ""
    more = _more(frame, len(rows))
    return f"{title}{table}" + (f'<p class="small">{more}</p>' if more else "")


def _more(frame: Artifact, shown: int) -> str:
    total = frame.rows or 0
    return f"{shown:,} of {total:,} rows; the run's .df has all" if total > shown else ""


def picture_html(image: Artifact, load: Load) -> str:
    """A picture of a run, in the HTML itself; in words where it is gone, no picture, or too large."""
    data, wide = load(image), None
    said = escape(image.alt or image.title or "picture")
    if data is None or not data.startswith(_PNG) or len(data) > MAX_IMAGE:
        return f"<p>[picture: {said}]</p>"
    with suppress(ValueError):
        wide = shown_width(data)
    size = f' width="{wide}"' if wide else ""
    source = f"data:image/png;base64,{base64.b64encode(inline_png(data)).decode('ascii')}"
    return f'<p><img alt="{said}"{size} src="{source}"></p>'


def sound_html(sound: Artifact, load: Load) -> str:
    """A player for a sound that is small enough to stand in the page; it plays when somebody says so."""
    data = load(sound) if sound.mime in SOUNDS else None
    said = escape(sound.alt or sound.title or "sound")
    if data is None or len(data) > MAX_SOUND or not _is_sound(data, sound.mime):
        return f"<p>[sound, {length(sound.seconds)}: {said}]</p>"
    source = f"data:{sound.mime};base64,{base64.b64encode(data).decode('ascii')}"
    player = f'<audio controls preload="metadata" title="{said}" src="{source}"></audio>'
    return f"<p>{player}<br>{said} ({length(sound.seconds)})</p>"


def _is_sound(data: bytes, mime: str) -> bool:
    return data.startswith(_SOUNDS[mime]) or (mime == MP3 and data[:1] == b"\xff")


def length(seconds: float | None) -> str:
    """Minutes and seconds: "0:12"."""
    whole = int(seconds or 0)  # as players count
    return f"{whole // 60}:{whole % 60:02}"


def inline_png(data: bytes) -> bytes:
    """A picture without the words inside of its file, which name the run: those would differ each time."""
    try:
        return bare(data)
    except ValueError:
        return data


def _link(title: str, url: str) -> str:
    said = escape(title or url)
    if not host_of(url):
        return f"{said} ({escape(url)})" if url and url != title else said
    return f'<a href="{escape(url)}" rel="noopener noreferrer nofollow">{said}</a>'


def _sources(outcome: Outcome) -> list[tuple[int, Any]]:
    return list(enumerate(outcome.sources[:50], 1))


def _code(params: Any) -> str:
    """What a step runs, where that is SQL or Python: it is the plan, as much as its title."""
    found = (params.get("sql"), params.get("code")) if hasattr(params, "get") else ()
    return "\n".join(clean_text(code, keep_lines=True) for code in found if isinstance(code, str))


def _parameters(params: Mapping[str, Any]) -> list[str]:
    """Each parameter but those that `_code` shows, as a line."""
    code = {name for name in ("sql", "code") if isinstance(params.get(name), str)}
    return [
        clean_text(f"{name} = {json.dumps(value, ensure_ascii=False, default=str)}")
        for name, value in params.items()
        if name not in code
    ]


def conditions(step: Step) -> list[str]:
    """What a step does beside its call, in a line; none for most."""
    parts = []
    if step.when is not None:
        parts.append(f"only if {step.when.get('$ref')}" if isinstance(step.when, Mapping) else "only if …")
    if isinstance(step.foreach, Mapping):
        parts.append(f"for each of {step.foreach.get('$ref')}")
    elif step.foreach is not None:
        parts.append(f"for each of {len(step.foreach)} items")
    if step.on_error != "fail":
        value = f" {json.dumps(step.default, ensure_ascii=False, default=str)}" if step.on_error == "default" else ""
        parts.append(f"if it fails: {_ON_ERROR[step.on_error]}{value}")
    if step.approve:
        parts.append("asks first")
    return [clean_text(", ".join(parts))] if parts else []


_STOPPED = ("the run was stopped", "not approved")
"""Why a step is cancelled where the run itself says so."""
_ON_ERROR = {"skip": "go on without it", "default": "take", "replan": "plan again"}


def _count(step: StepOutcome) -> list[str]:
    """How far a foreach has come."""
    if step.items is None or (step.problem is not None and step.problem.kind != "BudgetExceeded"):
        return []
    done, count = step.items
    return [f"{done} of {count} items" if done < count else f"{count} item{'s' if count != 1 else ''}"]


def _trouble(step: StepOutcome) -> list[str]:
    """Why a step gave nothing, and on a line of its own what to do."""
    if step.state is State.DONE and step.problem is not None:
        return [clean_text(f"failed, so its default is taken: {step.problem.message}")]
    if step.state in (State.SKIPPED, State.UNCERTAIN) and step.reason:
        return [clean_text(f"{step.state}: {step.reason}")]
    if step.state is State.CANCELLED and step.reason not in _STOPPED:
        return [clean_text(f"not run: {step.reason}")] if step.reason else []
    if step.problem is not None:
        hint = [clean_text(f"→ {step.problem.hint}")] if step.problem.hint else []
        return [clean_text(step.problem.message), *hint]
    return [f"not run: needs {', '.join(map(clean_text, step.blocked_by))}"] if step.blocked_by else []


def _notes(outcome: Outcome) -> Sequence[str]:
    return (f"Imported from {outcome.imported}.", *outcome.notes) if outcome.imported else outcome.notes


def footer(outcome: Outcome) -> str:
    """Who planned and answered, and what it cost."""
    if not outcome.planner:
        return f"Cost: {outcome.cost}." if outcome.cost.calls else ""
    who = f"Planned by {clean_text(outcome.model or outcome.planner)}"
    if outcome.answered_by == SUMMARY:
        who += ", answer put together from the results"
    elif outcome.answered_by and outcome.answered_by != (outcome.model or outcome.planner):
        who += f", answered by {clean_text(outcome.answered_by)}"
    return f"{who}. Cost: {outcome.cost}."
