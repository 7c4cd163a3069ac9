"""A notebook that was recorded runs in a fresh clone, by a fresh user, without a network, and shows the same bytes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.replay.recording import places, record
from tests.replay.scripts import ROOT, TUTORIALS

NAME = "04_replay_and_share.ipynb"
SCRIPT = TUTORIALS[NAME]
CELLS = (
    "%load_ext workbench\nimport pandas as pd\nsales = pd.read_csv('../data/samples/sales.csv')",
    "%workbench cassette x.cassette",
    "%agent which region earned most in 2025? plot it @sales",
    "run = %agent which region earned most in 2025? plot it @sales\nrun.df",
)

# What a process does to reach another, seen from inside; the sockets of the kernel's own messages are not Python's.
GUARD = """
import os, sys

def guard(event, arguments):
    if event not in ("socket.connect", "socket.sendto") or arguments[0].family.name not in ("AF_INET", "AF_INET6"):
        return
    if arguments[1][0] != os.environ["GUARD_OPEN"]:
        with open(os.environ["GUARD_LOG"], "a") as log:
            log.write(f"{event} {arguments[1]!r}\\n")
        raise RuntimeError("no socket may be opened here")

sys.addaudithook(guard)
"""
# A network of its own with nobody in it: only its own loopback, over which a kernel is spoken with.
ALONE = """
import ctypes, fcntl, os, socket, struct, sys
if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
    sys.exit(77)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14s", b"lo", 0x1 | 0x40, b""))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder of a notebook with its cassette, and the notebook as it was when that was recorded."""
    folder = tmp_path_factory.mktemp("author") / "project"
    (folder / "notebooks").mkdir(parents=True)
    (folder / "data" / "samples").mkdir(parents=True)
    shutil.copy(ROOT / "data" / "samples" / "sales.csv", folder / "data" / "samples")
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]  # type: ignore[no-untyped-call]  # not typed
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    notebook = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]  # as above
    path = folder / "notebooks" / "x.ipynb"
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]  # as above
    executed, server = asyncio.run(record(path, SCRIPT, tmp_path_factory.mktemp("home")))
    assert len(server.chats) == 4
    nbformat.write(executed, path)  # type: ignore[no-untyped-call]  # as above
    return folder, executed


def without_network(folder: Path, home: Path, *command: str, own: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python in `folder` as a fresh user whose sockets are blocked, except to the address `own`; `home` then holds
    a log of what was tried."""
    (home / "guard").mkdir(parents=True)
    (home / "guard" / "sitecustomize.py").write_text(GUARD)
    env = {
        **os.environ,
        **places(home),
        "HOME": str(home),
        "WORKBENCH_REPLAY": "strict",
        "PYTHONPATH": os.pathsep.join([str(home / "guard"), str(ROOT)]),
        "GUARD_LOG": str(home / "guard.log"),
        "GUARD_OPEN": own,
    }
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *command], cwd=folder, env=env, capture_output=True, text=True, timeout=180
    )
    if done.returncode == 77:
        pytest.skip("a network namespace needs root")
    return done


@pytest.mark.timeout(240)
def test_a_recorded_notebook_runs_the_same_in_a_fresh_clone_with_its_sockets_blocked(recorded, tmp_path):
    folder, first = recorded
    clone, home = tmp_path / "clone", tmp_path / "user"
    shutil.copytree(folder, clone)
    cassette = (clone / "notebooks" / "x.cassette").read_bytes()
    for private in (str(folder), str(Path.home()), "127.0.0.1", "localhost"):
        assert private.encode() not in cassette

    code = (
        "import asyncio, nbformat, pathlib, tests.replay.recording as r;"
        "nb = asyncio.run(r.run(pathlib.Path('x.ipynb').absolute(), dict(r.os.environ)));"
        "nbformat.write(nb, 'again.ipynb')"
    )
    done = without_network(clone / "notebooks", home, "-c", code)
    assert done.returncode == 0, done.stderr
    again = nbformat.read(clone / "notebooks" / "again.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    assert shown(again) == shown(first)
    assert b"image/png;base64" in json.dumps(shown(again)).encode()
    assert not (home / "guard.log").exists()
    assert (clone / "notebooks" / "x.cassette").read_bytes() == cassette

    (clone / "notebooks" / "again.ipynb").unlink()
    done = without_network(clone / "notebooks", tmp_path / "other", "-m", "pytest", "-q", "--nbval", "x.ipynb")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CELLS)} passed" in done.stdout
    assert not (tmp_path / "other" / "guard.log").exists()


@pytest.mark.timeout(240)
def test_every_tutorial_with_a_cassette_shows_what_is_committed_in_a_fresh_clone_with_its_sockets_blocked(tmp_path):
    """To the byte, pictures and sounds included."""
    clone, home = tmp_path / "clone", tmp_path / "user"
    shutil.copytree(ROOT / "data", clone / "data")
    (clone / "pyproject.toml").touch()  # what marks a project
    (clone / "notebooks").mkdir()
    for name in TUTORIALS:
        shutil.copy(ROOT / "notebooks" / name, clone / "notebooks")
        shutil.copy((ROOT / "notebooks" / name).with_suffix(".cassette"), clone / "notebooks")
    code = (
        "import asyncio, nbformat, pathlib, tests.replay.recording as r\n"
        "two = asyncio.Semaphore(2)\n"
        "async def again(path):\n"
        "    home = pathlib.Path(r.os.environ['HOME']) / path.stem\n"
        "    async with two:\n"
        "        nbformat.write(await r.run(path, r.places(home)), path.with_suffix('.again'))\n"
        "async def all():\n"
        "    await asyncio.gather(*map(again, pathlib.Path().absolute().glob('*.ipynb')))\n"
        "asyncio.run(all())\n"
    )
    # The sandbox tries its own doors in the cells that are no replay; nobody else is there.
    done = without_network(clone / "notebooks", home, "-c", code, own="127.0.0.1")
    assert done.returncode == 0, done.stderr
    assert not (home / "guard.log").exists()
    for name in TUTORIALS:
        path = clone / "notebooks" / name
        again = nbformat.read(path.with_suffix(".again"), as_version=4)  # type: ignore[no-untyped-call]  # as above
        committed = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # as above
        assert shown(again) == shown(committed), name
        cassette = path.with_suffix(".cassette").read_bytes()
        assert cassette == (ROOT / "notebooks" / name).with_suffix(".cassette").read_bytes()
        for private in (str(ROOT), str(Path.home()), "127.0.0.1", "localhost"):
            assert private.encode() not in cassette, name


def shown(notebook: Any) -> list[Any]:
    """All that a notebook shows: its outputs without the metadata, in which run ids and times are."""
    outputs = [[dict(output) for output in cell.outputs] for cell in notebook.cells if cell.cell_type == "code"]
    for output in (one for cell in outputs for one in cell):
        output.pop("metadata", None)
    return outputs


def test_the_guard_sees_what_is_tried(tmp_path):
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    done = without_network(tmp_path, tmp_path / "user", "-c", code)
    assert done.returncode == 1
    assert "no socket may be opened here" in done.stderr
    assert "socket.connect" in (tmp_path / "user" / "guard.log").read_text()


@pytest.mark.parametrize("name", sorted(TUTORIALS))
def test_a_tutorial_has_its_cassette_beside_it_and_says_that_no_model_was_recorded(name):
    cassette = (ROOT / "notebooks" / name).with_suffix(".cassette")
    assert cassette.exists()
    text = (ROOT / "notebooks" / name).read_text("utf-8")
    assert f"%workbench cassette {cassette.name} strict" in text
    assert "recorded against a small server" in " ".join(text.replace('\\n",', "").replace('"', "").split())
