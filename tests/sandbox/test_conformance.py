"""The public suite, probe by probe, on both sandboxes, and on a sandbox that only says that all is well."""

from pathlib import Path

import pytest

from tests.sandbox.conftest import Desk
from workbench.core.tools import ToolResult
from workbench.sandbox.conformance import check
from workbench.sandbox.probes import PROBES, Bench


@pytest.mark.parametrize("name", PROBES)
async def test_the_spawned_sandbox_conforms(desk: Desk, tmp_path: Path, name: str):
    await PROBES[name](Bench(desk.sandbox, tmp_path))


@pytest.mark.parametrize("name", PROBES)
async def test_the_confined_sandbox_conforms(confined: Desk, tmp_path: Path, name: str):
    await PROBES[name](Bench(confined.sandbox, tmp_path))


class Useless:
    """A sandbox that does nothing and says that all is well."""

    level = "none"

    async def prepare(self):
        return "none"

    async def run(self, call, services, artifacts, progress=lambda text: None):
        return ToolResult(status="ok")

    async def close(self):
        return None


async def test_a_sandbox_that_does_nothing_passes_no_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # The one probe that waits for its tool to show up would wait for this one's cancellation only.
    reports = await check(Useless(), tmp_path)  # type: ignore[arg-type]  # it is meant to be wrong
    assert [report.name for report in reports if report.passed] == []
