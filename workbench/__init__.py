"""Agent workbench for Jupyter: ask in a cell, read the plan, keep the record.

The facade is lazy: importing `workbench` loads nothing but this file, so that a kernel which never asks pays nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.core.errors import (
        BudgetExceeded,
        Cancelled,
        Denied,
        PlanInvalid,
        Refused,
        ReplayMiss,
        ToolFailed,
        TransientError,
        Unavailable,
        Untrusted,
        WorkbenchError,
    )
    from workbench.notebook import load_ipython_extension, unload_ipython_extension
    from workbench.notebook.panels.kinds import panel
    from workbench.notebook.panels.results import explore
    from workbench.registry.cells import tool
    from workbench.run import Run
    from workbench.workbench import Workbench, ask, ask_many, current, use

__version__ = "0.1.0"

_HOMES = {
    "load_ipython_extension": "workbench.notebook",
    "unload_ipython_extension": "workbench.notebook",
    "Workbench": "workbench.workbench",
    "ask": "workbench.workbench",
    "ask_many": "workbench.workbench",
    "current": "workbench.workbench",
    "use": "workbench.workbench",
    "explore": "workbench.notebook.panels.results",
    "tool": "workbench.registry.cells",
    "panel": "workbench.notebook.panels.kinds",
    "Run": "workbench.run",
    "BudgetExceeded": "workbench.core.errors",
    "Cancelled": "workbench.core.errors",
    "Denied": "workbench.core.errors",
    "PlanInvalid": "workbench.core.errors",
    "Refused": "workbench.core.errors",
    "ReplayMiss": "workbench.core.errors",
    "ToolFailed": "workbench.core.errors",
    "TransientError": "workbench.core.errors",
    "Unavailable": "workbench.core.errors",
    "Untrusted": "workbench.core.errors",
    "WorkbenchError": "workbench.core.errors",
}

__all__ = [
    "BudgetExceeded",
    "Cancelled",
    "Denied",
    "PlanInvalid",
    "Refused",
    "ReplayMiss",
    "Run",
    "ToolFailed",
    "TransientError",
    "Unavailable",
    "Untrusted",
    "Workbench",
    "WorkbenchError",
    "__version__",
    "ask",
    "ask_many",
    "current",
    "explore",
    "load_ipython_extension",
    "panel",
    "tool",
    "unload_ipython_extension",
    "use",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
