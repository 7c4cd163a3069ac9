"""Finds the tools: cells, project, user, plug-ins, shipped, in this order. Describes them without running them.

Cheap enough for every request: a file is read again only when its size or time changed. A nearer tool stands in for a
farther one of its name, and that is told; one that nobody has trusted yet replaces nothing.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import workbench
from workbench.core.errors import Refused, Unavailable
from workbench.core.tools import ToolSpec
from workbench.registry.plugged import files, plain_files
from workbench.registry.spec import MAX_BYTES, Origin, describe
from workbench.registry.trust import Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`tools` may be used. `untrusted` would be after `workbench trust PATH`. `problems` are files that are no tools
    though they mean to be, `shadowed` says which tool stands in for which; both are lines for the user."""

    tools: Mapping[str, ToolSpec]
    problems: tuple[str, ...] = ()
    shadowed: tuple[str, ...] = ()
    untrusted: Mapping[str, ToolSpec]


def discover(project: Path, config: Path, shipped: Path | None = None, cells: Sequence[ToolSpec] = ()) -> Found:
    """Every tool there is for a project. `shipped`: the folder of our own tools, by default that of this installation.
    `cells`: those that the user has defined in this process. Never raises for what lies in the folders."""
    problems: list[str] = []
    ours = list(_describe_all(plain_files(shipped or shipped_folder(), ".py"), "shipped", problems))
    known = {spec.version: spec for spec in ours}
    others = [
        *cells,
        *_describe_all(plain_files(project / "tools", ".py"), "project", problems),
        *_describe_all(plain_files(config / "tools", ".py"), "user", problems),
        *_describe_all(files("workbench.tools", ".py", problems), "plug-in", problems),
    ]
    trusted = _Trusted(Trust(config, project), problems)
    tools: dict[str, ToolSpec] = {}
    untrusted: dict[str, ToolSpec] = {}
    shadowed: list[str] = []
    for spec in [*(known.get(spec.version, spec) for spec in others), *ours]:
        if spec.version not in known and not trusted(spec):
            untrusted.setdefault(spec.name, spec)
        elif spec.name not in tools:
            tools[spec.name] = spec
        elif tools[spec.name].version != spec.version:
            nearer = tools[spec.name]
            shadowed.append(f"{spec.name}: {_place(nearer)} stands in for {_place(spec)}")
    shadowed += [
        f"{name}: {_place(spec)} will stand in for {_place(tools[name])} once it is trusted"
        for name, spec in untrusted.items()
        if name in tools
    ]
    return Found(
        tools=dict(sorted(tools.items())),
        problems=tuple(dict.fromkeys(problems)),
        shadowed=tuple(dict.fromkeys(shadowed)),
        untrusted=dict(sorted(untrusted.items())),
    )


def shipped_folder() -> Path | None:
    """Where the tools of this installation lie: in the wheel, or beside the package in a checkout."""
    package = Path(workbench.__file__).absolute().parent
    if (inside := package / "_shipped_tools").is_dir():
        return inside
    checkout = package.parent
    return checkout / "tools" if (checkout / "pyproject.toml").is_file() else None


class _Trusted:
    """Asks the pins; a damaged file is told once and trusts nobody."""

    def __init__(self, trust: Trust, problems: list[str]) -> None:
        self._trust = trust
        self._problems = problems

    def __call__(self, spec: ToolSpec) -> bool:
        try:
            return self._trust.is_trusted(spec)
        except Unavailable as error:
            self._problems.append(str(error))
            return False


def _place(spec: ToolSpec) -> str:
    return f"the shipped {spec.name}" if spec.origin == "shipped" else f"{spec.path} ({spec.origin})"


def _describe_all(paths: Iterator[Path], origin: Origin, problems: list[str]) -> Iterator[ToolSpec]:
    for path in paths:
        try:
            spec = _read(path, origin)
        except Refused as error:
            problems.append(str(error))
        else:
            if spec is not None:
                yield spec


def _read(path: Path, origin: Origin) -> ToolSpec | None:
    where = f"{path.parent.name}/{path.name}"
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):  # opening a pipe would wait for ever
            raise Refused(f"{where}: not a plain file")
        if facts.st_size > MAX_BYTES:
            raise Refused(f"{where}: {facts.st_size:,} bytes; a tool file has at most {MAX_BYTES:,}")
        # A file that was written just now may change again within the same tick of the file system's clock.
        fresh = abs(time.time_ns() - facts.st_mtime_ns) < 100_000_000
        key = (str(path), origin, facts.st_mtime_ns, facts.st_size, facts.st_ino, time.time_ns() if fresh else 0)
        found = _described(*key)
    except OSError as error:
        raise Refused(f"{where}: cannot be read ({error.strerror or error})") from error
    if isinstance(found, Refused):
        raise Refused(found.message, hint=found.hint)
    return found


@lru_cache(maxsize=1024)
def _described(path: str, origin: Origin, mtime: int, size: int, inode: int, fresh: int) -> ToolSpec | Refused | None:
    """What a file holds, remembered for as long as its facts stay the same."""
    with Path(path).open("rb") as file:
        source = file.read(MAX_BYTES + 1)
    try:
        return describe(source, Path(path), origin)
    except Refused as error:
        return error
