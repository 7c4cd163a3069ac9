"""The tutorial on reports, run as a batch runs it: by papermill, with other parameters than it was saved with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
REPORT = NOTEBOOKS / "08_report.ipynb"


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the report for a region: papermill's exit code, what it said, and the texts of the notebook it wrote."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))

    def run(region: str) -> tuple[int, str, str]:
        out = tmp_path / f"{region}.ipynb"
        command = [sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", str(NOTEBOOKS)]
        done = subprocess.run(
            [*command, "-p", "region", region, str(REPORT), str(out)], capture_output=True, text=True, timeout=100
        )
        cells = nbformat.read(out, as_version=4).cells  # type: ignore[no-untyped-call]  # nbformat is not typed
        said = [output.get("text", "") for cell in cells for output in cell.get("outputs", ())]
        return done.returncode, done.stderr, "\n".join(said)

    return run


def test_another_region_makes_another_report(report):
    code, _, said = report("South")
    assert code == 0
    assert "South 2025: " in said
    assert "North" not in said


def test_a_region_that_is_not_there_fails_the_batch_and_is_named(report):
    code, stderr, _ = report("Atlantis")
    assert code == 1
    assert "Refused: I do not know “Atlantis” from your tables or tools." in stderr
