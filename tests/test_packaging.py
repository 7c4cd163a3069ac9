"""What is declared, what is pinned and what is built agree with each other."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PYTHONS = ["3.11.0", "3.11.9", "3.12.4", "3.13.1"]
GIANTS = {"jax", "tensorflow", "torch", "transformers"}
TOP_LEVEL = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "environment.yml",
    "pyproject.toml",
    "requirements.txt",
    ".ci/run",
    ".github/workflows/ci.yml",
    "data/samples/README.md",
    "tests/corpus/README.md",
    "tools",
    "workbench/py.typed",
]


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [Requirement(line) for line in (*project["project"]["dependencies"], *project["dependency-groups"]["dev"])]


def pins() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def disagreements(declared: Iterable[Requirement], pinned: Iterable[str]) -> list[str]:
    """What is wrong with the pins, in words; empty when they serve every supported Python on Linux."""
    found = []
    requirements = []
    for line in pinned:
        if re.search(r"://|\s--hash|^-|@", line):
            found.append(f"{line}: an address, a hash or an option")
        elif not re.fullmatch(r"==[^,*]+", str(Requirement(line).specifier)):
            found.append(f"{line}: not one exact version")
        else:
            requirements.append(Requirement(line))
    for python in PYTHONS:
        place = {"python_version": python.rpartition(".")[0], "python_full_version": python, "sys_platform": "linux"}
        versions: dict[str, str] = {}
        for pin in requirements:
            if pin.marker is None or pin.marker.evaluate(place):
                if canonicalize_name(pin.name) in versions:
                    found.append(f"{pin.name}: two versions on Python {python}")
                versions[canonicalize_name(pin.name)] = next(iter(pin.specifier)).version
        for wanted in declared:
            if wanted.marker is not None and not wanted.marker.evaluate(place):
                continue
            version = versions.get(canonicalize_name(wanted.name))
            if version is None or not wanted.specifier.contains(version, prereleases=True):
                found.append(f"{wanted}: pinned is {version} on Python {python}")
    return found


def test_every_dependency_is_pinned_within_its_bounds():
    assert disagreements(declared(), pins()) == []


@pytest.mark.parametrize(
    ("pinned", "complaint"),
    [
        ([], "pinned is None"),
        (["tidy==1.0"], "pinned is 1.0"),
        (["tidy==2.0 ; python_version < '3.12'"], "pinned is None on Python 3.12"),
        (["tidy==2.0", "tidy==2.1"], "two versions"),
        (["tidy>=2.0"], "not one exact version"),
        (["tidy==2.*"], "not one exact version"),
        (["tidy @ https://example.org/tidy-2.0.whl"], "an address"),
        (["--index-url https://example.org", "tidy==2.0"], "an address"),
        (["tidy==2.0 --hash=sha256:00"], "a hash"),
    ],
)
def test_bad_pins_are_noticed(pinned: list[str], complaint: str):
    assert complaint in "\n".join(disagreements([Requirement("tidy>=2.0")], pinned))


def test_dependencies_have_a_lower_bound_and_no_upper():
    assert [str(wanted) for wanted in declared() if not re.fullmatch(r">=[\d.]+", str(wanted.specifier))] == []


def test_nothing_pulls_in_a_giant():
    assert {canonicalize_name(Requirement(line).name) for line in pins()} & GIANTS == set()


def test_conda_and_binder_get_the_same_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python, pip, section = environment["dependencies"]
    assert environment["name"] == project["name"]
    assert python.startswith(f"python{project['requires-python']}")
    assert pip == "pip"
    assert section == {"pip": ["-r requirements.txt", "-e ."]}


def test_the_top_level_is_as_documented():
    assert [name for name in TOP_LEVEL if not (ROOT / name).exists()] == []


def test_the_command_is_installed():
    command = next(iter(entry_points(group="console_scripts", name="workbench")))
    assert command.value == "workbench.cli:main"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return zipfile.Path(next(folder.glob("agent_workbench-*.whl")))


def test_the_wheel_carries_the_package_its_types_and_the_shipped_tools(wheel: zipfile.Path):
    assert (wheel / "workbench" / "py.typed").exists()
    shipped = {file.name for file in (wheel / "workbench" / "_shipped_tools").iterdir()}
    assert shipped == {file.name for file in (ROOT / "tools").iterdir() if file.name != "__pycache__"}


def test_the_wheel_installs_nothing_but_the_package(wheel: zipfile.Path):
    assert {part.name.partition("-")[0] for part in wheel.iterdir()} == {"workbench", "agent_workbench"}
    licences = [name for name in wheel.root.namelist() if name.endswith("licenses/LICENSE")]
    assert len(licences) == 1


def test_the_wheel_carries_the_extension_of_jupyterlab_with_all_that_it_draws_with(wheel: zipfile.Path):
    (data,) = [part for part in wheel.iterdir() if part.name.endswith(".data")]
    extension = data / "data" / "share" / "jupyter" / "labextensions" / "agent-workbench"
    told = json.loads((extension / "package.json").read_text(encoding="utf-8"))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert (told["name"], told["version"]) == ("agent-workbench", version)
    carried = {file.name: file.read_text(encoding="utf-8") for file in (extension / "static").iterdir()}
    assert told["jupyterlab"]["_build"]["load"].removeprefix("static/") in carried
    asked_for = set(re.findall(r'"(\w+\.(?:js|css))"', "".join(carried.values())))
    assert asked_for <= set(carried)
    assert {"outputs.js", "dom.js", "results.js", "results.css"} <= asked_for


def test_jupyterlab_has_the_extension_enabled(own_home: Path):
    listed = subprocess.run(
        [sys.executable, "-m", "jupyter", "labextension", "list"], capture_output=True, text=True, check=True
    )
    (line,) = [line for line in (listed.stdout + listed.stderr).splitlines() if "agent-workbench" in line]
    assert "enabled" in line
    assert "OK" in line


def test_every_module_of_the_package_is_in_the_wheel(wheel: zipfile.Path):
    modules = {str(path.relative_to(ROOT)) for path in Path(ROOT, "workbench").rglob("*.py")}
    assert modules <= set(wheel.root.namelist())
