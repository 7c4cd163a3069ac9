"""Tables for a tool that is called from outside: where it takes a table, the caller names a file of the project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Refused

if TYPE_CHECKING:
    import pandas as pd

FILE = {"type": "string", "description": "a CSV, TSV, Parquet or JSON file, relative to the project"}
"""What stands in a schema where the tool takes a table."""


def schema_of(schema: Any) -> Any:
    """A tool's schema as others read it: files instead of tables."""
    if isinstance(schema, Mapping):
        if schema.get("x-frame"):
            return dict(FILE)
        return {key: schema_of(inner) for key, inner in schema.items()}
    return [schema_of(inner) for inner in schema] if isinstance(schema, list) else schema


class Files:
    """The tables of one call. `project`: no file outside of it, and no hidden one, is read."""

    def __init__(self, project: Path) -> None:
        self._project = project.resolve()
        self.frames: dict[str, pd.DataFrame] = {}

    def given(self, value: Any, schema: Mapping[str, Any]) -> Any:
        """Parameters with each named file as a reference to its table. Raises Refused."""
        if _takes_table(schema) and isinstance(value, str):
            return {"$ref": f"@{self.load(value)}"}
        if isinstance(value, Mapping):
            known: Mapping[str, Any] = schema.get("properties", {})
            others = schema.get("additionalProperties")
            rest = others if isinstance(others, Mapping) else {}
            return {key: self.given(inner, known.get(key, rest)) for key, inner in value.items()}
        if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
            return [self.given(inner, schema["items"]) for inner in value]
        return value

    def load(self, name: str, known_as: str = "") -> str:
        """Read a file of the project; gives the name of its table. Raises Refused."""
        from workbench.offer import load_table

        if not self._is_inside(name):
            raise Refused(f"{name} is no file of this project.", hint="Name a visible file, relative to the project.")
        table = known_as or f"table{len(self.frames) + 1}"
        if not table.isidentifier():
            raise Refused(f"{table!r} is no name for a table.", hint="Use letters, digits and underscores.")
        self.frames[table] = load_table(self._project / name)
        return table

    def _is_inside(self, name: str) -> bool:
        try:
            path = (self._project / name).resolve()
        except (OSError, ValueError, RuntimeError):  # NUL, half characters, links that go in circles
            return False
        if path == self._project or not path.is_relative_to(self._project):
            return False
        return not any(part.startswith(".") for part in path.relative_to(self._project).parts)


def _takes_table(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("x-frame")) or any(one.get("x-frame") for one in schema.get("anyOf", ()))
