"""What installed packages offer by entry points. They are looked up, and imported only when they are used.

[project.entry-points."workbench.tools"]
weather = "acme_tools.weather"      # a file; or a folder of files: all = "acme_tools.tools"
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from workbench.core.errors import Unavailable

Group = Literal["workbench.tools", "workbench.models", "workbench.memory", "workbench.personas"]
"""What may be offered: tool files, functions that make a model, functions that make a memory, persona files."""

GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One entry point: its name, what it names (`package.module:attribute`), and the package that offers it."""

    name: str
    value: str
    package: str = ""
    version: str = ""


def points(group: Group) -> tuple[Point, ...]:
    """What is offered now; looked up again only when a folder that packages are installed in has changed."""
    return _points(group, tuple(sys.path), _times())


@lru_cache(maxsize=16)
def _points(group: str, path: tuple[str, ...], times: tuple[int, ...]) -> tuple[Point, ...]:
    found = importlib.metadata.entry_points(group=group)
    return tuple(
        sorted({Point(p.name, p.value, p.dist.name if p.dist else "", p.dist.version if p.dist else "") for p in found})
    )


def _times() -> tuple[int, ...]:
    """When the folders that packages are installed in last changed."""
    found = []
    for place in sys.path:
        try:
            found.append(Path(place or ".").stat().st_mtime_ns)
        except OSError:
            found.append(0)
    return tuple(found)


def files(group: Group, suffix: str, problems: list[str]) -> Iterator[Path]:
    """The files that packages name; what is wrong with an entry point becomes a line in `problems`."""
    for point in points(group):
        try:
            places = list(_locate(point.value, suffix))
        except Exception as error:  # noqa: BLE001 - finders of other packages may raise anything
            problems.append(f"entry point {point.name} = {point.value!r}: {type(error).__name__}: {error}")
            continue
        if not places:
            problems.append(f"entry point {point.name} = {point.value!r}: there is no such file")
        yield from places


def _locate(value: str, suffix: str) -> Iterator[Path]:
    package, *rest = value.partition("[")[0].strip().replace(":", ".").split(".")
    spec = importlib.util.find_spec(package)
    if spec is None:
        return
    if not rest:
        if spec.origin and spec.origin.endswith(suffix) and not spec.submodule_search_locations:
            yield Path(spec.origin)
        for root in spec.submodule_search_locations or ():
            yield from plain_files(Path(root), suffix)
        return
    for root in spec.submodule_search_locations or ():
        base = Path(root).joinpath(*rest)
        if base.with_name(f"{base.name}{suffix}").is_file():
            yield base.with_name(f"{base.name}{suffix}")
        elif base.is_dir():
            yield from plain_files(base, suffix)


def plain_files(folder: Path | None, suffix: str) -> Iterator[Path]:
    """The files of a folder with that suffix, by name; those that start with `_` or `.` are not meant."""
    if folder is None:
        return
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return
    for path in paths:
        if path.suffix == suffix and not path.name.startswith(("_", ".")):
            yield path


def load(group: Group, name: str) -> Any:
    """The object that an entry point names, None when there is none of that name. Imports the package: call it only for
    what the user has named. Raises Unavailable when it cannot be imported."""
    point = next((point for point in points(group) if point.name == name), None)
    if point is None:
        return None
    try:
        return importlib.metadata.EntryPoint(point.name, point.value, group).load()
    except Exception as error:
        raise Unavailable(
            f"The plug-in {name} of {point.package} cannot be loaded: {type(error).__name__}: {error}",
            hint="`workbench plugins` lists what is installed.",
        ) from error
