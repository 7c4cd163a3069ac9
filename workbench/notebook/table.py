"""Rows under columns, as `%workbench` answers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Table:
    """Rows under columns, shown as text or HTML. `notes` are lines below."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], notes: Sequence[str] = ()) -> None:
        self.columns, self.rows, self.notes = columns, rows, notes

    def __repr__(self) -> str:
        from workbench.render import clean_text, table_text

        return "\n".join([table_text(self.columns, self.rows), *map(clean_text, self.notes)])

    def _repr_html_(self) -> str:
        from workbench.render import escape, framed, table_html

        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return framed(table_html(self.columns, self.rows) + notes)
