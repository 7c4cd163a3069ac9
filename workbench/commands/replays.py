"""Runs on their way between machines: `export`, `import`, and what is on a `cassette`."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.commands.base import Verb, table


def export(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.workbench import current

    made = wait(current().parcels.export(options.run, options.file))
    table(("run", "file", "bytes"), [(made.run, str(made.path), made.bytes)], options.json)
    if not options.json:
        print("\n".join(made.notes), end="\n" if made.notes else "")


def import_(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.workbench import current

    made = wait(current().parcels.import_(options.file))
    table(("run", "from", "bytes"), [(made.run, made.origin, made.bytes)], options.json)
    if not options.json:
        print("\n".join(made.notes), end="\n" if made.notes else "")


def cassette(options: argparse.Namespace) -> None:
    from workbench.notebook import replays
    from workbench.workbench import current

    current().replays.on(options.file)
    shown = replays.status(current())
    table(shown.columns, shown.rows, options.json)


def _run_and_file(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("run", help="the run's id, or the beginning of it")
    verb.add_argument("file", type=Path, help="where to, such as run.wbz")


def _file(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("file", type=Path, help="the file")


VERBS = (
    Verb("export", "put a run into a file, for another machine", export, _run_and_file, json=True),
    Verb("import", "take a run from such a file into the record", import_, _file, json=True),
    Verb("cassette", "list what is on a cassette", cassette, _file, json=True),
)
