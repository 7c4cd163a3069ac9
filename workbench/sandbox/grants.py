"""Which files a call may open, as lists of paths for Landlock.

Landlock can only grant, and a grant of a folder is one of all below it. So a folder that holds something hidden
(`.git`, `.env`, `.ssh`), or the workbench's own data, is not granted itself: its visible children are, one by one, and
of the folder only the list of names. To write, a folder must hold nothing hidden at all, since whoever may make a file
in a folder may do so everywhere below it.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import machinery
from pathlib import Path

import workbench
from workbench.core.errors import Denied
from workbench.core.tools import ToolCall

MAX_ENTRIES = 50_000
"""Files and folders that are looked through for hidden ones before a folder is refused as too large."""
HARMLESS = frozenset({".gitkeep", ".keep", ".gitignore", ".gitattributes", ".DS_Store", ".ipynb_checkpoints"})
"""Hidden names that hold nothing to hide."""


@dataclass(frozen=True, slots=True)
class Grants:
    """Absolute paths. `reads`: files, and folders with all below. `lists`: folders whose names may be read.
    `writes`: folders in which everything may be changed."""

    reads: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def granted(call: ToolCall, project: Path, imports: Sequence[str], guarded: Sequence[Path]) -> Grants:
    """What this call may open beyond the system's libraries. Raises Denied naming a folder that cannot be granted.

    `imports`: where the worker imports from. `guarded`: folders that are never granted, however a grant is written.
    Reads the disk: call it off the event loop.
    """
    closed = tuple(path.resolve() for path in guarded)
    reads, lists = [*_installed(tuple(imports), (Path("~").expanduser(), project.resolve(), *closed))], []
    for name in call.tool.permissions.read:
        found = _Found(closed)
        found.look(_inside(project, name, closed))
        reads += found.reads
        lists += found.lists
    for path in call.reads:
        reads += _named(Path(path), closed)
    writes = [str(_writable(project, name, closed)) for name in call.tool.permissions.write]
    return Grants(tuple(reads), tuple(lists), tuple(writes))


def _inside(project: Path, name: str, closed: Sequence[Path]) -> Path:
    """A folder of the project, links followed."""
    place = (project / name).resolve()
    if not place.is_relative_to(project.resolve()):
        raise Denied(f"The folder {name} leads out of the project.", hint="A tool may only be granted folders inside.")
    parts = place.relative_to(project.resolve()).parts
    if any(_hidden(part) for part in parts) or any(place.is_relative_to(folder) for folder in closed):
        raise Denied(f"The folder {name} is hidden, and hidden folders are not granted.", hint="Copy what it needs.")
    return place


def _writable(project: Path, name: str, closed: Sequence[Path]) -> Path:
    place = _inside(project, name, closed)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Denied(f"The folder {name} cannot be made: {error.strerror}.") from error
    found = _Found(closed)
    if not found.look(place):
        raise Denied(
            f"The folder {name} holds something hidden ({found.first}), so no tool may write there.",
            hint="Grant a folder of its own, for example out.",
        )
    return place


def _named(path: Path, closed: Sequence[Path]) -> list[str]:
    """A file that the host grants by name; of a folder, what is visible."""
    if not path.is_dir():
        return [str(path)]
    found = _Found(closed)
    found.look(path.resolve())
    return found.reads


@dataclass(slots=True)
class _Found:
    """What is visible below a folder; `first` is the first thing that is not."""

    closed: Sequence[Path]
    reads: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    first: str = ""
    _seen: int = 0

    def look(self, folder: Path) -> bool:
        """Look through a folder; True when all of it is visible, and then it is granted as a whole."""
        if folder in self.closed:
            return self._hide(folder.name)
        if not folder.is_dir():
            self.reads.append(str(folder))
            return True
        whole, before = True, (len(self.reads), len(self.lists))
        for entry in _entries(folder):
            self._seen += 1
            if self._seen > MAX_ENTRIES:
                raise Denied(
                    f"The folder {folder} is too large to look through for hidden files.", hint="Grant a smaller one."
                )
            if _hidden(entry.name):
                whole = self._hide(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                whole = self.look(Path(entry.path)) and whole
            elif not entry.is_symlink():  # where a link leads is granted, or it is not
                self.reads.append(entry.path)
        if whole:
            del self.reads[before[0] :], self.lists[before[1] :]
            self.reads.append(str(folder))
        else:
            self.lists.append(str(folder))
        return whole

    def _hide(self, name: str) -> bool:
        self.first = self.first or name
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except OSError:
        return []  # what we cannot list, a worker cannot either


def _hidden(name: str) -> bool:
    return name.startswith(".") and name not in HARMLESS


@lru_cache(maxsize=8)
def _installed(imports: tuple[str, ...], closed: tuple[Path, ...]) -> tuple[str, ...]:
    """What Python and its packages need. A place on the path that is a folder of the user's, and not one of packages,
    gives its visible modules; one that holds the user's home, the project or our own data gives nothing."""
    ours = Path(workbench.__file__).absolute().parent
    prefixes = dict.fromkeys((sys.prefix, sys.base_prefix, sys.exec_prefix))
    kept = [f"{prefix}/{name}" for prefix in prefixes for name in ("lib", "lib64", "share", "pyvenv.cfg")]
    kept += [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), str(ours)]
    for place in map(Path, imports):
        if place.name in ("site-packages", "dist-packages") or any(place.is_relative_to(whole) for whole in kept):
            kept.append(str(place))
        elif place != ours.parent and not any(folder.is_relative_to(place.resolve()) for folder in closed):
            kept += _modules(place.resolve(), closed)
    return tuple(dict.fromkeys(kept))


def _modules(place: Path, closed: Sequence[Path]) -> list[str]:
    """What can be imported from a folder, and nothing else that lies there: a script's folder is on the path too, and
    may be full of the user's documents. The folder itself when it holds nothing else.

    The names in it are then closed as well; the fork server has read them before, so that imports find their files.
    """
    found, whole = _Found(closed), True
    for entry in _entries(place):
        if _hidden(entry.name) or not _importable(entry):
            whole = False
        elif entry.is_dir(follow_symlinks=False):
            whole = found.look(Path(entry.path)) and whole
        else:
            found.reads.append(entry.path)
    return [str(place)] if whole else found.reads


def _importable(entry: os.DirEntry[str]) -> bool:
    if entry.is_dir(follow_symlinks=False):
        return entry.name == "__pycache__" or Path(entry.path, "__init__.py").is_file()
    return entry.is_file(follow_symlinks=False) and entry.name.endswith(tuple(machinery.all_suffixes()))
