"""`workbench.panel()`: a panel of a kind, to be shown by the cell that makes it."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

from workbench.core.errors import Refused

KINDS = ("request", "memory", "tools", "runs", "settings")


def panel(kind: str = "request") -> Any:
    """A panel: "request" to ask by, "memory", "tools", "runs" or "settings" to look around in. It is a widget that can
    be put into others. Raises Refused for another kind."""
    from workbench.workbench import current

    if kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, n=1)
        asked = f"did you mean {near[0]}?" if near else f"there are: {', '.join(KINDS)}."
        raise Refused(f"There is no panel {kind!r}; {asked}")
    return import_module(f"workbench.notebook.panels.{kind}").panel_class()(current())
