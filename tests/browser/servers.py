"""Jupyter servers for the browser tests: JupyterLab, JupyterLab without subshells for comms, and Notebook 7."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.toolfiles import put_slow

Front = Literal["lab", "lab-without-subshells", "notebook"]
"""lab: JupyterLab as it comes. lab-without-subshells: the front end sends a widget's messages to the busy shell.
notebook: Notebook 7."""

_PATHS: dict[Front, str] = {"lab": "doc/tree", "lab-without-subshells": "doc/tree", "notebook": "notebooks"}
_SETTINGS: dict[str, dict[str, Any]] = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
_TELLER = '''"""Tells how far it is."""
from workbench import toolkit
PERMISSIONS = {}
TIMEOUT = 120

def run() -> str:
    import time
    for at in range(1000):
        toolkit.progress(f"line {at}")
        time.sleep(0.1)
    return "told"
'''


@dataclass(frozen=True)
class Lab:
    """A running server: its address, token, folder of notebooks, and the workbench's home."""

    url: str
    token: str
    folder: Path
    home: Path
    front: Front = "lab"

    def address(self, name: str) -> str:
        """Where a notebook of the folder opens alone in a page."""
        return f"{self.url}/{_PATHS[self.front]}/{name}?token={self.token}"

    def ask(self, path: str) -> Any:
        """What the server's own interface answers, as JSON: `ask("api/sessions")`."""
        with urllib.request.urlopen(f"{self.url}/{path}?token={self.token}", timeout=10) as answer:  # noqa: S310 - loopback
            return json.load(answer)


@contextmanager
def serving(front: Front, root: Path) -> Iterator[Lab]:
    """A server on a free port with fresh folders below `root`, ready to answer; at the end nothing of it is left."""
    folder, home = root / "notebooks", root / "home"
    folder.mkdir()
    put_slow(home / "config" / "tools")
    (home / "config" / "tools" / "teller.py").write_text(_TELLER)
    settings = dict(_SETTINGS)
    if front == "lab-without-subshells":
        settings["apputils-extension/kernels-settings"] = {"commsOverSubshells": "disabled"}
    for plugin, values in settings.items():
        path = home / ".jupyter/lab/user-settings/@jupyterlab" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    token = secrets.token_hex(16)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "OPENAI", "WORKBENCH"))}
    env |= {
        "HOME": str(home),
        "WORKBENCH_HOME": str(home / "workbench"),
        "WORKBENCH_CONFIG": str(home / "config"),
        "PATH": f"{Path(sys.executable).parent}:{env.get('PATH', '')}",
    }
    server, url = _started(front, folder, token, env, root / "server.log")
    try:
        yield Lab(url, token, folder, home, front)
    finally:
        below = descendants(server.pid)
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(5)
        for pid in below:
            with suppress(OSError):  # nearly all have ended; a number may be another's by now
                if str(home).encode() in Path(f"/proc/{pid}/environ").read_bytes():
                    os.kill(pid, signal.SIGKILL)


def _started(
    front: Front, folder: Path, token: str, env: dict[str, str], log: Path
) -> tuple[subprocess.Popen[bytes], str]:
    """A server that answers, and its address. Between a look for a free port and its use somebody may take it."""
    for _ in range(3):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with log.open("wb") as said:
            server = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyter", "notebook" if front == "notebook" else "lab"),
                    *("--no-browser", "--allow-root", "--expose-app-in-browser", "--ip=127.0.0.1"),
                    *(f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
                    *(f"--ServerApp.root_dir={folder}", "--LabApp.news_url="),
                ],
                env=env,
                stdout=said,
                stderr=said,
            )
        url = f"http://127.0.0.1:{port}"
        if _is_up(server, f"{url}/api?token={token}"):
            return server, url
    pytest.fail(f"{front} does not start:\n{log.read_text()[-2000:]}")


def _is_up(server: subprocess.Popen[bytes], url: str) -> bool:
    """Wait for its first answer. False when it ended instead."""
    try:
        wait_for(lambda: server.poll() is not None or _answers(url), 90, "the server to answer")
    except BaseException:
        server.kill()
        raise
    return server.poll() is None


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback server
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for(happened: Callable[[], bool], seconds: float, what: str) -> None:
    """Return when it happened; fail after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happened():
            return
        time.sleep(0.05)
    pytest.fail(f"waited {seconds:g} s for {what}")


def descendants(pid: int) -> set[int]:
    """The processes that a process started, and those that they started, which live now."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                # The name in parentheses may hold anything; the state and the parent's number follow the last one.
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    parents[int(entry.name)] = int(parent)
    found: set[int] = set()
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level} - found
        found |= level
    return found


def kernel_process(kernel_id: str) -> int:
    """The process of a kernel with this id, found by the connection file on its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if f"kernel-{kernel_id}.json".encode() in (entry / "cmdline").read_bytes():
                    return int(entry.name)
    raise LookupError(f"No process runs the kernel {kernel_id}.")
