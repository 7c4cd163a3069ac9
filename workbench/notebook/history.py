"""What `%workbench` says of a run's past: why a result is what it is, what the model saw, how it differs from another,
and the run as a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.bridge import wait
from workbench.core.errors import Refused
from workbench.notebook.table import Table

if TYPE_CHECKING:
    from workbench.compare import Comparison
    from workbench.seen import Seen
    from workbench.why import Account
    from workbench.workbench import Workbench


def why(workbench: Workbench, rest: str) -> Account:
    """From a result back to all that it is made of: `RUN.step`, or `RUN` for every result of the run."""
    return wait(workbench.record.why(rest))


def seen(workbench: Workbench, rest: str) -> Seen:
    """What the model saw: `RUN` for all calls of the run, `RUN.2` for the second."""
    return wait(workbench.record.seen(rest))


def compare(workbench: Workbench, rest: str) -> Comparison:
    """Two runs side by side: `RUN RUN`."""
    words = rest.split()
    if len(words) != 2:
        raise Refused("Which two runs?", hint="For example %workbench compare RUN RUN; %workbench runs lists them.")
    one, other = (wait(workbench.record.show(word)) for word in words)
    return one.compare(other)


def notebook(workbench: Workbench, rest: str) -> Table:
    """A run as a notebook of plain cells: `RUN`, or `RUN FILE` to name it."""
    run, _, file = rest.strip().partition(" ")
    path = wait(workbench.record.show(run)).to_notebook(file.strip() or None)
    return Table(("notebook",), [(str(path),)], [ABOUT])


ABOUT = "It works without the workbench. Read its cells before you run them: they run with your own rights."
