"""The command line: what may be typed, and what becomes of an error. `workbench.commands` does what is asked."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from workbench import commands, toolcommands
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

    ask = verbs.add_parser("ask", help="run one request")
    ask.add_argument("request", nargs="+", help="the request, in words")
    ask.add_argument("--data", action="append", default=[], metavar="NAME=FILE", help="offer a table; may be repeated")
    ask.add_argument("--plan", action="store_true", help="show the plan, run nothing")
    ask.add_argument("--ask", action="store_true", help="show the steps and ask before they run")
    _add_answers(ask)
    ask.add_argument("--model", help="model to plan and answer with")
    ask.add_argument("--memory", action="store_true", help="show the model what you asked to be remembered")
    ask.add_argument("--json", action="store_true", help="print the run as JSON")
    ask.set_defaults(act=commands.ask)

    tool = verbs.add_parser("tool", help="run one tool once")
    tool.add_argument("name", help="the tool's name")
    tool.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter; may be repeated")
    tool.add_argument("--data", action="append", default=[], metavar="NAME=FILE", help="a table, given as @NAME")
    _add_answers(tool)
    tool.add_argument("--json", action="store_true", help="print the run as JSON")
    tool.set_defaults(act=toolcommands.tool)

    for name, act, text in (
        ("tools", toolcommands.tools, "list the tools"),
        ("models", commands.models, "list what the model's endpoint serves, and test it"),
        ("runs", commands.runs, "list the newest runs"),
        ("show", commands.show, "show one run"),
        ("sql", commands.sql, "query the memory"),
        ("recall", commands.memory, "find what was remembered"),
        ("remember", commands.memory, "keep a text in the memory"),
        ("forget", commands.memory, "hide a memory"),
        ("memory", commands.memory, "list what is remembered, or look for what is wrong with it"),
        ("embed", commands.embed, "put in a model that lets recall compare meanings"),
        ("doctor", commands.doctor, "check this installation"),
        ("trust", commands.trust, "trust a tool file of a project"),
        ("audit", commands.audit, "check that the audit trail is whole"),
        ("secret", commands.secret, "keep a key in the system's keyring"),
        ("demo", commands.demo, "run the first notebook headless"),
        ("lab", commands.lab, "open the first notebook in JupyterLab"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.set_defaults(act=act)
        if name in (
            "tools",
            "models",
            "runs",
            "show",
            "sql",
            "doctor",
            "audit",
            "recall",
            "remember",
            "forget",
            "memory",
        ):
            verb.add_argument("--json", action="store_true", help="print JSON")
        if name == "doctor":
            verb.add_argument("--sandbox", action="store_true", help="check the isolation of tools only")
            verb.add_argument("--require", choices=("process", "kernel"), help="exit 3 when the level is lower")
        if name == "models":
            verb.add_argument("--model", help="the model to test")
        if name == "tools":
            verb.add_argument("--schema", metavar="NAME", help="what one tool takes, as JSON")
            verb.add_argument("--new", metavar="NAME", help="write a tool file to start from")
        if name == "runs":
            verb.add_argument("-n", type=int, default=20, help="how many (20)")
        if name == "show":
            verb.add_argument("run", help="the run's id, or the beginning of it")
        if name == "sql":
            verb.add_argument("query", help="one SELECT over runs, steps, events, model_calls, tool_calls, …")
        if name in ("recall", "remember", "forget"):
            verb.add_argument("text", nargs="+", help="the memory's id" if name == "forget" else "in words")
        if name == "remember":
            verb.add_argument("--pin", action="store_true", help="keep it a little ahead of others")
            verb.add_argument("--kind", help="fact, preference, procedure or episode (fact)")
            verb.add_argument("--replaces", metavar="ID", help="the memory that it corrects")
        if name == "memory":
            verb.add_argument("text", nargs="*", choices=("audit", []), metavar="audit", help="look for duplicates, …")
        if name == "embed":
            verb.add_argument(
                "what", choices=("install", "status"), help="put MiniLM in (84 MB), or say what is in force"
            )
        if name == "trust":
            verb.add_argument("path", type=Path, help="the tool file")
            verb.add_argument("--yes", action="store_true", help="trust it without asking")
        if name == "audit":
            text = "verify the trail (what it does when nothing is said), or print its head to note it"
            verb.add_argument("what", nargs="?", default="verify", choices=("verify", "head"), help=text)
            verb.add_argument("--head", default="", help="a head noted earlier, which must be in the trail")
        if name == "secret":
            verb.add_argument("what", choices=("set", "list", "forget"), help="keep, list or remove")
            verb.add_argument("name", nargs="?", default="", help="the secret's name, such as TAVILY_API_KEY")
        if name == "demo":
            verb.add_argument("--out", type=Path, default=Path("out"), help="folder for the HTML (out)")
    return parser


def _add_answers(verb: argparse.ArgumentParser) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
