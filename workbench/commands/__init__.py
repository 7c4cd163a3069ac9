"""What each verb of the command line takes and does, a module for each group.

A verb's function takes the options as argparse has read them; the number that some give is the exit code.
"""

from __future__ import annotations

from workbench.commands import (
    again,
    asking,
    checks,
    edits,
    keys,
    many,
    mcp,
    memory,
    models,
    personas,
    plugins,
    record,
    replays,
    shown,
    tools,
)
from workbench.commands.base import Verb

VERBS: tuple[Verb, ...] = (
    *asking.VERBS,
    *again.VERBS,
    *many.VERBS,
    *tools.VERBS,
    *personas.VERBS,
    *mcp.VERBS,
    *plugins.VERBS,
    *models.VERBS,
    *record.VERBS,
    *replays.VERBS,
    *edits.VERBS,
    *memory.VERBS,
    *checks.VERBS,
    *keys.VERBS,
    *shown.VERBS,
)
"""In the order of the help."""
