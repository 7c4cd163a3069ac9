"""What `%workbench recall`, `remember`, `pin`, `forget` and `memory` answer. The command line prints the same."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from workbench.bridge import wait
from workbench.core.errors import Refused
from workbench.notebook import kept
from workbench.notebook.table import Table

if TYPE_CHECKING:
    from workbench.memory.base import Hit
    from workbench.workbench import Workbench

_OPTION = re.compile(r"\s*--([\w-]+)(?:[= ]\s*(\S+))?\s*")
_OPTIONS = {"pin": "", "kind": "KIND", "replaces": "ID"}
_ID = 8
"""Characters of an id that are shown; they name a memory."""


def recall(workbench: Workbench, rest: str) -> Table:
    """The memories that answer a question, with how each was found and where it came from."""
    hits = wait(workbench.memories.recall(rest, 10))
    rows = [(round(hit.score, 2), hit.text, hit.why, hit.recall, origin(hit), hit.id[:_ID]) for hit in hits]
    notes = [] if hits else [f"Nothing is remembered about {rest}."]
    if not hits or any(hit.recall == "lexical" for hit in hits):
        notes.append(how(workbench))
    return Table(("score", "memory", "why", "recall", "from", "id"), rows, notes)


def remember(workbench: Workbench, rest: str) -> Table:
    """What became of a text that the user wants remembered."""
    text, options = _options(rest)
    became = wait(
        workbench.memories.remember(
            text, kind=options.get("kind", "fact"), pinned="pin" in options, replaces=options.get("replaces", "")
        )
    )
    what = "remembered" if became.became == "new" else "known already"
    closed = [(f"no longer holds since {became.id[:_ID]}", hit.text, hit.id[:_ID]) for hit in became.closed]
    return Table(("what", "memory", "id"), [(what, became.text, became.id[:_ID]), *closed])


def forget(workbench: Workbench, rest: str) -> Table:
    """The memory that is not found any more."""
    hit = wait(workbench.memories.forget(rest))
    return Table(("what", "memory", "id"), [("forgotten", hit.text, hit.id[:_ID])])


def pin(workbench: Workbench, rest: str) -> Table:
    """The memory that is a little ahead of others from now on."""
    return _pinned(workbench, rest, True)


def unpin(workbench: Workbench, rest: str) -> Table:
    """The memory that is no longer ahead."""
    return _pinned(workbench, rest, False)


def _pinned(workbench: Workbench, rest: str, pinned: bool) -> Table:
    hit = wait(workbench.memories.pin(rest, pinned))
    return Table(("what", "memory", "id"), [("pinned" if pinned else "no longer pinned", hit.text, hit.id[:_ID])])


def conversation(workbench: Workbench, rest: str = "") -> Table:
    """What a model is told of what was asked here before."""
    from IPython.core.getipython import get_ipython

    from workbench.notebook.kernel import notebook

    talk = wait(workbench.conversation.known(notebook(get_ipython()), remembers=True))
    rows = [(turn.request, turn.answer, "\n".join(turn.results), turn.run) for turn in talk.turns]
    summed = [("(older requests, summed up)", talk.summary, "", "")] if talk.summary else []
    note = "%agent --fresh REQUEST starts anew." if rows or summed else "Nothing was asked here yet."
    return Table(("request", "answer", "made", "run"), [*summed, *rows], [note])


def memory(workbench: Workbench, rest: str = "") -> Table:
    """All that is remembered, newest first; with `audit` what is wrong with it; and what `notebook.kept` does."""
    what, _, where = rest.partition(" ")
    if what in ("export", "import"):
        return (kept.export if what == "export" else kept.take_in)(workbench, where.strip())
    if rest == "compact":
        return kept.compact(workbench)
    if rest == "audit":
        return audit(workbench)
    if rest:
        raise Refused(
            f"memory {rest} is nothing.",
            hint="There are: %workbench memory audit, compact, export DIR, import DIR; or nothing.",
        )
    hits = wait(workbench.memories.all())
    rows = [(hit.kind, hit.text, origin(hit), hit.at[:10], state(hit), hit.id[:_ID]) for hit in hits]
    return Table(("kind", "memory", "from", "since", "state", "id"), rows, [how(workbench)])


def audit(workbench: Workbench) -> Table:
    """Duplicates, loops, secrets and what has grown old."""
    rows = []
    for found in wait(workbench.memories.audit()):
        other = f" as {found.other.id[:_ID]}" if found.other else ""
        rows.append((found.what, found.hit.text, f"{found.detail}{other}", found.hit.id[:_ID]))
    note = "workbench forget ID hides a memory." if rows else "Nothing was found."
    return Table(("what", "memory", "detail", "id"), rows, [note])


def how(workbench: Workbench) -> str:
    """How recall compares, in words."""
    return workbench.status()["memory"].partition("; ")[2]


def origin(hit: Hit) -> str:
    """Where a memory came from, in words."""
    return hit.source if hit.by in ("", hit.source) or hit.by == "user" else f"{hit.by}: {hit.source}"


def state(hit: Hit) -> str:
    """What holds of a memory beside its text, in words; mostly nothing."""
    if hit.closed_by:
        return f"closed by {hit.closed_by[:_ID]}"
    return "pinned" if hit.pinned else ""


def _options(rest: str) -> tuple[str, dict[str, str]]:
    """The text, and the options before it."""
    options: dict[str, str] = {}
    while (found := _OPTION.match(rest)) is not None:
        name, value = found[1], found[2] or ""
        if name not in _OPTIONS:
            near = difflib.get_close_matches(name, _OPTIONS, n=1)
            hint = f"Did you mean --{near[0]}?" if near else "There are: --pin, --kind KIND, --replaces ID."
            raise Refused(f"There is no option --{name}.", hint=hint)
        if name == "pin":
            options[name], rest = "yes", re.sub(r"^\s*--pin\s*", "", rest)
            continue
        if not value:
            raise Refused(f"--{name} needs a value.", hint=f"--{name} {_OPTIONS[name]} TEXT")
        options[name], rest = value, rest[found.end() :]
    return rest.strip(), options
