"""A run's code goes into the project whole or not at all, never beside it, and comes out again as it was."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.tools.conftest import load
from workbench.core.errors import Denied, Refused, Unavailable
from workbench.core.events import AnyEvent, Kind, Stream
from workbench.core.outcome import Outcome, StepOutcome
from workbench.core.progress import State
from workbench.edits import Edits, code

generate_code = load("generate_code")


class Project:
    """A project, and all that was told of what is done to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.events: list[AnyEvent] = []
        self.home = self.folder / "bench"

        async def durable() -> None:
            return

        def stream() -> Stream:
            return Stream("r2", self.events.append, now=lambda: "")

        self.edits = Edits(self.folder, [self.home], "me", stream, durable)

    def write(self, path: str, data: bytes) -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(place.name for place in folder.rglob("*"))


def wrote(*steps: Mapping[str, tuple[str | None, str]]) -> Outcome:
    """A run of steps that have changed files: path → text before and after."""
    outcomes = []
    for number, files in enumerate(steps, 1):
        changes = [generate_code.Change(path, before, after, "x") for path, (before, after) in files.items()]
        value = json.loads(json.dumps(generate_code.result(changes)))
        outcomes.append(
            StepOutcome(id=f"s{number}", task="generate_code", title="", params={}, state=State.DONE, value=value)
        )
    return Outcome(run="r1", steps=tuple(outcomes))


async def test_every_byte_comes_back(project: Project) -> None:
    files = {"a.py": "x = 1\r\ny = 2", "deep/b.txt": "\x0cpage\n", "c.txt": ""}
    for path, text in files.items():
        project.write(path, text.encode())
    script = project.folder / "a.py"
    script.chmod(0o755)
    before = project.files()
    run = wrote(
        {"a.py": (files["a.py"], "x = 1\r\ny = 3\r\n"), "new/here/d.py": (None, "d = 4")},
        {"deep/b.txt": (files["deep/b.txt"], ""), "c.txt": ("", "ü"), "new/here/d.py": ("d = 4", "d = 5\n")},
    )
    edited = await project.edits.apply(run)
    assert project.files() == {
        "a.py": b"x = 1\r\ny = 3\r\n",
        "deep/b.txt": b"",
        "c.txt": "ü".encode(),
        "new/here/d.py": b"d = 5\n",
    }
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    assert str(edited) == "a.py: changed\nnew/here/d.py: new\ndeep/b.txt: changed\nc.txt: changed"
    await project.edits.undo(run)
    assert project.files() == before
    assert not (project.folder / "new").exists()
    assert [event.kind for event in project.events] == [Kind.EDIT_APPLIED, Kind.EDIT_UNDONE]
    first, second = (event.body["files"] for event in project.events)
    assert [(f["after_sha256"], f["before_sha256"]) for f in first] == [
        (f["before_sha256"], f["after_sha256"])
        for f in sorted(second, key=lambda f: [g["path"] for g in first].index(f["path"]))
    ]
    assert code(run)["new/here/d.py"] == "d = 5\n"


async def test_what_has_moved_is_found_and_what_was_changed_is_a_conflict(project: Project) -> None:
    text = "".join(f"line {n}\n" for n in range(20))
    run = wrote({"a.txt": (text, text.replace("line 9\n", "LINE 9\n")), "b.txt": ("b\n", "B\n")})
    project.write("a.txt", f"# mine\n{text}".encode())
    project.write("b.txt", b"b\n")
    await project.edits.apply(run)
    assert b"# mine\nline 0\n" in project.files()["a.txt"]
    assert b"LINE 9" in project.files()["a.txt"]
    await project.edits.undo(run)
    project.write("a.txt", text.replace("line 8\n", "mine\n").encode())
    before = project.files()
    with pytest.raises(Refused, match=r"a\.txt: line 9 should be 'line 8\\n' and is 'mine\\n'") as caught:
        await project.edits.apply(run)
    assert caught.value.data["conflicts"]
    assert project.files() == before, "one file of two that could be changed was changed"


@pytest.mark.parametrize(
    "path",
    [
        "../out.py",
        "/tmp/out.py",
        ".git/hooks/pre-commit",
        "src/.env",
        "a/../../out.py",
        "bench/x.py",
        "link.py",
        "folder/x.py",
        "file.py/x.py",
        "C:x.py",
        "a\\b.py",
        "sub",
    ],
)
async def test_nothing_is_written_beside_the_project_or_where_it_hides(
    project: Project, tmp_path: Path, path: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.folder / "link.py").symlink_to(outside / "x.py")
    (project.folder / "folder").symlink_to(outside)
    (project.folder / "sub").mkdir()
    project.write("file.py", b"")
    before = project.files()
    before_names = names(tmp_path)
    with pytest.raises((Denied, Refused)):
        await project.edits.apply(wrote({path: (None, "x = 1\n")}))
    assert project.files() == before
    assert names(tmp_path) == before_names
    assert not project.events


async def test_when_one_file_cannot_be_written_the_others_are_as_before(project: Project) -> None:
    project.write("a.py", b"a\n")
    # A name that fits into a folder and leaves no room for the one it is written under first.
    long = "x" * 250 + ".py"
    with pytest.raises(Unavailable, match="cannot be written"):
        await project.edits.apply(wrote({"a.py": ("a\n", "b\n"), "n/c.py": (None, "c\n"), long: (None, "d\n")}))
    assert project.files() == {"a.py": b"a\n"}


async def test_a_run_without_code_has_nothing_to_apply(project: Project) -> None:
    step = StepOutcome(id="s1", task="plot", title="", params={}, state=State.DONE, value={"rows": 3})
    with pytest.raises(Refused, match="has written no code"):
        await project.edits.apply(Outcome(run="r1", steps=(step,)))
    failed = wrote({"a.py": (None, "a\n")}).steps[0]
    with pytest.raises(Refused, match="Step s7"):
        await project.edits.apply(Outcome(run="r1", steps=(failed,)), "s7")


@pytest.mark.parametrize(
    "diff",
    [
        "",
        "nonsense\n",
        "--- a/x\n+++ b/x\n",
        "diff --git a/x b/y\n",
        "diff --git a/x.py b/x.py\n@@ -1,3 +1 @@\n x\n",
        "diff --git a/x b/x\n@@ no @@\n",
    ],
)
async def test_a_diff_of_another_tool_that_is_none_is_refused(project: Project, diff: str) -> None:
    value: dict[str, Any] = {"diff": diff, "files": [3, {"path": 4}]}
    step = StepOutcome(id="s1", task="theirs", title="", params={}, state=State.DONE, value=value)
    with pytest.raises(Refused) as caught:
        await project.edits.apply(Outcome(run="r1", steps=(step,)))
    assert caught.value.hint
    assert project.files() == {}
