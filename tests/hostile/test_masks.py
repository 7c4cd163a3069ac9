"""On a system that lacks what confinement needs, or that lies about it, the level that is told is lower."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.hostile.mask import MASKS
from tests.hostile.room import Room

MASK = str(Path(__file__).with_name("mask.py"))
DOCTOR = "import sys; from workbench.cli import main; sys.exit(main(sys.argv[1:]))"
LEVEL = """
import asyncio, os
from pathlib import Path
from workbench.sandbox.choose import ChosenSandbox, in_words
sandbox = ChosenSandbox(Path(os.environ["WORKBENCH_HOME"]), Path.home())
asyncio.run(sandbox.prepare())
print(in_words(sandbox))
asyncio.run(sandbox.close())
"""


def masked(guest: Room, mask: str, code: str, *arguments: str) -> tuple[int, str]:
    """Exit status and words of Python code under a mask."""
    command = [MASK, mask, sys.executable, "-c", code, *arguments]
    folders = {"WORKBENCH_HOME": str(guest.home / "data"), "WORKBENCH_CONFIG": str(guest.home / "config")}
    with guest.program(command, **folders) as running:
        said = running.rest(100)
        return running.ended(), said + running.log


@pytest.mark.parametrize("mask", [mask for mask in MASKS if mask != "nothing"])
def test_what_the_kernel_does_not_hold_is_not_said_to_be_held(guest: Room, mask: str):
    status, said = masked(guest, mask, LEVEL)
    assert status == 0, said
    assert said.startswith("process: "), said
    assert "not kernel: " in said


def test_without_a_mask_the_level_is_kernel(guest: Room):
    status, said = masked(guest, "nothing", LEVEL)
    assert (status, said.startswith("kernel: ")) == (0, True), said


@pytest.mark.kills
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("mask", "status", "words"),
    [
        ("nothing", 0, "kernel: each tool"),
        ("landlock says yes and does nothing", 3, "process is in force"),
        ("seccomp is not built in", 3, "process is in force"),
    ],
)
def test_the_doctor_refuses_a_level_that_is_too_low(guest: Room, mask: str, status: int, words: str):
    found, said = masked(guest, mask, DOCTOR, "doctor", "--sandbox", "--require", "kernel")
    assert (found, words in said) == (status, True), said
