"""A model that says one plan, then one sentence; `name` is what stands behind the colon."""

from __future__ import annotations

from workbench.core.settings import Settings
from workbench.models.base import Model
from workbench.models.testing import TestModel


def make(name: str, settings: Settings) -> Model:
    plan = {"steps": [{"task": "query_data", "params": {"sql": "SELECT 42 AS n", "tables": {}}}]}
    return TestModel([plan, f"{name} says 42."])
