"""Code that a run has written: `apply`, `undo`."""

from __future__ import annotations

import argparse

from workbench.commands.base import Verb, table


def edit(options: argparse.Namespace) -> None:
    from workbench.notebook import verbs
    from workbench.workbench import current

    edited = getattr(verbs, options.verb)(current(), options.run)
    table(edited.columns, edited.rows, options.json)


def _run(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("run", help="the run's id, or the beginning of it; .STEP behind it for one step")


VERBS = (
    Verb("apply", "write the code of a run into the project", edit, _run, json=True),
    Verb("undo", "take back the code of a run", edit, _run, json=True),
)
