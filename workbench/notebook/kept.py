"""What `%workbench memory compact`, `export` and `import` answer. The command line prints the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.bridge import wait
from workbench.core.errors import Refused
from workbench.notebook.table import Table

if TYPE_CHECKING:
    from workbench.workbench import Workbench


def compact(workbench: Workbench) -> Table:
    """The snapshot that was made, and the journals that went because it holds all that they held."""
    from workbench.memory.duckdb import DuckDBMemory

    if not isinstance(workbench.memory, DuckDBMemory):
        raise Refused("This memory keeps no journals.", hint="There is nothing to tidy up.")
    done = wait(workbench.memory.compact())
    rows = [
        ("snapshot", f"snapshots/{done.snapshot.path.name}, verified"),
        ("journals deleted", f"{len(done.deleted):,}, {done.bytes / 1e6:,.1f} MB"),
    ]
    return Table(("what", "done"), rows, ["Journals of processes that live stay."])


def export(workbench: Workbench, where: str) -> Table:
    """The files that were written, with their rows."""
    from workbench import __version__
    from workbench.memory import interchange

    folder = _folder(where)
    done = wait(interchange.export(workbench.memory, workbench.settings.user, folder, __version__))
    return Table(("file", "rows"), sorted(done.rows.items()), [f"In {done.folder}, with manifest.json."])


def take_in(workbench: Workbench, where: str) -> Table:
    """What became of the events of an export."""
    from workbench.memory import interchange

    done = wait(interchange.take_in(workbench.memory, _folder(where), workbench.secrets.redacted))
    rows = [("new", done.new), ("known already", done.known), ("erased here, and left out", done.erased)]
    notes = []
    if done.user != workbench.settings.user:
        notes.append(f"They are {done.user}'s: only WORKBENCH_USER={done.user} finds them here.")
    return Table(("events", "how many"), rows, notes)


def _folder(where: str) -> Path:
    if not where:
        raise Refused("Which folder?", hint="For example: memory export exports/2026-11")
    return Path(where).expanduser().absolute()
