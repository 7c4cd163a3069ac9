"""What `%workbench cassette`, `export` and `import` answer. The command line prints the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from workbench.bridge import wait
from workbench.core.errors import Refused
from workbench.core.tape import Replay
from workbench.notebook.table import Table

if TYPE_CHECKING:
    from workbench.workbench import Workbench

_HOW = "%workbench cassette on, %workbench cassette FILE [strict|auto|off], or %workbench cassette off"


def cassette(workbench: Workbench, rest: str = "") -> Table:
    """The cassette that is on from now, or what is on it when nothing is said."""
    words = rest.split()
    if rest in ("", "status"):
        return status(workbench)
    if rest == "off":
        workbench.replays.off()
        return Table(("cassette", "from now"), [("none", "runs are not recorded for a replay")])
    mode: Replay | None = None
    if len(words) > 1:
        mode = next((known for known in get_args(Replay) if known == words[-1]), None)
        words = words[:-1] if mode else words
    if len(words) != 1:
        raise Refused("Which cassette?", hint=_HOW)
    path = _beside_the_notebook() if words[0] == "on" else _found(words[0])
    path = workbench.settings.cassette or path
    made = workbench.replays.on(path, mode)
    if workbench.replays.mode() == "strict" and not made.episodes:
        raise Refused(
            f"There is no {path.name} in {path.parent}.",
            hint="Run the notebook in its own folder (papermill --cwd), or set WORKBENCH_CASSETTE to the file.",
        )
    told = {
        "strict": "runs are replayed from it and nothing is asked anew",
        "auto": "runs are recorded on it and replayed from it",
        "off": "runs are asked anew and recorded",
    }
    # What the cell says, and not what the settings make of it: so it reads the same while it is recorded.
    return Table(("cassette", "from now"), [(path.name, told[mode or "auto"])])


def status(workbench: Workbench) -> Table:
    """What is on the cassette that is on."""
    on = workbench.replays.cassette
    if on is None:
        return Table(("cassette", "holds"), [("none", "")], [f"To switch one on: {_HOW}."])
    rows = []
    for episode in on.episodes:
        models = sum(one.kind == "model" for one in episode.recordings)
        rows.append((episode.request, models, len(episode.recordings) - models))
    size = sum(map(len, on.blobs.values()))
    return Table(
        ("request", "model calls", "tool calls"),
        rows,
        [f"{on.name}: replay is {workbench.replays.mode()}; tables, pictures and long answers have {size:,} bytes."],
    )


def export(workbench: Workbench, rest: str) -> Table:
    """A run in a file."""
    words = rest.split(maxsplit=1)
    if len(words) != 2:
        raise Refused("Which run, and into which file?", hint="export RUN run.wbz")
    made = wait(workbench.parcels.export(words[0], Path(words[1])))
    return Table(("run", "file", "bytes"), [(made.run, made.path.name, made.bytes)], made.notes)


def import_(workbench: Workbench, rest: str) -> Table:
    """A run that came in a file."""
    if not rest:
        raise Refused("Which file?", hint="import run.wbz")
    made = wait(workbench.parcels.import_(Path(rest)))
    return Table(("run", "from", "bytes"), [(made.run, made.origin, made.bytes)], made.notes)


def _found(name: str) -> Path:
    """A file by the name that a cell says: in the working folder, else in the notebook's own."""
    here, notebook = Path(name), _notebook()
    if not here.exists() and notebook is not None and not here.is_absolute():
        return notebook.parent / here
    return here


def _beside_the_notebook() -> Path:
    notebook = _notebook()
    if notebook is None:
        raise Refused(
            "Nobody has said which notebook this is.",
            hint="Name the file: %workbench cassette 01_x.cassette (or set WORKBENCH_CASSETTE).",
        )
    return notebook.with_suffix(".cassette")


def _notebook() -> Path | None:
    """The path of the notebook as its front end has said it: Jupyter and VS Code do, papermill and nbclient do not."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    names = getattr(shell, "user_ns", {})
    said = names.get("__session__") or names.get("__vsc_ipynb_file__")
    path = Path(str(said)) if said else None
    if path is None or path.suffix != ".ipynb":
        return None
    return path if path.is_absolute() else Path.cwd() / path.name
