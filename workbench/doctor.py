"""Examines an installation: each check is a line a person can act on."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from workbench.core.errors import WorkbenchError
from workbench.sandbox import conformance
from workbench.sandbox.base import enough
from workbench.sandbox.choose import in_words
from workbench.sandbox.scratch import scratch
from workbench.workbench import Workbench

_PACKAGES = (
    "jupyterlab",
    "ipykernel",
    "ipywidgets",
    "anywidget",
    "pandas",
    "pyarrow",
    "duckdb",
    "openai",
    "matplotlib",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `detail` says what was found, and what to do when `ok` is false."""

    name: str
    ok: bool
    detail: str


def insufficient(workbench: Workbench, least: str) -> bool:
    """Whether the level in force is lower than this one; nothing is lower than an empty one."""
    return not enough(workbench.sandbox.level, least)


async def examine_sandbox(workbench: Workbench) -> list[Check]:
    """The level in force, why it is not a higher one, and what the self-test tried."""
    checks = []
    try:
        await workbench.sandbox.prepare()
        checks.append(Check("isolation", True, in_words(workbench.sandbox)))
    except WorkbenchError as error:
        return [Check("isolation", False, str(error))]
    finally:
        probed = getattr(workbench.sandbox, "probed", ())
        checks += [Check(f"tried: {probe.name}", probe.held, probe.detail or "held") for probe in probed]
    return checks


async def examine(workbench: Workbench) -> list[Check]:
    """What was found, in the order a person would look: Python, packages, memory, tools, model, workers."""
    checks = [Check("python", sys.version_info >= (3, 11), sys.version.split()[0]), _packages()]
    checks.append(await _memory(workbench))
    found = workbench.found()
    detail = f"{len(found.tools)} tools" + "".join(f"; {problem}" for problem in found.problems)
    checks.append(Check("tools", bool(found.tools) and not found.problems, detail))
    checks.append(Check("model", True, workbench.status()["model"]))
    checks += await _workers(workbench)
    return checks


def _packages() -> Check:
    missing, present = [], []
    for name in _PACKAGES:
        try:
            present.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("packages", False, f"missing: {', '.join(missing)}; pip install {' '.join(missing)}")
    return Check("packages", True, ", ".join(present))


async def _memory(workbench: Workbench) -> Check:
    try:
        await workbench.memory.runs(1)
    except WorkbenchError as error:
        return Check("memory", False, str(error))
    notices = getattr(workbench.memory, "notices", ())
    place = [getattr(workbench.memory, name, "") for name in ("place", "facts")]
    where = [part for part in place if part] or [str(workbench.settings.home)]
    return Check("memory", not notices, "; ".join([*where, *notices]))


async def _workers(workbench: Workbench) -> list[Check]:
    try:
        await workbench.sandbox.prepare()
    except WorkbenchError as error:
        return [Check("workers", False, str(error))]
    with scratch(workbench.settings.home) as folder:
        reports = await conformance.check(workbench.sandbox, folder)
    failed = [report for report in reports if not report.passed]
    passed = len(reports) - len(failed)
    head = Check(f"workers ({workbench.sandbox.level})", not failed, f"{passed} of {len(reports)} probes passed")
    return [head, *(Check(f"worker: {report.name}", False, report.detail) for report in failed)]
