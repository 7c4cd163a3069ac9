"""A room for hostile code: a throwaway user with no other processes, own folders, own network, ceilings and a watchdog.

Only root can furnish one, so the tests that need it are skipped for anyone else.
"""

from __future__ import annotations

import json
import os
import pwd
import queue
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tests.hostile.case import Case, Outcome
from tests.hostile.listeners import METADATA, OTHER_MACHINE
from tests.hostile.plants import canary

ROOT = Path(__file__).resolve().parents[2]
ENTER = Path(__file__).with_name("enter.py")
GB = 1 << 30
LIMITS = {
    "RLIMIT_AS": 24 * GB,
    "RLIMIT_FSIZE": 2 * GB,
    "RLIMIT_NPROC": 2000,
    "RLIMIT_NOFILE": 8192,
    "RLIMIT_CPU": 600,
    "RLIMIT_CORE": 0,
}
PATIENCE = 15.0
"""Seconds beyond its own deadline after which a case's host counts as dead."""


def missing() -> str:
    """Why there can be no room here; empty when there can."""
    if sys.platform != "linux":
        return "hostile code runs on Linux only"
    return "" if os.geteuid() == 0 else "hostile code needs root, to give root up for a throwaway user"


class Room:
    """One throwaway user. `key` is the canary in the environment of its programs."""

    def __init__(self) -> None:
        self.uid = free_uid()
        self.home = Path(f"/home/guest-{self.uid}")
        self.key = canary("ENV")

    @contextmanager
    def program(self, arguments: Sequence[str], given: str = "", **environment: str) -> Iterator[Running]:
        """A Python program as the user, in the checkout; everything of the user has ended afterwards."""
        listens, control = os.pipe()
        spec = {
            "uid": self.uid,
            "control": listens,
            "home": str(self.home),
            "cwd": str(ROOT),
            "needs": sorted({str(ROOT), sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent)}),
            "disk": "3g",
            "memory": min(5 * GB, total_memory() // 2),
            "addresses": [OTHER_MACHINE, METADATA],
            "limits": LIMITS,
            "env": {
                "HOME": str(self.home),
                "USER": self.home.name,
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
                "OPENAI_API_KEY": self.key,
                **environment,
            },
        }
        command = [sys.executable, "-I", str(ENTER), json.dumps(spec), sys.executable, *arguments]
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, pass_fds=[listens]
            )
            os.close(listens)
            running = Running(process, control, log, given)
            try:
                yield running
            finally:
                running.stop()
                end = [sys.executable, "-I", str(ENTER), json.dumps({"uid": self.uid, "control": -1}), "end"]
                subprocess.run(end, check=True)


class Running:
    """A program in the room. `line` gives what it writes, line by line."""

    def __init__(self, process: subprocess.Popen[bytes], control: int, log: IO[bytes], given: str) -> None:
        self.process = process
        self._control = control
        self._log = log
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert process.stdin is not None
        try:
            process.stdin.write(given.encode())
            process.stdin.close()
        except BrokenPipeError:
            pass

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def line(self, seconds: float) -> str | None:
        """The next line; None when the program writes no more. Raises TimeoutError when it is silent for so long."""
        try:
            found = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"nothing was written for {seconds:g} s") from None
        return None if found is None else found.decode()

    def rest(self, seconds: float) -> str:
        """Everything that it writes until it ends."""
        parts = []
        while (line := self.line(seconds)) is not None:
            parts.append(line)
        return "".join(parts)

    @property
    def log(self) -> str:
        """The end of what it complained about."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-4000:]

    def stop(self) -> None:
        """End it and everything of its user. Idempotent."""
        if self._control >= 0:
            os.close(self._control)
            self._control = -1
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def ended(self, seconds: float = PATIENCE) -> int:
        """Its exit status once it has ended by itself; 128 and the signal's number when it was killed. Raises
        TimeoutError when it does not end."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"it did not end within {seconds:g} s") from None


def play(level: str, cases: Sequence[Case]) -> dict[str, Outcome]:
    """What became of each case at that level. A case that takes its host along is one of its harms; the host then
    starts again with the next."""
    outcomes: dict[str, Outcome] = {}
    pending = list(cases)
    while pending:
        room = Room()
        spec = {"level": level, "home": str(room.home), "cases": [case.to_json() for case in pending]}
        current, done = "", len(outcomes)
        with room.program(["-m", "tests.hostile.driver"], json.dumps(spec)) as running:
            seconds = PATIENCE
            try:
                while (line := running.line(seconds)) is not None:
                    message: Mapping[str, Any] = json.loads(line)
                    if "begin" in message:
                        current = message["begin"]
                        playing = next(case for case in pending if case.id == current)
                        seconds = playing.seconds * (2 if playing.then else 1) + PATIENCE
                    else:
                        end = message["end"]
                        outcomes[current] = Outcome(**{**end, "harms": tuple(end["harms"])})
                        current = ""
                status = running.ended()
            except TimeoutError:
                status = 128
            if status == 1 or (not current and (status or len(outcomes) == done)):
                raise RuntimeError(f"the driver broke ({status}):\n{running.log}")
        if current:
            end = {128: "hangs", 90: "took all memory"}.get(status, f"died by signal {status - 128}")
            outcomes[current] = Outcome(id=current, harms=(f"alive: the host {end}",))
        pending = [case for case in pending if case.id not in outcomes]
    return outcomes


def free_uid() -> int:
    """A user number that nobody has, in no list and no process."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    for place in Path("/proc").iterdir():
        with suppress(OSError):  # gone meanwhile
            taken.add(place.stat().st_uid)
    while (uid := random.SystemRandom().randrange(200_000, 2_000_000_000)) in taken:
        pass
    return uid


def total_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
