"""What `%workbench` answers: small tables that read as text and as HTML."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from workbench.bridge import wait
from workbench.core.errors import WorkbenchError
from workbench.notebook import background, config
from workbench.notebook.again import cancel, rerun, resume
from workbench.notebook.edited import apply, undo
from workbench.notebook.erased import erase
from workbench.notebook.history import compare, notebook, seen, why
from workbench.notebook.onetool import tool
from workbench.notebook.personas import personas
from workbench.notebook.plugins import plugins
from workbench.notebook.remembered import conversation, forget, memory, pin, recall, remember, unpin
from workbench.notebook.replays import cassette, export, import_
from workbench.notebook.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from workbench.run import Run
    from workbench.workbench import Workbench

__all__ = [
    "apply",
    "audit",
    "cancel",
    "cassette",
    "compare",
    "conversation",
    "doctor",
    "erase",
    "export",
    "forget",
    "import_",
    "memory",
    "notebook",
    "personas",
    "pin",
    "plugins",
    "recall",
    "remember",
    "rerun",
    "resume",
    "runs",
    "seen",
    "show",
    "sql",
    "status",
    "tool",
    "tools",
    "undo",
    "unpin",
    "why",
]


def status(workbench: Workbench) -> Table:
    """What is in force."""
    from IPython.core.getipython import get_ipython

    with suppress(WorkbenchError):  # then what it says is why
        wait(workbench.sandbox.prepare())
    left = wait(workbench.budgets.left())
    budget = [("budget", "; ".join(map(str, left)))] if left else []
    said = ", ".join(f"{name} = {value}" for name, value in config.of(get_ipython()).changed().items())
    set_here = [("%config", said)] if said else []
    return Table(("what", "in force"), [*workbench.status().items(), *budget, *set_here])


def tools(workbench: Workbench, rest: str = "") -> Table:
    """The tools that may be used, and why others may not."""
    from workbench.registry.grants import asks_for, may
    from workbench.registry.trust import Trust

    found = workbench.found()
    rows = [(name, spec.origin, spec.effect, may(spec), spec.summary) for name, spec in sorted(found.tools.items())]
    notes = [*found.problems, *found.shadowed]
    trust = Trust(workbench.settings.config, workbench.settings.project)
    for name, spec in sorted(found.untrusted.items()):
        notes.append(f"{name} is not trusted yet. {asks_for(spec, trust)} Read it, then: workbench trust {spec.path}")
    return Table(("tool", "from", "effect", "may", "what it does"), rows, notes)


def runs(workbench: Workbench, rest: str = "") -> Table:
    """The newest runs first."""
    from workbench.record import COLUMNS, listed

    return Table(COLUMNS, listed(wait(workbench.record.runs(int(rest) if rest.isdigit() else 20))))


def show(workbench: Workbench, rest: str) -> Run | None:
    """One run again; the panel of one that goes on in this kernel."""
    if background.show(rest):
        return None
    return wait(workbench.record.show(rest))


def sql(workbench: Workbench, rest: str) -> pd.DataFrame:
    """The rows of a query over the record."""
    return wait(workbench.record.sql(rest))


def doctor(workbench: Workbench, rest: str = "") -> Table:
    """What was found wrong or right with this installation."""
    from workbench.doctor import examine

    checks = wait(examine(workbench))
    return Table(("check", "ok", "detail"), [(c.name, "yes" if c.ok else "NO", c.detail) for c in checks])


def audit(workbench: Workbench, rest: str = "") -> Table:
    """Whether the audit trail is whole."""
    from workbench.telemetry.verify import verify

    verdict = verify(workbench.trail)
    return Table(("audit", "found"), [("whole", "yes" if verdict.ok else "NO")], [str(verdict)])
