"""Jupyter servers and a real Chromium for all browser tests.

A test gets JupyterLab; `@everywhere` runs it in each of the three front ends. Servers start when first needed.
A flow that needs no kernel of its own takes `book`, where it adds its cells: a page and a kernel cost seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.pages import Notebook, new_notebook
from tests.browser.servers import Front, Lab, serving, wait_for

__all__ = ["FLAGS", "Lab", "Notebook", "everywhere", "wait_for"]

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
everywhere = pytest.mark.parametrize("front", ["lab", "lab-without-subshells", "notebook"], indirect=True)
"""Runs a test in JupyterLab, in JupyterLab without subshells for comms, and in Notebook 7."""

_figures = pytest.StashKey[dict[str, list[float]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_figures] = {}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what was measured, beside what the tests found."""
    for what, values in sorted(config.stash.get(_figures, {}).items()):
        terminalreporter.write_line(f"{what}: {', '.join(f'{value:.0f}' for value in values)}")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Note a figure under a name with its unit; all are printed at the end of the session."""
    figures = request.config.stash[_figures]
    return lambda what, value: figures.setdefault(what, []).append(value)


@pytest.fixture(scope="session")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Front], Lab]]:
    """The server of a front end, started when it is first asked for."""
    known: dict[Front, Lab] = {}
    with ExitStack() as stack:

        def front(name: Front) -> Lab:
            if name not in known:
                known[name] = stack.enter_context(serving(name, tmp_path_factory.mktemp(name)))
            return known[name]

        yield front


@pytest.fixture
def front(request: pytest.FixtureRequest, fronts: Callable[[Front], Lab]) -> Lab:
    """The server that the test is about: JupyterLab, or what `everywhere` says."""
    return fronts(getattr(request, "param", "lab"))


@pytest.fixture(scope="package")
def chrome() -> Iterator[Browser]:
    """One Chromium for this folder. Not for the session: its driver runs a loop that async tests would trip over."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def profiles(chrome: Browser) -> Callable[[Lab], BrowserContext]:
    """The browser's profile for a server: what its pages load is loaded once."""
    known: dict[str, BrowserContext] = {}

    def profile(lab: Lab) -> BrowserContext:
        if lab.url not in known:
            known[lab.url] = chrome.new_context(viewport={"width": 1100, "height": 900})
        return known[lab.url]

    return profile


@pytest.fixture(scope="package")
def books(profiles: Callable[[Lab], BrowserContext]) -> Iterator[Callable[[Lab, str], Notebook]]:
    """The shared notebook on a server, opened when first asked for; the second argument is run when it differs."""
    known: dict[str, Notebook] = {}
    ready: dict[str, str] = {}

    def book(lab: Lab, setup: str) -> Notebook:
        if lab.url not in known:
            nbformat.write(new_notebook("%load_ext workbench"), lab.folder / "shared.ipynb")  # type: ignore[no-untyped-call]  # as below
            known[lab.url] = Notebook(lab, profiles(lab).new_page(), "shared.ipynb")
            known[lab.url].run(0)
        if ready.get(lab.url) != setup:
            known[lab.url].run(known[lab.url].add(setup))
            ready[lab.url] = setup
        return known[lab.url]

    yield book
    for notebook in known.values():
        notebook.page.close()


@pytest.fixture
def book(request: pytest.FixtureRequest, front: Lab, books: Callable[[Lab, str], Notebook]) -> Iterator[Notebook]:
    """A notebook that all tests share, in which the module's `SETUP` has been run: a test adds the cells that it needs
    (`number = book.add("%agent …")`). A cell that a test leaves running is interrupted, and an error in the browser's
    console fails it."""
    notebook = books(front, request.module.SETUP)
    notebook.page.bring_to_front()
    yield notebook
    if not notebook.is_idle():
        notebook.command("notebook:interrupt-kernel")
        wait_for(notebook.is_idle, 20, "the kernel to be idle")
    assert notebook.complaints() == []


@pytest.fixture
def open_notebook(front: Lab, profiles: Callable[[Lab], BrowserContext]) -> Iterator[Callable[..., Notebook]]:
    """Open a notebook with these code cells in a new page: `open_notebook("name.ipynb", "1 + 1", "%agent …")`."""
    books: list[Notebook] = []

    def opened(name: str, *cells: str) -> Notebook:
        nbformat.write(new_notebook(*cells), front.folder / name)  # type: ignore[no-untyped-call]  # nbformat is not typed
        books.append(Notebook(front, profiles(front).new_page(), name))
        return books[-1]

    yield opened
    for book in books:
        book.page.close()
    assert [said for book in books for said in book.complaints()] == []
