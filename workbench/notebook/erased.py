"""What `%workbench erase` asks and answers. The command line asks and prints the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from workbench.bridge import wait
from workbench.core.errors import Denied, Refused
from workbench.notebook.table import Table

if TYPE_CHECKING:
    from workbench.erasure import Erased, Found
    from workbench.workbench import Workbench

_WAYS = "One of --memory ID, --run ID, --text TEXT, --user NAME; --yes before it erases without asking."
_SHOWN = 5
_WIDTH = 90


def erase(workbench: Workbench, rest: str) -> Table:
    """What was removed for good, after the user has said yes to it."""
    options = _options(rest)
    yes = "yes" in options
    found = wait(workbench.erasure.find(**{name: value for name, value in options.items() if name != "yes"}))
    if not yes:
        if not _somebody_is_there(workbench):
            raise Denied(
                "Nobody is there to say yes: nothing was erased.",
                hint="Beforehand it is said with --yes in front: %workbench erase --yes --text …",
            )
        if input(f"{question(found)}\nErase it for good? [y/N] ").strip().casefold() not in ("y", "yes"):
            raise Denied("Nothing was erased.")
    return table(wait(workbench.erasure.erase(found)))


def question(found: Found) -> str:
    """What would go, in words."""
    from workbench.render import clean_text

    lines = [f"Of {found.of} would go: {_counted(found)}."]
    for what, texts in (("request", found.requests), ("remembered", found.memories)):
        lines += [f"  {what}: {clean_text(_short(text))}" for text in texts[:_SHOWN]]
        lines += [f"  … and {len(texts) - _SHOWN:,} more"] if len(texts) > _SHOWN else []
    lines.append("With them go their lines in the log, and what stands of them in cassettes and run files (*.cassette,")
    lines.append("*.wbz) of this project. Notebooks, exports and copies that you made elsewhere stay as they are.")
    return "\n".join(lines)


def table(done: Erased) -> Table:
    """What was removed, and what could not go yet."""
    found = done.found
    rows = [
        ("runs, and what was remembered outside of one", len(found.runs)),
        ("memories", len(found.memories)),
        ("files", found.files),
        ("lines of the log", done.log_lines),
        *((f"changed: {path.name}", "") for path in done.recordings),
    ]
    notes = [f"Not gone yet: {line}." for line in done.left]
    if not done.left:
        notes.append(f"Nothing of {found.of} is left here. The audit trail keeps that something was erased, not what.")
    return Table(("erased", "how many"), rows, notes)


def _counted(found: Found) -> str:
    acts = len(found.runs) - len(found.requests)
    some = ((len(found.requests), "run"), (acts, "act of remembering or forgetting"), (found.files, "file"))
    many = {"run": "runs", "act of remembering or forgetting": "acts of remembering or forgetting", "file": "files"}
    return ", ".join(f"{count:,} {what if count == 1 else many[what]}" for count, what in some if count)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _somebody_is_there(workbench: Workbench) -> bool:
    from IPython.core.getipython import get_ipython

    from workbench.notebook import kernel

    shell = get_ipython()
    return shell is not None and kernel.front(shell, workbench.settings.headless) != "headless"


def _options(rest: str) -> dict[str, str]:
    options: dict[str, str] = {}
    rest, marked, text = rest.partition("--text")
    if marked:
        options["text"] = text.lstrip("= ").strip()
    for name, value in re.findall(r"(\S+?)(?:[= ]+((?!--)\S+))?(?:\s+|$)", rest):
        if name == "--yes" and not value:
            options["yes"] = "yes"
        elif name in ("--memory", "--run", "--user") and value:
            options[name[2:]] = value
        else:
            raise Refused(f"{name} is nothing that could be erased.", hint=_WAYS)
    if not any(value for name, value in options.items() if name != "yes"):
        raise Refused("What is to be erased?", hint=_WAYS)
    return options
