"""The runs on record: `runs`, `show`, `sql`."""

from __future__ import annotations

import argparse
import json

from workbench.commands.asking import as_json
from workbench.commands.base import Verb, table


def runs(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.record import COLUMNS, listed
    from workbench.workbench import current

    rows = wait(current().record.runs(options.n))
    if options.json:
        print(json.dumps([dict(row) for row in rows], indent=2, default=str))
    else:
        table(COLUMNS, listed(rows))


def show(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.workbench import current

    run = wait(current().record.show(options.run))
    if options.json:
        print(json.dumps(as_json(run), indent=2, ensure_ascii=False, default=str))
    else:
        print(run._repr_mimebundle_()[0]["text/plain"])


def sql(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.workbench import current

    frame = wait(current().record.sql(options.query))
    rows = [tuple(row) for row in frame.itertuples(index=False)]
    table(tuple(map(str, frame.columns)), rows, options.json)


def _count(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("-n", type=int, default=20, help="how many (20)")


def _run(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("run", help="the run's id, or the beginning of it")


def _query(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("query", help="one SELECT over runs, steps, events, model_calls, tool_calls, …")


VERBS = (
    Verb("runs", "list the newest runs", runs, _count, json=True),
    Verb("show", "show one run", show, _run, json=True),
    Verb("sql", "query the memory", sql, _query, json=True),
)
