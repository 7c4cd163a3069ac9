"""A diffusion model in a folder of this machine, run with `diffusers` in a process of its own.

Not in a worker of the sandbox: torch wants threads, a graphics card, files of its own and more memory than a tool may
have, and the fork server can fork no process that has them. What runs here is our own program (`models.diffusing`) and
the model that the user's settings name, never a tool's code: it gets words and numbers, and gives PNGs. It is offline,
has no key and no variable of the user's, loads weights only as safetensors, and its whole process group is killed when
the call is over or stopped.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import workbench
from workbench.core.errors import Unavailable
from workbench.core.png import bare
from workbench.core.retries import Retries
from workbench.core.tools import digest
from workbench.models.base import Usage
from workbench.models.images import Painted, Progress, Wanted
from workbench.sandbox.course import environment
from workbench.sandbox.vetting import check_png

PREFIX = "diffusers:"
"""What WORKBENCH_IMAGE_MODEL begins with where a folder follows."""
MAX_LINE = 64 << 20
"""Bytes of one line from the process: a picture as base64."""
MAX_ERRORS = 8_000
"""Bytes of what the process writes to stderr that are kept."""

_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from workbench.models.diffusing import main; main()"


class Diffusion:
    """The pipeline in `folder`, loaded anew for each call. `command`: the program that paints, as `models.diffusing`
    does. One call at a time in a process: two would need the memory twice."""

    def __init__(self, folder: Path, command: Sequence[str] = ()) -> None:
        self.name = f"{folder.name} (diffusers)"
        self.endpoint = ""
        self._folder = folder
        ours = str(Path(workbench.__file__).absolute().parent.parent)
        self._command = list(command) or [sys.executable, "-I", "-c", _PROGRAM, ours]
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    def within(self, retries: Retries) -> Diffusion:
        return self  # what fails here fails again

    def price(self, usage: Usage) -> str:
        return "0"

    async def close(self) -> None:
        """Nothing outlives a call."""

    async def paint(self, wanted: Wanted, progress: Progress) -> Painted:
        started = time.monotonic()
        if not (self._folder / "model_index.json").is_file():
            raise Unavailable(
                f"There is no diffusers pipeline in {self._folder}.",
                hint="WORKBENCH_IMAGE_MODEL=diffusers:FOLDER names a folder with a model_index.json.",
            )
        seed = secrets.randbelow(2**31) if wanted.seed is None else wanted.seed
        asked = {
            "folder": str(self._folder),
            "prompt": wanted.prompt,
            "size": wanted.size,
            "seeds": [seed + at for at in range(wanted.count)],
            "steps": wanted.steps,
        }
        async with self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            pngs = await self._run(asked, progress)
        if len(pngs) != wanted.count:
            raise Unavailable(f"{self.name} made {len(pngs)} of {wanted.count} pictures.")
        return Painted(
            pngs=tuple(pngs),
            seeds=tuple(seed + at for at in range(wanted.count)),
            model=self.name,
            usd="0",
            seconds=time.monotonic() - started,
            request_sha256=digest({key: value for key, value in asked.items() if key != "folder"}),
        )

    async def _run(self, asked: Mapping[str, Any], progress: Progress) -> list[bytes]:
        """The pictures of one process, which is gone with all that it started when this returns."""
        with tempfile.TemporaryDirectory(prefix="workbench-diffusion-") as folder:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                cwd=folder,
                env=_environment(folder),
                limit=MAX_LINE,
            )
            heard: asyncio.Task[bytes] | None = None
            try:
                assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - pipes were asked for
                heard = asyncio.create_task(_last(process.stderr))
                with suppress(BrokenPipeError, ConnectionResetError):
                    process.stdin.write(json.dumps(asked).encode() + b"\n")
                    await process.stdin.drain()
                    process.stdin.close()
                return await self._listen(process.stdout, heard, progress)
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
                if heard is not None:
                    heard.cancel()

    async def _listen(self, lines: asyncio.StreamReader, heard: asyncio.Task[bytes], progress: Progress) -> list[bytes]:
        pngs: list[bytes] = []
        while True:
            try:
                line = await lines.readline()
            except ValueError:
                raise Unavailable(f"{self.name} sent a picture of more than {MAX_LINE >> 20} MB.") from None
            if not line:
                last = (await heard).decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
                raise Unavailable(
                    f"{self.name} ended before the picture was done{f': {last}' if last else ''}.",
                    hint="It may have run out of memory: ask for a smaller picture.",
                )
            match _read(line):
                case {"step": int(step), "of": int(of)}:
                    progress(f"step {step} of {of}" + (f", picture {len(pngs) + 1}" if len(pngs) else ""))
                case {"said": str(said)}:
                    progress(said[:200])
                case {"png": str(text)}:
                    pngs.append(self._png(text))
                case {"done": True}:
                    return pngs
                case {"error": str(error), **rest}:
                    raise Unavailable(error[:500], hint=str(rest.get("hint", ""))[:500])
                case _:
                    raise Unavailable(f"{self.name} sent something that is no answer.")

    def _png(self, text: str) -> bytes:
        try:
            data = base64.b64decode(text, validate=True)
            check_png(data)
        except (binascii.Error, ValueError) as error:
            raise Unavailable(f"{self.name} made a broken picture: {error}.") from None
        return bare(data)


def _read(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


async def _last(stream: asyncio.StreamReader) -> bytes:
    """The end of all that is written to a stream."""
    kept = b""
    while data := await stream.read(1 << 16):
        kept = (kept + data)[-MAX_ERRORS:]
    return kept


def _environment(folder: str) -> dict[str, str]:
    """What the process starts with: nothing of the user's. It may use all processors, and goes to no hub."""
    kept = {name: value for name, value in environment().items() if not name.endswith("_NUM_THREADS")}
    return kept | {
        "HOME": folder,
        "TMPDIR": folder,
        "HF_HOME": folder,
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DIFFUSERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
    }
