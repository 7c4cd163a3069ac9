"""A JupyterLab server and a real Chromium, once for all browser tests."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}
KERNEL_IS_IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
SLOW = '''"""Waits."""
PERMISSIONS = {}
TIMEOUT = 120

def run(seconds: float) -> str:
    import time
    time.sleep(seconds)
    return "waited"
'''


@dataclass(frozen=True)
class Lab:
    """A running server: its address, token, folder of notebooks, and the workbench's home."""

    url: str
    token: str
    folder: Path
    home: Path


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on a free port with fresh folders, ready to answer."""
    root = tmp_path_factory.mktemp("lab")
    folder, home = root / "notebooks", root / "home"
    folder.mkdir()
    (home / "config" / "tools").mkdir(parents=True)
    (home / "config" / "tools" / "slow.py").write_text(SLOW)
    for plugin, values in SETTINGS.items():
        path = home / ".jupyter" / "lab" / "user-settings" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "OPENAI", "WORKBENCH"))}
    env |= {
        "HOME": str(home),
        "WORKBENCH_HOME": str(home / "workbench"),
        "WORKBENCH_CONFIG": str(home / "config"),
        "PATH": f"{Path(sys.executable).parent}:{env.get('PATH', '')}",
    }
    with (root / "lab.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
                *(f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
                *("--ip=127.0.0.1", f"--ServerApp.root_dir={folder}", "--LabApp.news_url="),
            ],
            env=env,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(f"{url}/api?token={token}"), 60, "JupyterLab to answer")
        yield Lab(url, token, folder, home)
    finally:
        server.terminate()
        server.wait(20)


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
        time.sleep(0.1)
    pytest.fail(f"waited {seconds:g} s for {what}")


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """One Chromium for a module. Not for the session: its driver runs a loop that async tests would trip over."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


class Notebook:
    """One notebook in a page, driven as a person would: run a cell, look at it, click."""

    def __init__(self, lab: Lab, page: Page, name: str) -> None:
        self.lab, self.page, self.path = lab, page, lab.folder / name
        self.console: list[str] = []
        page.on("console", lambda said: self.console.append(said.text) if said.type == "error" else None)
        self.open()

    def open(self) -> None:
        self.page.goto(f"{self.lab.url}/doc/tree/{self.path.name}?token={self.lab.token}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.wait_for_function(KERNEL_IS_IDLE, timeout=60_000)

    def command(self, name: str) -> None:
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def start(self, number: int) -> None:
        """Run a cell (from 0) and return at once."""
        self.page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").nth(number).click()
        self.page.keyboard.press("Control+Enter")

    def cell(self, number: int) -> Any:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def output(self, number: int) -> Any:
        return self.cell(number).locator(".jp-OutputArea")

    def number(self, number: int) -> str:
        """What stands in the cell's brackets: a star while it runs, its number when it is done, else nothing."""
        return str(self.cell(number).locator(".jp-InputPrompt").inner_text()).strip("[]:\u00a0 ")

    def wait_done(self, number: int, seconds: float = 60) -> None:
        """Return when the cell shows its number instead of a star."""
        wait_for(lambda: self.number(number).isdigit(), seconds, f"cell {number} to be done")

    def run(self, number: int, seconds: float = 60) -> None:
        """Run a cell for the first time, to its end."""
        self.start(number)
        self.wait_done(number, seconds)

    def save(self) -> Any:
        """Save, and give the notebook as it is in the file."""
        before = self.path.stat().st_mtime_ns
        self.command("docmanager:save")
        wait_for(lambda: self.path.stat().st_mtime_ns > before, 20, "the file to be saved")
        return nbformat.read(self.path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed


@pytest.fixture
def open_notebook(lab: Lab, chrome: Browser) -> Iterator[Callable[..., Notebook]]:
    """Open a notebook with these code cells in a new page."""
    pages: list[Page] = []

    def opened(name: str, *cells: str) -> Notebook:
        notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]  # nbformat is not typed
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],  # type: ignore[no-untyped-call]  # as above
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(notebook, lab.folder / name)  # type: ignore[no-untyped-call]  # as above
        page = chrome.new_page(viewport={"width": 1100, "height": 900})
        pages.append(page)
        return Notebook(lab, page, name)

    yield opened
    for page in pages:
        page.close()
