"""A run as a notebook of plain cells: SQL, Python and charts that work where nobody has installed the workbench."""

from workbench.plain.notebook import write

__all__ = ["write"]
