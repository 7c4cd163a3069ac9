"""What `resume` and `rerun` take, in a cell and on the command line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Refused

if TYPE_CHECKING:
    from workbench.notebook.line import Line as AgentLine
    from workbench.policy.approval import Approver

Line = Callable[[str], Awaitable[str]]
"""Asks the user for a line of text."""


def takes_resume(parser: argparse.ArgumentParser) -> None:
    """What `resume` takes."""
    parser.add_argument("run", help="the run's id, the beginning of it, or last")
    parser.add_argument("--done", action="append", default=[], metavar="STEP", help="this step in doubt has happened")
    parser.add_argument("--again", action="append", default=[], metavar="STEP", help="do this step in doubt again")
    parser.add_argument("--changed-tools", action="store_true", help="run steps with tools that were edited since")
    _takes_answers(parser)


def takes_rerun(parser: argparse.ArgumentParser) -> None:
    """What `rerun` takes."""
    parser.add_argument("run", help="the run's id, the beginning of it, or last")
    parser.add_argument(
        "--from", action="append", default=[], metavar="STEP", dest="first", help="run this step and what descends"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="PLACE=VALUE", help="for example s2.params.limit=5"
    )
    parser.add_argument("--drop", action="append", default=[], metavar="STEP", help="leave this step out")
    parser.add_argument("--ask", action="store_true", help="show the steps and ask before they run")
    _takes_answers(parser)


def _takes_answers(parser: argparse.ArgumentParser) -> None:
    said = parser.add_mutually_exclusive_group()
    said.add_argument("--yes", action="store_true", help="answer questions with yes, but for steps in doubt")
    said.add_argument("--deny", action="store_true", help="answer questions with no")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="how long a question waits; then it is no")
    parser.add_argument("--model", help="model to plan and answer with")
    told = "strict (when nothing is said): only what is on record; auto: that, and the rest anew; off: all anew"
    parser.add_argument("--replay", nargs="?", const="strict", choices=("strict", "auto", "off"), help=told)
    parser.add_argument("--budget", metavar="usd=0.5,calls=20", help="what the run may use, all attempts together")


def values(pairs: Sequence[str]) -> dict[str, Any]:
    """The values of `--set`: JSON where a text is JSON, else the text itself. Raises Refused."""
    found: dict[str, Any] = {}
    for pair in pairs:
        place, equals, text = pair.partition("=")
        if not equals or not place:
            raise Refused(f"--set {pair} is not PLACE=VALUE.", hint="For example --set s2.params.limit=5")
        try:
            found[place] = json.loads(text)
        except ValueError:
            found[place] = text
    return found


def approver(options: argparse.Namespace | AgentLine, line: Line | None) -> Approver:
    """Who answers, as the options say."""
    from workbench.policy.approval import chosen
    from workbench.render import plan_text

    show = partial(plan_text, full=True)
    return chosen(yes=options.yes, deny=options.deny, timeout=options.timeout, line=line, show=show)
