"""The runs on record: `runs`, `show`, `compare`, `why`, `seen`, `notebook`, `sql`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from workbench.commands.asking import as_json
from workbench.commands.base import Verb, table
from workbench.core.errors import Refused


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


def compare(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.workbench import current

    record = current().record
    comparison = wait(record.show(options.run)).compare(wait(record.show(options.other)))
    if options.json:
        print(json.dumps([asdict(pair) for pair in comparison.pairs], indent=2, ensure_ascii=False))
    else:
        print(comparison)


def why(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.workbench import current

    print(wait(current().record.why(options.what)))


def seen(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.workbench import current

    print(wait(current().record.seen(options.what)))


def notebook(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.workbench import current

    inputs = {}
    for pair in options.input:
        name, equals, path = pair.partition("=")
        if not equals:
            raise Refused(f"--input {pair} is not NAME=FILE.", hint="For example --input sales=data/samples/sales.csv")
        inputs[name] = path
    print(wait(current().record.show(options.run)).to_notebook(options.file, inputs=inputs))


def sql(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.workbench import current

    frame = wait(current().record.sql(options.query))
    whole = frame.astype(object).where(frame.notna(), None)
    rows = [tuple(row) for row in whole.itertuples(index=False)]
    table(tuple(map(str, frame.columns)), rows, options.json)


def _count(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("-n", type=int, default=20, help="how many (20)")


def _run(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("run", help="the run's id, or the beginning of it")


def _two(verb: argparse.ArgumentParser) -> None:
    _run(verb)
    verb.add_argument("other", help="another run's id, or the beginning of it")


def _file(verb: argparse.ArgumentParser) -> None:
    _run(verb)
    verb.add_argument("file", nargs="?", help="where to write it (RUN.ipynb)")
    text = "a file of your own to read for a table or a database; may be repeated"
    verb.add_argument("--input", action="append", default=[], metavar="NAME=FILE", help=text)


def _what(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("what", metavar="RUN[.step]", help="a run's id or the beginning of it, and a step of it")


def _call(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("what", metavar="RUN[.CALL]", help="a run's id or the beginning of it, and a call's number")


def _query(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "query", help="one SELECT over runs, steps, events, model_calls, tool_calls, costs, failures, lineage, …"
    )


VERBS = (
    Verb("runs", "list the newest runs", runs, _count, json=True),
    Verb("show", "show one run", show, _run, json=True),
    Verb("compare", "two runs side by side: plan, parameters, answer, tables, cost", compare, _two, json=True),
    Verb("why", "tell from a result back to all that it is made of", why, _what),
    Verb("seen", "show what the model saw: the messages of each call", seen, _call),
    Verb("notebook", "write a run as a notebook of plain cells", notebook, _file),
    Verb("sql", "query the memory", sql, _query, json=True),
)
