"""Plug-ins: `plugins` lists what installed packages offer, `plugins available` the marketplace, `plugins install`."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from workbench.commands.base import YES, Verb, table
from workbench.core.errors import Denied, Refused, Unavailable


def plugins(options: argparse.Namespace) -> None:
    match options.what:
        case "install":
            _install(options.name, yes=options.yes)
        case "available":
            _available(options.json)
        case _:
            _installed(options.json)


def _installed(as_json: bool) -> None:
    from workbench.notebook.plugins import plugins
    from workbench.workbench import current

    found = plugins(current())
    table(found.columns, found.rows, as_json)
    for note in found.notes:
        print(note, file=sys.stderr)


def _available(as_json: bool) -> None:
    from workbench.configuration import load_settings
    from workbench.marketplace import packages

    found = packages(load_settings().marketplace)
    rows = [(p.name, p.version, ", ".join(p.permissions) or "–", p.summary) for p in found]
    table(("package", "version", "may", "what it does"), rows, as_json)


def _install(name: str, *, yes: bool) -> None:
    import difflib

    from workbench.configuration import load_settings
    from workbench.marketplace import fetched, packages

    place = load_settings().marketplace
    known = {package.name: package for package in packages(place)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise Refused(
            f"The marketplace has no {name or 'such package'}{f'; did you mean {near[0]}?' if near else '.'}",
            hint="`workbench plugins available` lists what it has.",
        )
    package = known[name]
    print(f"{package.name} {package.version}: {package.summary}\nIts tools ask for: {_said(package.permissions)}.")
    print("Installing it runs nothing of it. Each of its tools waits for your trust.")
    if not yes and (not sys.stdin.isatty() or input("Install it? [y/N] ").strip().lower() not in YES):
        raise Denied(f"{name} was not installed.", hint="--yes installs it without asking.")
    with tempfile.TemporaryDirectory() as folder:
        wheel = fetched(place, package, Path(folder))
        done = subprocess.run([*_installer(), str(wheel)], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it did not say why"]
        raise Unavailable(f"{name} could not be installed: {said[-1][:300]}")
    print(f"Installed {name}.")
    _hold_to(package.permissions, package.name)


def _said(permissions: tuple[str, ...]) -> str:
    return ", ".join(permissions) or "nothing"


def _installer() -> list[str]:
    """The command that installs a wheel into this environment. Raises Unavailable."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    beside = Path(sys.executable).with_name("uv")
    if uv := str(beside) if beside.is_file() else shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    raise Unavailable("There is neither pip nor uv to install with.", hint="python -m ensurepip")


def _hold_to(permissions: tuple[str, ...], name: str) -> None:
    """Say what its tools ask for beyond what the marketplace says of it."""
    from importlib.metadata import distribution

    from workbench.workbench import current

    files = {str(distribution(name).locate_file(file)) for file in distribution(name).files or ()}
    for spec in current().found().untrusted.values():
        if spec.path in files:
            more = [grant for grant in spec.grants if grant not in permissions]
            if more:
                print(
                    f"{spec.name} asks for more than the marketplace says: {', '.join(more)}. Do not trust it unread.",
                    file=sys.stderr,
                )
            print(f"Read {spec.path}, then: workbench trust {spec.path}")


def _takes(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("what", nargs="?", default="installed", choices=("installed", "available", "install"))
    verb.add_argument("name", nargs="?", default="", help="the package to install")
    verb.add_argument("--yes", action="store_true", help="install it without asking")


VERBS = (Verb("plugins", "list plug-ins, or install one from the marketplace", plugins, _takes, json=True),)
