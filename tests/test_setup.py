"""`make setup` on other people's machines."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Read before the fixtures give the tests another home: installing needs the settings of the user's pip.
ENVIRONMENT = dict(os.environ)


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in ENVIRONMENT.items() if not name.startswith(("MAKE", "VIRTUAL_ENV"))}
    command = ["make", "--no-print-directory", "-C", str(folder), *arguments]
    return subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=False)


def test_an_old_python_is_refused_in_one_line(tmp_path: Path):
    for name in ("Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)

    done = make(tmp_path, "demo", f"PYTHON={old}")

    said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("make: ***")]
    assert done.returncode != 0
    assert len(said) == 1
    assert said[0].startswith("Python 3.11 or newer is needed; ")
    assert "is Python 3.9.2. Try: make demo PYTHON=" in said[0]


@pytest.mark.fresh
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_fresh_clone_sets_itself_up_and_is_quick_the_second_time(tmp_path: Path, installer: str):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(getattr(sys, "_base_executable", sys.executable))
    if installer == "uv":
        (programs / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    path = f"{programs}:/usr/bin:/bin"
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)

    first, second = make(clone, "setup", PATH=path), make(clone, "setup", PATH=path)

    assert first.returncode == 0, first.stderr
    assert (second.returncode, second.stdout) == (0, "make: Nothing to be done for 'setup'.\n")
    assert (clone / ".venv/share/jupyter/labextensions/agent-workbench/package.json").exists()
    shows = [str(clone / ".venv/bin/python"), "-c", "import workbench; print(workbench.__file__)"]
    where = subprocess.run(shows, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert Path(where.stdout.strip()) == clone / "workbench" / "__init__.py", where.stderr
