"""A package of a stranger, built and installed for real from a marketplace on disk, without any registry."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.web import Reply, serving
from workbench import marketplace
from workbench.core.errors import Refused, Unavailable

Run = Callable[..., subprocess.CompletedProcess[str]]
PERMISSIONS = ["network api.acme.example", "calls http"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample package, built."""
    folder = tmp_path_factory.mktemp("market")
    source = shutil.copytree(ROOT / "tests" / "plugin", folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    return next(folder.glob("acme_greet-*.whl"))


def entry(wheel: Path, **changed: Any) -> dict[str, Any]:
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    fields = {"name": "acme-greet", "version": "1.2", "summary": "Greets people.", "file": wheel.name}
    return {**fields, "sha256": sha256, "permissions": PERMISSIONS, **changed}


def index(wheel: Path, *entries: dict[str, Any]) -> Path:
    path = wheel.parent / "index.json"
    path.write_text(json.dumps({"packages": list(entries)}))
    return path


@pytest.fixture
def run(tmp_path: Path, wheel: Path) -> Run:
    """Run the workbench in an environment of its own, which sees the packages of this one."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "ours.pth").write_text(f"{ROOT}\n{sysconfig.get_paths()['purelib']}\n")
    project = tmp_path / "project"
    (project / ".workbench").mkdir(parents=True)
    beside = Path(sys.executable).with_name("uv")
    if beside.is_file():
        (venv / "bin" / "uv").symlink_to(beside)

    def command(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "WORKBENCH_CONFIG": str(tmp_path / "config"),
            "WORKBENCH_MARKETPLACE": str(wheel.parent / "index.json"),
            "ACME_TRACE": str(tmp_path / "trace"),
            **env,
        }
        return subprocess.run(
            [str(venv / "bin" / "python"), "-m", "workbench.cli", *arguments],
            cwd=project,
            env=given,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return command


@pytest.mark.fresh
def test_a_package_is_listed_installed_listed_again_trusted_and_used(run: Run, wheel: Path, tmp_path: Path):
    index(wheel, entry(wheel))
    available = run("plugins", "available")
    assert "acme-greet" in available.stdout
    assert "network api.acme.example" in available.stdout
    unasked = run("plugins", "install", "acme-greet")
    assert (unasked.returncode, "was not installed" in unasked.stderr) == (1, True)
    done = run("plugins", "install", "acme-greet", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Its tools ask for: network api.acme.example, calls http." in done.stdout
    rows = json.loads(run("plugins", "--json").stdout)
    found = [(row["plug-in"], row["is a"]) for row in rows]
    assert found == [("shout", "tool"), ("acme", "model"), ("acme", "memory"), ("greeter", "persona")]
    listed = {row["plug-in"]: row for row in rows}
    assert (listed["shout"]["package"], listed["shout"]["state"]) == ("acme-greet 1.2", "not trusted yet")
    assert run("tool", "shout", "--param", "name=Ada").returncode == 1
    (path,) = (tmp_path / "venv").glob("lib/python*/site-packages/acme_greet/tools/shout.py")
    assert run("trust", str(path), "--yes").returncode == 0
    used = run("tool", "shout", "--param", "name=Ada")
    assert (used.returncode, "HELLO ADA!" in used.stdout) == (0, True)
    assert run("ask", "--persona", "greeter", "shout Ada").returncode == 0
    assert not (tmp_path / "trace").exists()  # all of it without importing the package once


@pytest.mark.fresh
def test_a_model_and_a_memory_of_a_plug_in_are_imported_when_a_setting_names_them(
    run: Run, wheel: Path, tmp_path: Path
):
    index(wheel, entry(wheel))
    assert run("plugins", "install", "acme-greet", "--yes").returncode == 0
    asked = run("ask", "what is the answer", WORKBENCH_MODEL="acme:Ada", WORKBENCH_MEMORY_PLUGIN="acme")
    assert (asked.returncode, "Ada says 42." in asked.stdout) == (0, True), asked.stderr
    assert (tmp_path / "trace").exists()
    assert "[]" in run("runs", "--json", WORKBENCH_MEMORY_PLUGIN="acme").stdout  # it forgot with the process
    missing = run("runs", WORKBENCH_MEMORY_PLUGIN="other")
    assert "There is no plug-in other that keeps a memory" in missing.stderr


@pytest.mark.fresh
def test_what_asks_for_more_than_the_marketplace_says_is_told(run: Run, wheel: Path):
    index(wheel, entry(wheel, permissions=["calls http"]))
    done = run("plugins", "install", "acme-greet", "--yes")
    assert "shout asks for more than the marketplace says: network api.acme.example" in done.stderr


@pytest.mark.fresh
def test_another_file_than_the_one_that_was_named_is_not_installed(run: Run, wheel: Path, tmp_path: Path):
    index(wheel, entry(wheel, sha256="0" * 64))
    done = run("plugins", "install", "acme-greet", "--yes")
    assert (done.returncode, "is not the file that the marketplace names" in done.stderr) == (1, True)
    assert not list((tmp_path / "venv").glob("lib/python*/site-packages/acme_greet"))


@pytest.mark.parametrize(
    ("stands", "said"),
    [
        ("nothing", "no JSON"),
        ('{"packages": 3}', "packages"),
        ('{"packages": [{"name": "../x", "file": "x.whl", "sha256": "0"}]}', "packages.0"),
        ('{"packages": [{"name": "x", "file": "x.tar.gz", "sha256": "' + "0" * 64 + '"}]}', "packages.0.file"),
        ("[" * 10_000, "no JSON"),
    ],
)
def test_an_index_that_is_none_is_one_line(tmp_path: Path, stands: str, said: str):
    (tmp_path / "index.json").write_text(stands)
    with pytest.raises(Unavailable) as raised:
        marketplace.packages(str(tmp_path / "index.json"))
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_no_marketplace_and_one_that_is_not_there_are_told():
    with pytest.raises(Refused, match="WORKBENCH_MARKETPLACE"):
        marketplace.packages("")
    with pytest.raises(Unavailable, match="cannot be read"):
        marketplace.packages("/nowhere/index.json")
    with pytest.raises(Unavailable, match="no https address"):
        marketplace.packages("http://example.com/index.json")


def test_an_index_at_an_address_is_read_and_its_files_beside_it(wheel: Path, tmp_path: Path):
    with serving() as server:
        server.replies = [Reply(body={"packages": [entry(wheel)]}), Reply(body=wheel.read_bytes())]
        place = f"{server.url}/plugins/index.json"
        (package,) = marketplace.packages(place)
        path = marketplace.fetched(place, package, tmp_path)
        assert [heard.line.split()[1] for heard in server.heard] == ["/plugins/index.json", f"/plugins/{wheel.name}"]
        assert path.read_bytes() == wheel.read_bytes()
        server.replies = [Reply(status=404)]
        with pytest.raises(Unavailable, match="answers 404"):
            marketplace.packages(place)
        server.replies = [Reply(body=b"x" * 3_000_000)]
        with pytest.raises(Unavailable, match="more than 2,000,000 bytes"):
            marketplace.packages(place)
