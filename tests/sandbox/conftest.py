from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from workbench.core.tools import ToolCall, ToolResult, ToolSpec
from workbench.sandbox import linux
from workbench.sandbox.base import Sandbox
from workbench.sandbox.forked import ConfinedSandbox
from workbench.sandbox.limits import Limits
from workbench.sandbox.portable import SpawnedSandbox


class Desk:
    """A sandbox with folders of its own; `run` calls a tool with the given source."""

    sandbox: Sandbox

    def __init__(self, folder: Path, *, confine: bool = False, **limits: int) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.artifacts = self.home / "artifacts"
        self.project = folder / "project"
        if confine:
            self.sandbox = ConfinedSandbox(self.home, self.project, (), Limits(**limits))
        else:
            self.sandbox = SpawnedSandbox(self.home, self.project, Limits(**limits))
        self.told: list[str] = []

    def call(self, source: str, *, seconds: float = 20.0, uses: tuple[str, ...] = (), **params: Any) -> ToolCall:
        tool = ToolSpec(name="tool", summary="", params={}, version="0", source=source.encode(), uses=uses)
        return ToolCall(run="r1", step="s1", tool=tool, params=params, timeout=seconds)

    async def run(self, source: str, *, services: Mapping[str, Any] | None = None, **options: Any) -> ToolResult:
        call = self.call(source, **options)
        return await self.sandbox.run(call, services or {}, self.artifacts, self.told.append)

    @property
    def left_over(self) -> list[str]:
        """Files below home that belong to no finished result."""
        scratch = [path.name for path in (self.home / "scratch").iterdir()]
        return scratch + [path.name for path in self.artifacts.glob("**/.part-*")]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(params=["process", "kernel"])
def any_desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    """At each level in turn."""
    return confined_desk(tmp_path) if request.param == "kernel" else Desk(tmp_path)


def confined_desk(folder: Path, **limits: int) -> Desk:
    """With the confined sandbox; where the kernel has none the test is skipped, or fails where CI=true."""
    if why := linux.supported():
        pytest.skip(why)
    return Desk(folder, confine=True, **limits)


@pytest.fixture
def confined(tmp_path: Path) -> Desk:
    return confined_desk(tmp_path)


SMALL = {"memory": 256 << 20, "file": 4 << 20, "disk": 16 << 20, "cpu": 1, "result": 100_000, "picture": 100_000}


@pytest.fixture(params=["process", "kernel"])
def small_desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    """At each level in turn, with limits that a test reaches quickly."""
    limits: dict[str, Any] = SMALL | {"files": 4}
    return confined_desk(tmp_path, **limits) if request.param == "kernel" else Desk(tmp_path, **limits)
