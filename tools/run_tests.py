"""Runs Python tests over a copy of your project, with code that an earlier step has written already in it."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from workbench import toolkit

PERMISSIONS = {"read": ["."]}
ISOLATION = "kernel"
EFFECT = "read"
TIMEOUT = 300
EXAMPLES = ["run the tests", "run {command} with the new code"]

MAX_FILES = 5_000
MAX_BYTES = 100_000_000
MAX_OUTPUT = 12_000
LEFT_OUT = frozenset({"node_modules", "__pycache__", "venv", "build", "dist", "artifacts"})
COMMANDS = "It is one of: pytest …, python -m pytest …, python -m unittest …, python FILE."


def run(command: str = "pytest -q", changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return {"passed": …, "output": …}. The project itself is not touched; there is no network and no other program,
    so that only tests in Python can run.

    Args:
        command: pytest, python -m unittest or a Python file, with its arguments.
        changes: what generate_code has given, to be tried before it is applied.
    """
    words = parsed(command)
    left_out = copied(toolkit.project(), Path.cwd())
    for path, text in contents(changes or {}):
        place = Path.cwd() / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode("utf-8"))
    code, output = ran(words)
    output = (
        output if len(output) <= MAX_OUTPUT else f"… {len(output) - MAX_OUTPUT:,} characters\n{output[-MAX_OUTPUT:]}"
    )
    verdict = "The tests passed" if code == 0 else f"The tests did not pass (exit code {code})"
    note = f"\nNot copied: {left_out:,} files beyond what a copy may have." if left_out else ""
    return {"passed": code == 0, "exit": code, "output": output, "formatted": f"{verdict}: {command}{note}\n\n{output}"}


def parsed(command: str) -> list[str]:
    """What to run: the name of a module or of a file, and its arguments. Raises Failed for anything else."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise toolkit.Failed(f"The command cannot be read: {error}.", hint=COMMANDS) from None
    if words[:2] in (["python", "-m"], ["python3", "-m"]):
        words = words[2:]
    elif words[:1] in (["python"], ["python3"]) and words[1:] and words[1].endswith(".py"):
        return words[1:]
    if not words or words[0] not in ("pytest", "unittest"):
        raise toolkit.Failed(f"{command[:100]!r} cannot be run here.", hint=COMMANDS)
    return words


def contents(changes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The files of a step that has written code. Raises Failed for anything else."""
    files = changes.get("files", []) if changes else []
    for file in files if isinstance(files, list) else [None]:
        path = PurePosixPath(str(file.get("path", ""))) if isinstance(file, dict) else PurePosixPath("")
        if not isinstance(file, dict) or not isinstance(file.get("content"), str) or not path.name:
            raise toolkit.Failed("These are no changes of code.", hint="Give the result of generate_code.")
        if path.is_absolute() or ".." in path.parts:
            raise toolkit.Failed(f"{path} is no path in the project.", hint="Give the result of generate_code.")
        yield str(path), file["content"]


def copied(project: Path, to: Path) -> int:
    """Copy the visible files of the project; how many were too many or too large."""
    files = size = left_out = 0
    for above, folders, names in os.walk(project):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in LEFT_OUT)
        for name in sorted(names):
            source = Path(above) / name
            if name.startswith(".") or not source.is_file() or source.is_symlink():
                continue
            files, size = files + 1, size + source.stat().st_size
            if files > MAX_FILES or size > MAX_BYTES:
                left_out += 1
                continue
            place = to / source.relative_to(project)
            place.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # what cannot be read is no part of the copy
                shutil.copyfile(source, place)
    return left_out


def ran(words: list[str]) -> tuple[int, str]:
    """The exit code and what was printed."""
    sys.path.insert(0, str(Path.cwd()))
    sys.dont_write_bytecode = True
    said = io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            if words[0] == "pytest":
                import pytest

                code = int(pytest.main([*words[1:], "-p", "no:cacheprovider", "--color=no"]))
            elif words[0] == "unittest":
                sys.argv = words
                runpy.run_module("unittest", run_name="__main__", alter_sys=True)
            else:
                sys.argv = words
                runpy.run_path(words[0], run_name="__main__")
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except Exception as error:  # noqa: BLE001 - whatever the code raises is what its run shows
            print(f"{type(error).__name__}: {error}", file=said)
            code = 1
    return code or 0, said.getvalue().strip()
