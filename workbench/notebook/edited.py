"""What `%workbench apply` and `undo` do: the code of a run, into the project and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.bridge import wait
from workbench.notebook.table import Table

if TYPE_CHECKING:
    from workbench.edits import Edited
    from workbench.workbench import Workbench


def apply(workbench: Workbench, rest: str) -> Table:
    """Write the code of a run, or of one of its steps: `RUN` or `RUN.STEP`."""
    name, _, step = rest.partition(".")
    return _table(wait(workbench.record.show(name)).apply(step))


def undo(workbench: Workbench, rest: str) -> Table:
    """Take it back."""
    name, _, step = rest.partition(".")
    return _table(wait(workbench.record.show(name)).undo(step))


def _table(edited: Edited) -> Table:
    return Table(("file", "now"), [(edit.path, edit.did) for edit in edited.files])
