"""`%workbench personas`: in whose manner requests can be served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.notebook.table import Table

if TYPE_CHECKING:
    from workbench.registry.personas import FoundPersonas
    from workbench.workbench import Workbench

COLUMNS = ("persona", "from", "tools", "model", "memory", "budget", "what for")


def personas(workbench: Workbench, rest: str = "") -> Table:
    """The personas that may be used, and why others may not."""
    found = workbench.personas()
    return Table(COLUMNS, listed(found), found.problems)


def listed(found: FoundPersonas) -> list[tuple[str, ...]]:
    """The personas as rows under `COLUMNS`; those that wait for trust last, with what to do."""
    rows: list[tuple[str, ...]] = [
        (
            name,
            " and ".join(one.instructions),
            one.uses,
            one.model or "–",
            one.memory,
            str(one.budget or "–"),
            one.summary,
        )
        for name, one in found.personas.items()
    ]
    waiting: list[tuple[str, ...]] = [
        (name, "not trusted", "–", "–", "–", "–", f"Read it, then: workbench trust {path}")
        for name, path in found.untrusted.items()
    ]
    return [row for row in rows if row[0] not in found.untrusted] + waiting
