"""What every sandbox must do, as one suite that runs on the real thing: for tests, and for `workbench doctor`.

    reports = await check(SpawnedSandbox(home, project), workdir)

The probes are in `sandbox.probes`. Nothing in them is specific to one sandbox; what a level promises beyond `process`
has its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.sandbox.base import Sandbox
from workbench.sandbox.probes import PROBES, Bench


@dataclass(frozen=True, slots=True)
class Report:
    """How one probe went. `detail` says what was seen when it did not pass."""

    name: str
    passed: bool
    detail: str = ""


async def check(sandbox: Sandbox, workdir: Path) -> list[Report]:
    """One report for each probe, in order. `workdir` is an empty folder that the probes may fill. Never raises for what
    a sandbox does wrong."""
    reports = []
    for name, probe in PROBES.items():
        try:
            await probe(Bench(sandbox, workdir))
        except Exception as error:  # noqa: BLE001 - a sandbox that breaks in any way has not passed
            reports.append(Report(name, False, f"{type(error).__name__}: {error}"))
        else:
            reports.append(Report(name, True))
    return reports
