"""`workbench ask-many`: a file of requests."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.commands.asking import as_json, tables
from workbench.commands.base import Verb, table
from workbench.core.errors import Cancelled, Refused, WorkbenchError

if TYPE_CHECKING:
    from workbench.run import Run

_GRACE = 10.0
"""Seconds that requests under way get to finish when the process is asked to end."""


def ask_many(options: argparse.Namespace) -> int:
    from workbench.bridge import wait
    from workbench.many import COLUMNS, TERMINATED, graceful
    from workbench.policy.approval import chosen
    from workbench.render import plan_text
    from workbench.workbench import current

    requests = read(options.file)
    frames = tables(options.data)

    def ended(number: int, result: Run | WorkbenchError) -> None:
        if options.json:
            said = {"number": number + 1, "request": requests[number]["request"], **_as_json(result)}
            print(json.dumps(said, ensure_ascii=False, default=str), flush=True)

    workbench = current()
    work = workbench.ask_many(
        requests,
        concurrency=options.concurrency,
        ended=ended,
        variables=frames,
        named=tuple(frames),
        model=options.model,
        budget=options.budget,
        memory=options.memory,
        approver=chosen(yes=options.yes, deny=options.deny, line=None, show=plan_text),
        rounds=False,
    )
    stopped: Cancelled | None = None
    with graceful(workbench.stop_many, _GRACE) as heard:
        try:
            runs = wait(work)
        except Cancelled as error:
            stopped, runs = error, error.data["runs"]
    if not options.json:
        table(COLUMNS, runs.rows())
    if stopped is not None:
        print("\n".join(stopped.lines()), file=sys.stderr)
    elif runs.failed:
        print(f"{len(runs.failed)} of {len(runs)} requests failed.", file=sys.stderr)
    if heard:
        return TERMINATED
    return 130 if stopped is not None else int(bool(runs.failed))


def read(path: Path) -> Sequence[dict[str, Any]]:
    """The requests in a file, one a line: words, or a JSON object with `request` and, when it is to be another than
    the others', `model`. Empty lines and those that begin with # are left out. `-` reads standard input.

    Raises Refused naming the line that is none.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read: {error}.") from None
    found = [
        _request(line.strip(), number)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not found:
        raise Refused(f"{path} holds no request.", hint="Write one a line.")
    return found


def _request(line: str, number: int) -> dict[str, Any]:
    if not line.startswith("{"):
        return {"request": line}
    try:
        said = json.loads(line)
    except ValueError as error:
        raise Refused(f"Line {number} is no JSON: {error}.", hint='For example {"request": "total revenue"}') from None
    wrong = sorted(set(said) - {"request", "model"})
    if wrong or not all(isinstance(value, str) for value in said.values()) or not said.get("request", "").strip():
        what = f"{', '.join(wrong)} cannot be set here" if wrong else "it needs a request in words"
        raise Refused(f"Line {number}: {what}.", hint='For example {"request": "total revenue", "model": "gpt-4o"}')
    return dict(said)


def _as_json(result: Run | WorkbenchError) -> dict[str, Any]:
    if not isinstance(result, WorkbenchError):
        return as_json(result)
    error = {"kind": type(result).__name__, "message": result.message, "hint": result.hint}
    return {**(as_json(result.run) if result.run is not None else {"status": "failed"}), "error": error}


def _takes(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("file", type=Path, help="the requests, one a line: words, or JSON; - reads standard input")
    verb.add_argument("--concurrency", type=_count, default=4, metavar="N", help="requests at once (4)")
    verb.add_argument("--data", action="append", default=[], metavar="NAME=FILE", help="offer a table; may be repeated")
    said = verb.add_mutually_exclusive_group()
    said.add_argument("--yes", action="store_true", help="answer every question of the policy with yes")
    said.add_argument("--deny", action="store_true", help="answer every question with no")
    verb.add_argument("--budget", metavar="usd=5,calls=200", help="what all of them may use together, as for `ask`")
    verb.add_argument("--model", help="model to plan and answer with")
    verb.add_argument("--memory", action="store_true", help="show the model what you asked to be remembered")


def _count(text: str) -> int:
    if not 0 < (count := int(text)) <= 1000:
        raise ValueError
    return count


VERBS = (Verb("ask-many", "run a file of requests, one a line", ask_many, _takes, json=True),)
