"""Tests of the user's project in a confined worker, over a copy, with new code in it before it is applied."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.conftest import load
from tests.tools.test_in_workers import Desk
from workbench import toolkit
from workbench.sandbox import linux
from workbench.sandbox.forked import ConfinedSandbox

run_tests = load("run_tests")
TEST = """import pathlib
from shop import price

def test_price(tmp_path):
    (tmp_path / "x").write_text("1")
    assert price(2) == 20
"""
CHANGES = {"files": [{"path": "shop.py", "content": "def price(n):\n    return n * 10\n"}], "diff": ""}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    if why := linux.supported():
        pytest.skip(why)
    desk = Desk(tmp_path)
    desk.project.mkdir()
    desk.sandbox = ConfinedSandbox(tmp_path / "home", desk.project)
    (desk.project / "shop.py").write_text("def price(n):\n    return n\n")
    (desk.project / "test_shop.py").write_text(TEST)
    return desk


async def test_new_code_is_tried_before_it_is_applied(desk: Desk) -> None:
    now = await desk.run("run_tests", command="pytest -q test_shop.py")
    assert now.status == "ok", now.error
    assert (now.value["passed"], now.value["exit"]) == (False, 1)
    assert "assert 2 == 20" in now.value["output"]
    new = await desk.run("run_tests", command="python -m pytest -q", changes=CHANGES)
    assert new.value["passed"], new.value["output"]
    assert new.value["formatted"].startswith("The tests passed: python -m pytest -q")
    assert (desk.project / "shop.py").read_text() == "def price(n):\n    return n\n"
    assert sorted(path.name for path in desk.project.iterdir()) == ["shop.py", "test_shop.py"]


async def test_unittest_and_files_run_too(desk: Desk) -> None:
    (desk.project / "test_unit.py").write_text(
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual(1, 1)\n"
    )
    (desk.project / "check.py").write_text(
        "import sys, shop\nprint(shop.price(3), sys.argv)\nsys.exit(shop.price(3) - 3)\n"
    )
    unit = await desk.run("run_tests", command="python -m unittest test_unit")
    assert unit.value["passed"], unit.value["output"]
    file = await desk.run("run_tests", command="python check.py a 'b c'")
    assert file.value["output"] == "3 ['check.py', 'a', 'b c']"
    assert file.value["passed"]


@pytest.mark.parametrize(
    "command", ["", "npm test", "bash -c 'rm -rf /'", "python -c 1", "pytest 'open", "make", "python -m http.server"]
)
def test_other_commands_are_refused_in_one_line(command: str) -> None:
    with pytest.raises(toolkit.Failed) as caught:
        run_tests.parsed(command)
    assert len(str(caught.value).splitlines()) == 1
    assert "pytest" in caught.value.hint


async def test_code_under_test_reaches_no_file_program_or_network_of_the_user(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("s3cr3t")
    (desk.project / "test_bad.py").write_text(
        "import pathlib, socket, subprocess, pytest\n"
        f"def test_file():\n    pathlib.Path({str(secret)!r}).read_text()\n"
        f"def test_write():\n    pathlib.Path({str(desk.project / 'shop.py')!r}).write_text('gone')\n"
        "def test_program():\n    subprocess.run(['true'])\n"
        "def test_network():\n    socket.create_connection(('127.0.0.1', 9), 1)\n"
        "def test_end():\n    raise SystemExit(0)\n"
    )
    result = await desk.run("run_tests", command="pytest -q --tb=line test_bad.py")
    assert not result.value["passed"]
    assert "5 failed" in result.value["output"]
    assert "s3cr3t" not in result.value["output"]
    assert (desk.project / "shop.py").read_text().startswith("def price")


@pytest.mark.parametrize("files", [[{"path": "../x.py", "content": ""}], [{"path": "x.py"}], [3], 7])
def test_what_are_no_changes_is_refused(files: object) -> None:
    with pytest.raises(toolkit.Failed, match=r"no changes of code|no path"):
        list(run_tests.contents({"files": files}))
