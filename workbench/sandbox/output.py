"""What a worker prints, read as it comes and up to a limit. Never to its end: whoever got away may hold it open."""

from __future__ import annotations

import asyncio
import os

from workbench.sandbox import files


class Output:
    """Reads a pipe on the running loop. `data` is what came so far, `flooded` is set when it reached `most` bytes."""

    def __init__(self, pipe: int, most: int) -> None:
        self._pipe = pipe
        self._most = most
        self._loop = asyncio.get_running_loop()
        self.data = bytearray()
        self.flooded = asyncio.Event()
        os.set_blocking(pipe, False)
        self._loop.add_reader(pipe, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._pipe, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.data += data[: max(0, self._most - len(self.data))]
        if len(data) and len(self.data) == self._most:
            self.flooded.set()
        if not data or self.flooded.is_set():
            self._loop.remove_reader(self._pipe)

    def close(self) -> None:
        """Take what is in the pipe now, and leave it. Idempotent."""
        if self._pipe < 0:
            return
        self._loop.remove_reader(self._pipe)
        while not self.flooded.is_set():
            before = len(self.data)
            self._read()
            if len(self.data) == before:
                break
        self._loop.remove_reader(self._pipe)
        files.close([self._pipe])
        self._pipe = -1
