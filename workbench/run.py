"""What the user gets: a run with real tables, pictures and texts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from workbench.bridge import wait
from workbench.core.artifacts import Artifact, replace
from workbench.core.errors import Refused
from workbench.core.outcome import Cost, Outcome, StepOutcome
from workbench.core.plan import Plan
from workbench.edits import Edited, Edits, code

if TYPE_CHECKING:
    import pandas as pd

    from workbench.compare import Comparison
    from workbench.why import Account


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a run. `path` is the file, `alt` what it shows."""

    path: Path
    alt: str

    @property
    def png(self) -> bytes:
        return self.path.read_bytes()

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file of your own; returns its path."""
        target = Path(path)
        target.write_bytes(self.png)
        return target

    def _repr_png_(self) -> bytes | tuple[bytes, dict[str, int]]:
        from workbench.core.png import shown_width
        from workbench.render.run import inline_png

        wide = shown_width(self.png)
        return inline_png(self.png) if wide is None else (inline_png(self.png), {"width": wide})

    def __repr__(self) -> str:
        from workbench.render.clean import clean_text

        return f"[picture] {clean_text(self.alt)}".rstrip()


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound of a run. `path` is the file, `alt` what is said in it, `seconds` how long it takes."""

    path: Path
    alt: str
    mime: str
    seconds: float

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    def save(self, path: str | Path) -> Path:
        """Write the sound to a file of your own; returns its path."""
        target = Path(path)
        target.write_bytes(self.data)
        return target

    def _repr_html_(self) -> str:
        from workbench.render.run import sound_html

        data = self.data if self.path.is_file() else None
        made = Artifact(path="", mime=self.mime, bytes=0, sha256="", alt=self.alt, seconds=self.seconds)
        return sound_html(made, lambda sound: data)

    def __repr__(self) -> str:
        from workbench.render.clean import clean_text
        from workbench.render.run import length

        return f"[sound, {length(self.seconds)}] {clean_text(self.alt)}".rstrip()


class StepView:
    """One step of a run: `.state`, `.value` (tables as DataFrames), `.df`, `.images`, `.audio`, `.text`, `.error`,
    `.params`."""

    def __init__(self, outcome: StepOutcome, folder: Path) -> None:
        self.outcome = outcome
        self._folder = folder

    @property
    def id(self) -> str:
        return self.outcome.id

    @property
    def task(self) -> str:
        return self.outcome.task

    @property
    def title(self) -> str:
        return self.outcome.title

    @property
    def params(self) -> Mapping[str, Any]:
        return self.outcome.params

    @property
    def state(self) -> str:
        return str(self.outcome.state)

    @property
    def text(self) -> str:
        """What the tool printed."""
        return self.outcome.text

    @property
    def error(self) -> str:
        return self.outcome.problem.message if self.outcome.problem else ""

    @property
    def value(self) -> Any:
        """The step's result; tables are DataFrames, pictures `Picture`s, sounds `Sound`s. Reads files."""
        return replace(self.outcome.value, lambda artifact: _open(artifact, self._folder))

    @property
    def df(self) -> pd.DataFrame | None:
        """The step's last table, None when it has none."""
        frames = [artifact for artifact in self.outcome.artifacts if artifact.is_frame]
        return _frame(frames[-1], self._folder) if frames else None

    @property
    def images(self) -> list[Picture]:
        return [_picture(artifact, self._folder) for artifact in self.outcome.artifacts if artifact.is_image]

    @property
    def audio(self) -> list[Sound]:
        return [_sound(artifact, self._folder) for artifact in self.outcome.artifacts if artifact.is_sound]

    def __repr__(self) -> str:
        return f"<step {self.id}: {self.title}, {self.state}>"


class Steps(Mapping[str, StepView]):
    """The steps of a run by id or by position: `run.steps["s1"]`, `run.steps[0]`."""

    def __init__(self, views: list[StepView]) -> None:
        self._views = {view.id: view for view in views}

    @overload
    def __getitem__(self, key: str) -> StepView: ...
    @overload
    def __getitem__(self, key: int) -> StepView: ...
    def __getitem__(self, key: str | int) -> StepView:
        return list(self._views.values())[key] if isinstance(key, int) else self._views[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        return f"[{', '.join(map(repr, self._views.values()))}]"


class Run:
    """A request and what became of it. `outcome` is the record; everything else reads from it.

    `artifacts_folder` is WORKBENCH_HOME/artifacts: tables and pictures are read from there when asked for. `edits` puts
    code into the project; a run without it can only be looked at. `tells` gives the account of a run on record, by its
    id, or of one of its steps: `RUN.step`.
    """

    def __init__(
        self,
        outcome: Outcome,
        artifacts_folder: Path,
        edits: Edits | None = None,
        tells: Callable[[str], Coroutine[Any, Any, Account]] | None = None,
    ) -> None:
        self.outcome = outcome
        self.shown_in: int | None = None
        """The number of the cell that has shown this run already, so that its value is not shown there again."""
        self._folder = artifacts_folder
        self._edits = edits
        self._tells = tells

    @property
    def id(self) -> str:
        return self.outcome.run

    @property
    def status(self) -> str:
        """planned, running, done, failed, cancelled or budget."""
        return self.outcome.status

    @property
    def answer(self) -> str:
        return self.outcome.answer

    @property
    def plan(self) -> Plan | None:
        return self.outcome.plan

    @property
    def cost(self) -> Cost:
        return self.outcome.cost

    @property
    def steps(self) -> Steps:
        return Steps([StepView(step, self._folder) for step in self.outcome.steps])

    @property
    def df(self) -> pd.DataFrame | None:
        """The run's last table as a DataFrame of your own, None when it has none."""
        frames = self.outcome.frames
        return _frame(frames[-1], self._folder) if frames else None

    @property
    def images(self) -> list[Picture]:
        return [_picture(artifact, self._folder) for artifact in self.outcome.images]

    @property
    def audio(self) -> list[Sound]:
        return [_sound(artifact, self._folder) for artifact in self.outcome.sounds]

    @property
    def artifacts(self) -> list[Artifact]:
        """Every file of the run, in the plan's order; `path` is relative to the artifacts folder."""
        return [artifact for step in self.outcome.steps for artifact in step.artifacts]

    @property
    def code(self) -> dict[str, str]:
        """The text of every file that the run has written, by path: `print(run.code["app.py"])`."""
        return code(self.outcome)

    def apply(self, step: str = "") -> Edited:
        """Write the run's code into the project, or that of one step: all of it, or nothing when a file is not as it
        was. Raises Refused with the conflicts, Denied for a path outside of the project."""
        return wait(self.writer.apply(self.outcome, step))

    def undo(self, step: str = "") -> Edited:
        """Take back what `apply` has written: every file as it was before. Raises as `apply`."""
        return wait(self.writer.undo(self.outcome, step))

    @property
    def writer(self) -> Edits:
        """What puts the run's code into the project. Raises Refused when the run can only be looked at."""
        if self._edits is None:
            raise Refused("This run is only a record.", hint="`workbench apply RUN` writes its code.")
        return self._edits

    def why(self, step: str = "") -> Account:
        """Why the run's results are what they are, or that of one step: the calls, the plan, the sources, their hashes
        and the cost. Raises Refused when there is no such step, or the run is not on record."""
        if self._tells is None:
            raise Refused("This run is not on record here.", hint="`workbench import FILE.wbz` takes one in.")
        return wait(self._tells(f"{self.id}.{step}" if step else self.id))

    def compare(self, other: Run) -> Comparison:
        """This run and another side by side: plan, parameters, answer, tables and cost, and where they differ."""
        from workbench.compare import compare

        return compare(self, other)

    def path(self, artifact: Artifact) -> Path:
        """Where one of the run's files lies."""
        return self._folder / artifact.path

    def load(self, artifact: Artifact) -> bytes | None:
        """The bytes of one of the run's files, None when the file is gone."""
        try:
            return self.path(artifact).read_bytes()
        except OSError:
            return None

    def explore(self) -> Any:
        """The run's results to look through, in a cell: tables sorted, filtered and in pages, pictures in full size,
        code with its changes and Apply and Undo. It lives while the kernel does; saved, it is the run as it is shown
        always."""
        from workbench import explore  # the door is above: it is opened by the facade, when somebody asks

        return explore(self)

    def to_notebook(self, path: str | Path | None = None, *, inputs: Mapping[str, str | Path] | None = None) -> Path:
        """Write the run as a notebook of plain cells (SQL, Python, charts) that work without the workbench; returns its
        path, which is `<run>.ipynb` in the working directory when none is given.

        The tables that were offered are written beside it, into `<name>_data/`; `inputs` names files of your own to
        read in their place, by the table's name, and the files of databases, by the connection's. A step whose tool
        cannot be written as plain code shows what it gave, and says so. Raises Refused when there is something at
        `path`, or nothing to write; Unavailable when a table is gone.
        """
        from workbench.plain import write

        return write(self.outcome, self._folder, Path(path or f"{self.id}.ipynb"), inputs)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        from workbench.render import bundle

        return bundle(self.outcome, self.load)

    def _ipython_display_(self) -> None:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
        if shell is None or self.shown_in != shell.execution_count:
            raise NotImplementedError  # IPython's word for: show the bundle as usual

    def __repr__(self) -> str:
        return f"<run {self.id}: {self.status}, {len(self.outcome.steps)} steps>"


def _frame(artifact: Artifact, folder: Path) -> pd.DataFrame:
    from workbench.sandbox.frames import read_frame

    return read_frame(folder / artifact.path)


def _picture(artifact: Artifact, folder: Path) -> Picture:
    return Picture(folder / artifact.path, artifact.alt)


def _sound(artifact: Artifact, folder: Path) -> Sound:
    return Sound(folder / artifact.path, artifact.alt, artifact.mime, artifact.seconds or 0.0)


def _open(artifact: Artifact, folder: Path) -> Any:
    if artifact.is_frame:
        return _frame(artifact, folder)
    if artifact.is_sound:
        return _sound(artifact, folder)
    return _picture(artifact, folder) if artifact.is_image else folder / artifact.path
