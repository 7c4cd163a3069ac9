"""What goes with a request that names things with `@`: tables, and what is quoted beside it for a model to read.

A table of an earlier run is offered under a plain name, which takes the place of what was typed: `@growth.s2` becomes
`@growth_s2`. What it is made of goes along: a page that the earlier run has read stays a page, and steers nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.notebook import cells, mentions, pictures
from workbench.notebook.line import BadLine, near
from workbench.notebook.mentions import Mention

if TYPE_CHECKING:
    from workbench.core.provenance import Sources
    from workbench.core.request import Quoted
    from workbench.run import Run
    from workbench.workbench import Workbench

MAX_CHARS = 8_000
"""Of what one name brings."""


@dataclass(slots=True)
class Attached:
    """What goes with a request. `text`: the request as planners get it; `tables` by name, those of `named` also with
    their first rows; `made_of`: what tables are made of, where that is known."""

    text: str
    tables: dict[str, Any] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    quoted: list[Quoted] = field(default_factory=list)
    made_of: dict[str, Sources] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """The same as options of `Workbench.ask`."""
        return {"variables": self.tables, "named": self.named, "quoted": self.quoted, "made_of": self.made_of}


def attach(text: str, scope: Mapping[str, Any], workbench: Callable[[], Workbench], shell: Any) -> Attached:
    """What the names in a request bring along. Without any name of a table all tables of the user are offered. Raises
    BadLine, Refused for a run or a picture that is not there."""
    attached = Attached(text)
    for mention in mentions.found(text, scope):
        match mention.kind:
            case "table":
                _offer(attached, mention.name, scope[mention.name])
            case "figure":
                attached.quoted.append(_figure(mention, scope[mention.name]))
            case "cell":
                attached.quoted.append(_cell(mention, shell))
            case "previous":
                _previous(attached, workbench(), shell)
            case "run":
                run = mentions.run_of(scope.get(mention.name))
                _of_run(attached, mention, run if run is not None else _recorded(mention, workbench()))
    if not attached.named:
        attached.tables = {**tables(scope), **attached.tables}
    return attached


def tables(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The DataFrames of the user's namespace by name, in the order they were made."""
    return {
        name: value
        for name, value in scope.items()
        if not name.startswith("_") and name.isidentifier() and mentions.kind_of(name, value) == "table"
    }


def _offer(attached: Attached, name: str, frame: Any, made_of: Sources | None = None) -> None:
    attached.tables[name] = frame
    attached.named.append(name)
    if made_of is not None:
        attached.made_of[name] = made_of


def _figure(mention: Mention, value: Any) -> Quoted:
    from workbench.core.request import Quoted

    data = pictures.png(value, mention.typed)
    words = _cut(pictures.in_words(value, data))
    what = f"a picture of {len(data) / 1000:,.0f} kB"
    return Quoted(name=mention.typed, what=what, text=words, sources=_given(mention.typed), png=data)


def _cell(mention: Mention, shell: Any) -> Quoted:
    from workbench.core.request import Quoted

    cell = cells.find(int(mention.name), shell)
    return Quoted(name=mention.typed, what=cell.said, text=_cut(cell.text), sources=_given(mention.typed))


def _previous(attached: Attached, workbench: Workbench, shell: Any) -> None:
    """The last table of what was asked here before."""
    from workbench.bridge import wait
    from workbench.notebook import kernel
    from workbench.sandbox.frames import read_frame

    is_live = kernel.front(shell, workbench.settings.headless) == "live"
    talk = wait(workbench.conversation.known(kernel.notebook(shell), remembers=is_live))
    turn = next((turn for turn in reversed(talk.turns) if turn.table is not None), None)
    if turn is None or turn.table is None:
        raise BadLine("There is no @previous: no table was made here yet")
    frame = read_frame(workbench.settings.artifacts / turn.table.path)
    _offer(attached, mentions.PREVIOUS, frame, turn.sources)


def _recorded(mention: Mention, workbench: Workbench) -> Run:
    """The run whose id begins as it was typed. Raises BadLine naming the step that it has not, Refused."""
    from workbench.bridge import wait

    run = wait(workbench.record.show(mention.name))
    if mention.step and mention.step not in run.steps:
        ids = list(run.steps)
        raise BadLine(f"{mention.typed}: the run has no step {mention.step}{near(mention.step, ids, '')}")
    return run


def _of_run(attached: Attached, mention: Mention, run: Run) -> None:
    """The last table of a run or of one of its steps, its pictures, and what it says."""
    from workbench.core.request import Quoted

    step = run.steps[mention.step] if mention.step else None
    frame = step.df if step is not None else run.df
    sources = _made_of(run, mention)
    name = ""
    if frame is not None:
        name = _plain(mention.typed, attached.tables)
        attached.text = re.sub(rf"{re.escape(mention.typed)}(?![\w.]*\w)", f"@{name}", attached.text)
        _offer(attached, name, frame, sources)
    drawn = (step.images if step is not None else run.images)[-1:]
    words = _step_says(step) if step is not None else _run_says(run)
    asked = " ".join(run.outcome.request.split())
    what = f"{f'step {mention.step} of ' if mention.step else ''}the run “{_short(asked)}”"
    png = drawn[0].png if drawn else b""
    text = _cut(words or f"(the table @{name})")
    one = Quoted(name=mention.typed, what=what, text=text, sources=sources, png=png, table=name)
    attached.quoted.append(one)


def _step_says(step: Any) -> str:
    """A result of a step, and what it printed; its tables and pictures by their names."""
    from workbench.core import artifacts
    from workbench.planners.parts import as_json

    value = step.outcome.value
    bare = artifacts.replace(value, lambda made: f"({made.title or 'a file'}: {made.alt})")
    is_file = value is None or isinstance(value, artifacts.Artifact)
    shown = "" if is_file else bare if isinstance(bare, str) else as_json(bare)
    alts = [made.alt for made in step.outcome.artifacts if made.is_image and made.alt]
    lines = [f"{step.task}: {step.title} ({step.state})", shown, step.text, step.error, *alts]
    return "\n".join(line for line in lines if line)


def _run_says(run: Run) -> str:
    lines = [f"asked: {run.outcome.request}", f"answered: {run.answer}" if run.answer else f"status: {run.status}"]
    return "\n".join([*lines, *(f"{step.id} {step.title}: {step.state}" for step in run.steps.values())])


def _made_of(run: Run, mention: Mention) -> Sources:
    """What it is made of, as for somebody else: steps of that run are none of this one's."""
    from workbench.core.provenance import Source

    outcome = run.outcome
    steps = [step for step in outcome.steps if mention.step in ("", step.id)]
    found = outcome.plan_sources.union(*(step.provenance for step in steps))
    return frozenset(Source(kind=source.kind, label=source.label) for source in found) | _given(mention.typed)


def _given(typed: str) -> Sources:
    """The source of what the user hands over: theirs to give, and none of their words."""
    from workbench.core.provenance import Source, SourceKind

    return frozenset({Source(kind=SourceKind.VALUE, label=typed)})


def _plain(typed: str, taken: Mapping[str, Any]) -> str:
    """A name for a table of what was typed: a plain word that is not taken."""
    name = re.sub(r"\W+", "_", typed.removeprefix("@")).strip("_") or "last"
    name = f"last_{name}" if typed.startswith("@_.") else f"run_{name}" if name[:1].isdigit() else name
    number = 2
    while name in taken:
        name, number = f"{re.sub(r'_[0-9]+$', '', name)}_{number}", number + 1
    return name


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _cut(text: str) -> str:
    from workbench.planners.parts import cut

    return cut(text, MAX_CHARS)
