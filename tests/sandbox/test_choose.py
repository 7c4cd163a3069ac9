"""The level in force: found by trying, said aloud, never lowered in silence, never claimed where it is masked."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.conftest import Desk
from workbench.core.errors import Unavailable
from workbench.core.tools import ToolCall, ToolResult, ToolSpec
from workbench.sandbox import linux
from workbench.sandbox.base import Sandbox, enough
from workbench.sandbox.choose import ChosenSandbox, in_words
from workbench.sandbox.portable import SpawnedSandbox
from workbench.sandbox.selftest import selftest
from workbench.sandbox.syscalls import numbers

ROOT = Path(__file__).parents[2]

MASKED = """
import ctypes, struct, sys
# A filter of one rule: call `number` answers `error` (0: "done", and nothing was done).
number, error = int(sys.argv[1]), int(sys.argv[2])
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]
steps = ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error), (0x06, 0, 0, 0x7FFF0000))
code = b"".join(struct.pack("=HBBI", *step) for step in steps)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(4, code)), 0, 0) == 0, ctypes.get_errno()
sys.argv = ["workbench", *sys.argv[3:]]
from workbench.cli import main
sys.exit(main())
"""


def call(isolation: str = "") -> ToolCall:
    tool = ToolSpec(
        name="tool",
        summary="",
        params={},
        version="0",
        source=b"def run(): return 1",
        isolation=isolation,  # type: ignore[arg-type]  # one of its words
    )
    return ToolCall(run="r1", step="s1", tool=tool, params={}, timeout=20.0)


async def ran(sandbox: Sandbox, tmp_path: Path, isolation: str = "") -> ToolResult:
    return await sandbox.run(call(isolation), {}, tmp_path / "artifacts")


async def test_the_self_test_holds_at_level_kernel_and_sees_each_way_out_of_level_process(confined: Desk, desk: Desk):
    held = await selftest(confined.sandbox, confined.home)
    assert len(held) >= 12
    assert [probe for probe in held if not probe.held] == []
    through = {probe.name for probe in await selftest(desk.sandbox, desk.home) if not probe.held}
    works = {"the probes run", "own files, threads and ports work"}
    assert through == {probe.name for probe in held} - works


async def test_a_sandbox_in_which_nothing_runs_does_not_pass(desk: Desk):
    class Dead:
        level = "kernel"

        async def run(self, *args: object, **more: object) -> ToolResult:
            return ToolResult(status="failed", error="dead")

    probed = await selftest(Dead(), desk.home)  # type: ignore[arg-type]  # it is meant to be wrong
    assert [probe.name for probe in probed if not probe.held] == ["the probes run", "own files, threads and ports work"]


async def test_the_best_level_is_chosen_once_and_said(tmp_path: Path, level: str):
    sandbox = ChosenSandbox(tmp_path / "home", tmp_path / "project")
    assert sandbox.level == "process"  # no more than that is known yet
    assert await asyncio.gather(*(sandbox.prepare() for _ in range(5))) == [level] * 5
    assert in_words(sandbox).startswith(f"{level}: each tool in a process of its own")
    assert (await ran(sandbox, tmp_path)).isolation == level
    await sandbox.close()


async def test_who_is_cancelled_while_choosing_leaves_it_to_the_next(tmp_path: Path, level: str):
    sandbox = ChosenSandbox(tmp_path / "home", tmp_path / "project")
    first = asyncio.create_task(sandbox.prepare())
    second = asyncio.create_task(sandbox.prepare())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second == level
    await sandbox.close()


async def test_a_tool_that_needs_kernel_is_denied_below_and_the_setting_is_named(tmp_path: Path, desk: Desk):
    result = await ran(desk.sandbox, tmp_path, "kernel")
    assert (result.status, result.isolation) == ("denied", "process")
    assert "needs isolation level kernel" in result.error
    assert "WORKBENCH_ISOLATION=process" in result.hint
    lowered = SpawnedSandbox(desk.home, desk.project, accepts="process")
    assert (await ran(lowered, tmp_path, "kernel")).status == "ok"


async def test_a_level_that_is_demanded_and_not_there_is_an_error_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(linux, "LEAST_ABI", 99)
    sandbox = ChosenSandbox(tmp_path / "home", tmp_path / "project", demanded="kernel")
    with pytest.raises(
        Unavailable, match="demands level kernel, and process is what there is: kernel: Landlock is too old"
    ):
        await ran(sandbox, tmp_path)
    assert sandbox.level == "process"
    await sandbox.close()


async def test_a_prepared_spare_serves_the_next_call_and_is_gone_after_closing(tmp_path: Path, desk: Desk):
    await desk.sandbox.prepare()
    spare = desk.sandbox._spare._waiting  # type: ignore[attr-defined]  # what nobody else needs to see
    assert spare.alive()
    assert (await ran(desk.sandbox, tmp_path)).status == "ok"
    assert spare.popen.returncode is not None
    following = desk.sandbox._spare._waiting  # type: ignore[attr-defined]  # as above
    assert following is not spare
    await desk.sandbox.close()
    assert following.popen.returncode is not None
    assert (await ran(desk.sandbox, tmp_path)).status == "ok"


@pytest.mark.parametrize(
    ("found", "needed", "met"),
    [
        ("process", "", True),
        ("process", "process", True),
        ("process", "kernel", False),
        ("kernel", "process", True),
        ("none", "process", False),
    ],
)
def test_levels_are_in_order(found: str, needed: str, met: bool):
    assert enough(found, needed) is met


def doctor(*arguments: str, mask: tuple[str, int] | None = None) -> subprocess.CompletedProcess[str]:
    if linux.supported():
        pytest.skip(linux.supported())
    command = [sys.executable, "-m", "workbench.cli"]
    if mask is not None:
        command = [sys.executable, "-c", MASKED, str(numbers()[mask[0]]), str(mask[1])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, "doctor", "--sandbox", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=environment,
    )


def test_the_doctor_says_the_level_and_what_was_tried():
    done = doctor("--require", "kernel", "--json")
    assert done.returncode == 0, done.stderr
    checks = json.loads(done.stdout)
    assert checks[0]["detail"].startswith("kernel: ")
    assert sum(check["check"].startswith("tried: ") for check in checks) >= 12
    assert all(check["ok"] == "yes" for check in checks)


@pytest.mark.parametrize(
    ("masked", "error", "words"),
    [
        ("landlock_create_ruleset", 38, "Landlock is not there"),
        ("landlock_restrict_self", 0, "the self-test failed"),
        ("landlock_add_rule", 0, ""),
        ("seccomp", 38, "not implemented"),
        ("seccomp", 0, "seccomp says yes and does nothing"),
    ],
)
def test_behind_a_mask_the_level_is_lower_and_require_refuses(masked: str, error: int, words: str):
    done = doctor("--require", "kernel", mask=(masked, error))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "isolation" in done.stdout
    assert "process: " in done.stdout
    assert words in done.stdout
    assert "Isolation level kernel is required; process is in force." in done.stderr
