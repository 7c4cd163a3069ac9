"""`workbench resume` and `workbench rerun`: a run that was left unfinished, and one that is repeated with changes."""

from __future__ import annotations

import argparse
import sys

from workbench.commands.asking import printed, tables
from workbench.commands.base import Verb
from workbench.notebook.options import approver, takes_rerun, takes_resume, values


def resume(options: argparse.Namespace) -> int:
    from workbench.bridge import Errands
    from workbench.workbench import current

    errands = Errands()
    work = current().resume(
        options.run,
        done=options.done,
        again=options.again,
        changed_tools=options.changed_tools,
        variables=tables(options.data),
        model=options.model,
        budget=options.budget,
        replay=options.replay,
        approver=approver(options, errands.input if sys.stdin.isatty() else None),
    )
    return printed(work, errands, in_json=options.json)


def rerun(options: argparse.Namespace) -> int:
    from workbench.bridge import Errands
    from workbench.workbench import current

    errands = Errands()
    work = current().rerun(
        options.run,
        first=options.first,
        values=values(options.set),
        drop=options.drop,
        model=options.model,
        budget=options.budget,
        replay=options.replay,
        approver=approver(options, errands.input if sys.stdin.isatty() else None),
        rounds=options.ask,
    )
    return printed(work, errands, in_json=options.json)


def _takes_resume(parser: argparse.ArgumentParser) -> None:
    takes_resume(parser)
    text = "a table that had not been taken yet when the run stopped; may be repeated"
    parser.add_argument("--data", action="append", default=[], metavar="NAME=FILE", help=text)


VERBS = (
    Verb("resume", "go on with a run that stopped, crashed or failed", resume, _takes_resume, json=True),
    Verb("rerun", "run the plan of a run again, with changes", rerun, takes_rerun, json=True),
)
