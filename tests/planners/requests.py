"""Tools, tables and a request that the planners' tests share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workbench.core.events import Draft, Event, Kind
from workbench.core.request import ColumnProfile, Request, Scope, Variable
from workbench.core.tools import ToolSpec


def tool(name: str, properties: dict[str, Any], *required: str, examples: tuple[str, ...] = ()) -> ToolSpec:
    params = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return ToolSpec(name=name, summary=f"Does {name}.", params=params, version="0", source=b"", examples=examples)


TOOLS: Mapping[str, ToolSpec] = {
    "web_search": tool("web_search", {"query": {"type": "string"}}, "query", examples=("look up the tallest tower",)),
    "query_data": tool(
        "query_data",
        {"sql": {"type": "string"}, "tables": {"type": "object", "additionalProperties": {"x-frame": True}}},
        "sql",
    ),
    "plot": tool("plot", {"data": {"x-frame": True}, "kind": {"enum": ["bar", "line"]}}, "data", "kind"),
}
SCOPE = Scope(user="u", workspace="w", session="s")
SALES = Variable(
    name="sales",
    rows=1_000_000,
    columns=(
        ColumnProfile(
            name="order_date", type="text", dates=True, distinct=730, minimum="2024-01-01", maximum="2025-12-31"
        ),
        ColumnProfile(
            name="region", type="text", distinct=2, values=("Nordland", "Sudland"), minimum="Nordland", maximum="S"
        ),
        ColumnProfile(name="revenue", type="number", missing=3, minimum=1.5, maximum=99.25),
    ),
    head=(("2024-01-01", "Nordland", 12.5),),
)
REQUEST = Request(text="total revenue by region, as bars", scope=SCOPE, today="2026-11-23", variables=(SALES,))
GOOD: dict[str, Any] = {
    "goal": "Revenue by region",
    "steps": [
        {
            "id": "total",
            "task": "query_data",
            "params": {"sql": "select 1", "tables": {"sales": {"$ref": "@sales"}}},
        },
        {"id": "chart", "task": "plot", "params": {"data": {"$ref": "total"}, "kind": "bar"}},
    ],
}
TEXT = json.dumps(GOOD)


class Told(list[tuple[Kind, Mapping[str, Any]]]):
    """A `tell` that keeps what it was told."""

    def __call__(self, kind: Kind, body: Mapping[str, Any]) -> Event:
        self.append((kind, body))
        return Event(run="r", seq=len(self), at="", kind=kind, body=body)

    @property
    def purposes(self) -> list[str]:
        return [body["purpose"] for _, body in self]


class Watching(Told):
    """A `tell` that also sees what is not final yet, so that replies are streamed."""

    watched = True

    def __init__(self) -> None:
        super().__init__()
        self.drafts: list[Draft] = []

    def draft(self, draft: Draft) -> None:
        self.drafts.append(draft)
