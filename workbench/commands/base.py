"""What a verb of the command line is, and how all of them print."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

YES = ("y", "yes")


def _nothing(parser: argparse.ArgumentParser) -> None:
    return


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: its name, one line of help, what it does, what it takes, and whether it can print JSON (`--json`)."""

    name: str
    help: str
    act: Callable[[argparse.Namespace], int | None]
    takes: Callable[[argparse.ArgumentParser], None] = _nothing
    json: bool = False


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], as_json: bool = False) -> None:
    """Print rows under columns, as text or as JSON."""
    if as_json:
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2, default=str))
        return
    from workbench.render import table_text

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(table_text(columns, rows, width=width))
