"""`workbench ask`: one request."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.base import Verb
from workbench.core.errors import Refused, WorkbenchError

if TYPE_CHECKING:
    import pandas as pd

    from workbench.bridge import Errands
    from workbench.run import Run


REPLAY = "strict (when nothing is said): only what is on record; auto: that, and the rest anew; off: all anew"


def ask(options: argparse.Namespace) -> int:
    from workbench.bridge import Errands
    from workbench.policy.approval import chosen
    from workbench.render import plan_text
    from workbench.workbench import current

    if options.cassette is not None:
        current().replays.on(options.cassette)
    frames = tables(options.data)
    errands = Errands()
    line = errands.input if sys.stdin.isatty() else None
    work = current().ask(
        " ".join(options.request),
        variables=frames,
        named=tuple(frames),
        plan_only=options.plan,
        model=options.model,
        budget=options.budget,
        memory=options.memory,
        reuse=options.reuse,
        replay=options.replay,
        persona=options.persona or "",
        approver=chosen(
            yes=options.yes, deny=options.deny, timeout=options.timeout, line=line, show=partial(plan_text, full=True)
        ),
        rounds=options.ask,
    )
    return printed(work, errands, in_json=options.json)


def tables(pairs: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The tables of `--data NAME=FILE`, by name. Raises Refused."""
    from workbench.offer import load_table

    frames = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not equals or not name.isidentifier():
            raise Refused(f"--data {pair} is not NAME=FILE.", hint="For example --data sales=data/samples/sales.csv")
        frames[name] = load_table(Path(path))
    return frames


def printed(work: Coroutine[Any, Any, Run], errands: Errands, *, in_json: bool) -> int:
    """Wait for a run and print it, also one that failed. Raises its error."""
    from workbench.bridge import wait

    failure: WorkbenchError | None = None
    try:
        run = wait(work, errands=errands)
    except WorkbenchError as error:
        if error.run is None:
            raise
        run, failure = error.run, error
    if in_json:
        print(json.dumps(as_json(run), indent=2, ensure_ascii=False, default=str))
    elif run.outcome.plan is not None:
        print(run._repr_mimebundle_()[0]["text/plain"])
        for image in run.images:
            print(f"Picture: {image.path}")
        for sound in run.audio:
            print(f"Sound: {sound.path}")
    if failure is not None:
        raise failure
    return 0


def as_json(run: Run) -> dict[str, Any]:
    outcome = run.outcome
    return {
        "id": run.id,
        "status": run.status,
        "request": outcome.request,
        "answer": run.answer,
        "planner": outcome.planner,
        "model": outcome.model,
        "notes": list(outcome.notes),
        "cost": asdict(run.cost),
        "isolation": outcome.isolation,
        "error": asdict(outcome.problem) if outcome.problem else None,
        "plan": run.plan.dump() if run.plan else None,
        "steps": [{"id": s.id, "task": s.task, "state": s.state, "error": s.error} for s in run.steps.values()],
        "artifacts": [asdict(artifact) for artifact in run.artifacts],
    }


def _takes(ask: argparse.ArgumentParser) -> None:
    ask.add_argument("request", nargs="+", help="the request, in words")
    ask.add_argument("--data", action="append", default=[], metavar="NAME=FILE", help="offer a table; may be repeated")
    ask.add_argument("--plan", action="store_true", help="show the plan, run nothing")
    ask.add_argument("--ask", action="store_true", help="show the steps and ask before they run")
    takes_answers(ask)
    ask.add_argument(
        "--reuse", action="store_true", help="take over results of an earlier run where a step is the same"
    )
    ask.add_argument("--model", help="model to plan and answer with")
    ask.add_argument(
        "--persona", metavar="NAME", help="in whose manner to work: analyst, engineer, designer, or one of your own"
    )
    ask.add_argument(
        "--budget", metavar="usd=0.5,calls=20", help="what the run may use, of usd, tokens, steps, calls and seconds"
    )
    ask.add_argument("--replay", nargs="?", const="strict", choices=("strict", "auto", "off"), help=REPLAY)
    ask.add_argument("--cassette", type=Path, metavar="FILE", help="record on this file and replay from it")
    ask.add_argument("--memory", action="store_true", help="show the model what you asked to be remembered")


def takes_answers(verb: argparse.ArgumentParser) -> None:
    """The options that answer what a run may ask."""
    said = verb.add_mutually_exclusive_group()
    said.add_argument(
        "--yes",
        action="store_true",
        help="answer every question with yes: the steps of --ask, and calls that the policy asks about",
    )
    said.add_argument("--deny", action="store_true", help="answer the same questions with no")
    verb.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="how long a question waits before it means no"
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1_000_000:
        raise ValueError
    return seconds


VERBS = (Verb("ask", "run one request", ask, _takes, json=True),)
