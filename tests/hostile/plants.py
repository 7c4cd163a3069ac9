"""What an attack finds in its user's home: secrets, a notebook, data, sockets, other processes; and what became of it.

Every secret is a canary, a word that stands nowhere else, so that finding it anywhere is proof of a leak.
"""

from __future__ import annotations

import array
import base64
import ctypes
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

FS_IOC_GETFLAGS = 0x80086601
PLACEHOLDER = re.compile(r"@[A-Z][A-Z0-9_]*@")
NEIGHBOUR = "import signal; signal.pause()"


def canary(kind: str) -> str:
    return f"CANARY_{kind}_{secrets.token_hex(6)}"


class Plants:
    """The home of the throwaway user. `plant` makes it as it should be, `changes` says how it differs from that."""

    def __init__(self, home: Path, key: str) -> None:
        self.home = home
        self.project = home / "project"
        self.workbench = self.project / ".workbench"
        self.data = self.project / "data.csv"
        self.notebook = self.project / "analysis.ipynb"
        self.config = home / ".config" / "workbench"
        self.secret = home / ".config" / "openai" / "key"
        self.results = self.project / "results"
        self.library = home / "lib"
        self.documents = home / "documents"
        self.heartbeat = home / "heartbeat"
        self.out = home / "out"
        self.sockets = home / "run"
        self.canaries = {
            "environment": key,
            "file": canary("FILE"),
            "memory": canary("MEM"),
            "attribute": canary("XATTR"),
            "link": canary("LINK"),
            "argument": canary("ARG"),
            "record": canary("RECORD"),
            "listing": canary("NAME"),
            "shared memory": canary("SHARED"),
            "other call": canary("CALL"),
        }
        self.in_memory = [self.canaries["memory"].encode(), self.canaries["memory"]]
        picture = self.workbench / "artifacts" / "earlier" / "s1-1-0123456789ab.png"
        self._files: dict[Path, str] = {
            self.secret: f"sk-{self.canaries['file']}\n",
            home / ".ssh" / "id_ed25519": f"-----BEGIN KEY-----\n{self.canaries['file']}\n",
            home / ".bashrc": "alias ll='ls -l'\n",
            self.config / "trust.json": '{"trusted": {}}\n',
            home / "letters" / f"{self.canaries['listing']}.txt": "private\n",
            home / ".local" / "lib" / "python3" / "site-packages" / "mine.py": "",
            self.library / "usermod.py": "VALUE = 7\n",
            self.documents / "run.py": "print('a script of the user that imports the workbench')\n",
            self.documents / "diary.txt": f"Dear diary, {self.canaries['file']}\n",
            self.documents / "bank" / "statement.csv": f"iban,{self.canaries['file']}\n",
            self.documents / "helpers" / "__init__.py": "VALUE = 8\n",
            self.project / "pyproject.toml": '[project]\nname = "study"\n',
            self.data: "region,value\n" + "".join(f"r{n % 5},{n}\n" for n in range(200)),
            self.project / "docs" / ".env": f"KEY={self.canaries['file']}\n",
            self.project / "docs" / "sub" / "plain.txt": "plain\n",
            self.project / "docs" / "sub" / ".git" / "config": f"token = {self.canaries['file']}\n",
            self.notebook: '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}\n',
            self.workbench / "journal" / "1.jsonl": f'{{"text": "{self.canaries["record"]}"}}\n',
            picture: f"{self.canaries['record']}\n",
        }
        self._handle: int | None = None

    def names(self) -> dict[str, str]:
        """What the placeholders for places stand for."""
        return {
            "@SECRET@": str(self.secret),
            "@HOME@": str(self.home),
            "@PROJECT@": str(self.project),
            "@NOTEBOOK@": str(self.notebook),
            "@DATA@": str(self.data),
            "@LIB@": str(self.library),
            "@DOCUMENTS@": str(self.documents),
            "@HB@": str(self.heartbeat),
            "@OUT@": str(self.out),
            "@WORKBENCH@": str(self.workbench),
            "@CALLSECRET@": self.canaries["other call"],
        }

    def plant(self) -> None:
        """Everything as it should be. Keeps one descriptor of the secret open, as careless hosts do."""
        for path, text in self._files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o600)
            os.utime(path, ns=(10**18, 10**18))
        with suppress(OSError):  # file systems need not know of attributes
            os.setxattr(self.secret, "user.note", self.canaries["attribute"].encode())
        (self.home / "link").symlink_to(f"/nowhere/{self.canaries['link']}")
        (self.project / "docs" / "out").symlink_to(self.secret)
        (self.project / "docs" / "away").symlink_to(self.home / ".config")
        self.sockets.mkdir(exist_ok=True)
        Path("/dev/shm/psm_shared").write_text(self.canaries["shared memory"])
        if self._handle is None:
            _share(self.canaries["shared memory"].encode())
            self._handle = os.open(self.secret, os.O_RDONLY)
            os.set_inheritable(self._handle, True)

    def restore(self) -> None:
        """Throw away what was changed and plant anew."""
        for path in self.home.iterdir():
            if path == self.sockets:
                continue
            if path == self.project:
                self._clear_project()
            elif path.is_dir() and not path.is_symlink():
                _open_up(path)
                shutil.rmtree(path)
            else:
                path.unlink()
        self.plant()

    def _clear_project(self) -> None:
        self.project.chmod(0o700)
        for path in self.project.iterdir():
            if path == self.workbench:
                for part in ("journal", "artifacts/earlier"):
                    if (path / part).exists():
                        _open_up(path / part)
                        shutil.rmtree(path / part)
            elif path.is_dir() and not path.is_symlink():
                _open_up(path)
                shutil.rmtree(path)
            else:
                path.unlink()

    def picture(self) -> dict[str, tuple[Any, ...]]:
        """Facts of every file and folder that a call has no business with."""
        return {str(path): facts(path) for path in self._walk(self.home)}

    def _walk(self, folder: Path) -> Iterator[Path]:
        yield folder
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            return
        for entry in entries:
            if entry in (self.workbench, self.sockets, self.heartbeat, self.results):
                continue
            if entry.is_dir() and not entry.is_symlink():
                yield from self._walk(entry)
            else:
                yield entry
        if folder == self.project:
            for part in ("journal", "artifacts/earlier"):
                yield from self._walk(self.workbench / part)

    def leaks(self, texts: Mapping[str, bytes]) -> list[str]:
        """Where which canary was seen, also in the simplest disguises."""
        found = []
        for name, word in self.canaries.items():
            raw = word.encode()
            # Base64 depends on where the word begins, so only what holds for each of the three is looked for.
            shifted = (base64.b64encode(b"\0" * shift + raw)[4:-4] for shift in range(3))
            for disguise in (raw, raw[::-1], raw.hex().encode(), *shifted):
                found += [f"leak: {name} in {place}" for place, text in texts.items() if disguise in text]
        return list(dict.fromkeys(found))


def _share(secret: bytes) -> None:
    """A System V segment with the secret, as long as the room lasts."""
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(0, 4096, 0o1600)
    ctypes.memmove(libc.shmat(number, None, 0), secret, len(secret))


def facts(path: Path) -> tuple[Any, ...]:
    """What a change would show in; times of folders left out, for they change with what may be made in them."""
    try:
        status = path.lstat()
    except OSError as error:
        return ("unreadable", error.errno)
    common: tuple[Any, ...] = (stat.filemode(status.st_mode), status.st_uid, status.st_gid, attributes(path))
    if stat.S_ISLNK(status.st_mode):
        return (*common, str(path.readlink()))
    if not stat.S_ISREG(status.st_mode):
        return common
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        digest = "unreadable"
    return (*common, status.st_nlink, status.st_size, status.st_mtime_ns, digest, flags(path))


def attributes(path: Path) -> tuple[tuple[str, bytes], ...]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in sorted(names))
    except OSError:
        return ()


def flags(path: Path) -> int:
    """The file's flags as `lsattr` shows them."""
    buffer = array.array("l", [0])
    try:
        with path.open("rb") as file:
            fcntl.ioctl(file, FS_IOC_GETFLAGS, buffer)
    except OSError:
        return -1
    return buffer[0]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Paths that came, went or changed."""
    found = [f"changed: {path} came" for path in after.keys() - before.keys()]
    found += [f"changed: {path} went" for path in before.keys() - after.keys()]
    found += [f"changed: {path}" for path in before.keys() & after.keys() if before[path] != after[path]]
    return sorted(found)


def _open_up(folder: Path) -> None:
    with suppress(OSError):
        folder.chmod(0o700)
    for place, folders, _ in os.walk(folder):
        for name in folders:
            with suppress(OSError):
                os.chmod(os.path.join(place, name), 0o700)  # noqa: PTH101, PTH118 - os.walk hands over text


class Neighbour:
    """Another program of the same user, with a password on its command line and in its environment."""

    def __init__(self, plants: Plants) -> None:
        word = plants.canaries["argument"]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", NEIGHBOUR, f"--password={word}"],
            env={"PASSWORD": word},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._process.pid

    @property
    def state(self) -> str:
        """One letter as in `ps`, or how it ended."""
        if (status := self._process.poll()) is not None:
            return f"ended with {status}"
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
