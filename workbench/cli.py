"""The command line: what may be typed, and what becomes of an error. `workbench.commands` does what is asked."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from workbench.commands import VERBS
from workbench.core.errors import Cancelled, WorkbenchError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 when it did what was asked, 1 when not, 2 for a wrong command line, 3 when
    `doctor --require` finds a lower level of isolation, 130 when stopped. Errors are one line and the next
    action, on stderr."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.verb is None:
        parser.print_help()
        return 2
    try:
        return int(options.act(options) or 0)
    except WorkbenchError as error:
        print("\n".join(error.lines()), file=sys.stderr)
        return 130 if isinstance(error, Cancelled) else 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `workbench runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        words = [word.strip("':,") for word in message.split() if word.startswith(("'", "-"))]
        near = [match for word in words[:1] for match in difflib.get_close_matches(word, self._words(), n=1)]
        hint = f" Did you mean {near[0]}?" if near else f" See {self.prog} --help."
        print(f"{self.prog}: {message.split(' (choose from')[0]}.{hint}", file=sys.stderr)
        raise SystemExit(2)

    def _words(self) -> list[str]:
        """Every option and verb of this parser and those below it: argparse reports a wrong option at the top."""
        words = list(self._option_string_actions)
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, parser in action.choices.items():
                    words += [name, *parser._option_string_actions]
        return words


def _parser() -> argparse.ArgumentParser:
    from workbench import __version__

    parser = _Parser(prog="workbench", description="Ask questions of your data; read the plan; keep the record.")
    parser.add_argument("--version", action="version", version=f"workbench {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=_Parser)

    for verb in VERBS:
        options = verbs.add_parser(verb.name, help=verb.help)
        options.set_defaults(act=verb.act)
        if verb.json:
            options.add_argument("--json", action="store_true", help="print JSON")
        verb.takes(options)
    return parser


if __name__ == "__main__":
    sys.exit(main())
