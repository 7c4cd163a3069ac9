"""Runs a notebook headless against a model server of our own, so that its cassette is recorded; and again without one.

`python -m tests.replay.recording` records the tutorials' cassettes anew and saves what the tutorials then show; with
numbers behind it (`06 11`) only those.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.models.servers import Server, serving
from tests.replay.scripts import ROOT, TUTORIALS, Script


async def run(path: Path, env: Mapping[str, str]) -> Any:
    """The notebook at `path`, executed in its own folder by a kernel with these variables and no others of ours."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed
    client = NotebookClient(
        notebook,
        timeout=120,
        startup_timeout=120,
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
    )
    theirs = ("OPENAI_", "WORKBENCH_", "TAVILY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    await client.async_execute(env={**kept, **env})
    return notebook


async def record(path: Path, script: Script, home: Path) -> tuple[Any, Server]:
    """The notebook as it was executed while its cassette was recorded, and the server that answered it."""
    async with serving(script) as server:
        env = script.variables(server.base_url) | {"WORKBENCH_REPLAY": "off"}
        notebook = await run(path, {**env, **places(home)})
    return notebook, server


def places(home: Path) -> dict[str, str]:
    """Where a kernel keeps what it records: nothing of this user's."""
    return {"WORKBENCH_HOME": str(home / "home"), "WORKBENCH_CONFIG": str(home / "config")}


async def _tutorials(*numbers: str) -> None:
    for name, script in TUTORIALS.items():
        if numbers and not name.startswith(numbers):
            continue
        path = ROOT / "notebooks" / name
        path.with_suffix(".cassette").unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as home:
            await record(path, script, Path(home) / "recording")
            replayed = await run(path, places(Path(home) / "replay"))
        nbformat.write(replayed, path)  # type: ignore[no-untyped-call]  # as above


if __name__ == "__main__":
    asyncio.run(_tutorials(*sys.argv[1:]))
