"""`%workbench resume`, `rerun` and `cancel`, and the line that offers the first after a kernel has died."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from workbench.bridge import wait
from workbench.core.errors import Refused, WorkbenchError
from workbench.notebook import kernel
from workbench.notebook.asking import approver, require_somebody
from workbench.notebook.background import Handle, stop
from workbench.notebook.display import Display
from workbench.notebook.options import takes_rerun, takes_resume, values
from workbench.notebook.table import Table
from workbench.notebook.watched import watched

if TYPE_CHECKING:
    from workbench.run import Run
    from workbench.workbench import Workbench


def resume(workbench: Workbench, rest: str) -> Run | Handle | Table:
    """A run that was left unfinished, taken up again in this cell; without one, those that there are."""
    if not rest.strip():
        return _unfinished(workbench)
    options = _read("resume", takes_resume, rest)

    def work(shell: Any, display: Display) -> Coroutine[Any, Any, Run]:
        from workbench.notebook.attached import tables
        from workbench.offer import frozen

        return workbench.resume(
            _run(shell, options.run),
            done=options.done,
            again=options.again,
            changed_tools=options.changed_tools,
            variables=frozen(tables(getattr(shell, "user_ns", {}))),
            model=options.model,
            budget=options.budget,
            approver=approver(options, display),
            listeners=(display.listen,),
            watchers=(display.watch,) if display.is_live else (),
            on_thread=display.on_thread,
            replay=options.replay,
            notebook=kernel.notebook(shell),
        )

    return _shown(workbench, work, options.bg)


def rerun(workbench: Workbench, rest: str) -> Run | Handle:
    """An earlier run once more, with changes."""
    options = _read("rerun", takes_rerun, rest)
    require_somebody(kernel.shell(), workbench, options)

    def work(shell: Any, display: Display) -> Coroutine[Any, Any, Run]:
        return workbench.rerun(
            _run(shell, options.run),
            first=options.first,
            values=values(options.set),
            drop=options.drop,
            model=options.model,
            budget=options.budget,
            approver=approver(options, display),
            rounds=options.ask,
            listeners=(display.listen,),
            watchers=(display.watch,) if display.is_live else (),
            on_thread=display.on_thread,
            replay=options.replay,
            notebook=kernel.notebook(shell),
        )

    return _shown(workbench, work, options.bg)


def cancel(workbench: Workbench, rest: str) -> Table:
    """A run that goes on in the background of this kernel, stopped."""
    handle = stop(rest)
    return Table(("run", "state"), [(handle.id, "stopping" if handle.state == "running" else handle.state)])


def _unfinished(workbench: Workbench) -> Table:
    """The runs that dead processes of this user have left, the newest first."""
    rows = [
        (f"%workbench resume {found.run}", f"{found.since[:16].replace('T', ' ')} UTC", Path(found.notebook).name)
        for found in reversed(wait(workbench.left()))
    ]
    more = "A run that failed, was cancelled or used up its budget goes on the same way: %workbench runs has its id."
    return Table(
        ("to go on with it", "begun", "notebook"), rows, [more] if rows else ["Nothing was left unfinished.", more]
    )


class Offers:
    """Offers what was left unfinished, once."""

    def __init__(self) -> None:
        self._made = False

    def line(self, workbench: Workbench, shell: Any) -> str:
        """The line that offers a run which a dead process of this user has left unfinished in this notebook; "" when
        there is none, where nobody looks, and after the first time."""
        if self._made or kernel.front(shell, workbench.settings.headless) == "headless":
            return ""
        self._made = True
        here, left = kernel.notebook(shell), []
        with suppress(WorkbenchError):  # no reason to stand in the way of what was asked
            left = [found for found in wait(workbench.left()) if found.notebook == here]
        if not left:
            return ""
        newest = left[-1]
        more = f" ({len(left) - 1} more: %workbench runs)" if len(left) > 1 else ""
        since = f"begun {newest.since[:16].replace('T', ' ')} UTC"
        return f"A run was left unfinished here, {since}. To go on with it: %workbench resume {newest.run}{more}"


offers = Offers()


def _shown(
    workbench: Workbench, work: Callable[[Any, Display], Coroutine[Any, Any, Run]], background: bool
) -> Run | Handle:
    shell = kernel.shell()
    return watched(shell, workbench.settings.headless, partial(work, shell), background=background)


def _run(shell: Any, said: str) -> str:
    """The run that is meant: its id, or a name of the notebook that holds one."""
    from workbench.run import Run

    named = getattr(shell, "user_ns", {}).get(said)
    return named.id if isinstance(named, Run) else said


class _Parser(argparse.ArgumentParser):
    """Reads a line of a cell: what is wrong is told as any other error there, and nothing ends the kernel."""

    def error(self, message: str) -> NoReturn:
        raise Refused(
            f"%workbench {self.prog}: {message.split(' (choose from')[0]}.", hint=" ".join(self.format_usage().split())
        )


def _read(verb: str, takes: Callable[[argparse.ArgumentParser], None], rest: str) -> argparse.Namespace:
    parser = _Parser(prog=verb, add_help=False)
    takes(parser)
    parser.add_argument("--bg", action="store_true", help="run in the background, and give a handle of the run")
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise Refused(f"%workbench {verb}: {error}.") from None
    return parser.parse_args(words)
