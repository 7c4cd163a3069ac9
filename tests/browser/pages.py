"""A notebook in a page of a real browser, driven as a person would: run a cell, look at it, click."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nbformat
from playwright.sync_api import Page

from tests.browser.servers import Lab, descendants, kernel_process, wait_for

THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")
_THEIRS = (
    "Could not restore the debugger state",
    "Canceled future for create_subshell_request message",
    "TypeError: Cannot read properties of null (reading 'processLuminoMessage')\n",
)
"""Errors that JupyterLab tells of itself when a kernel is restarted while its debugger, or what makes subshells for its
comms, has asked the kernel something; and that ipywidgets tells when a widget is gone before a message that Lumino had
queued for it (`JupyterLuminoWidget.processMessage` asks no `null` whether it is there)."""
ENHANCED = ".workbench-live"
"""What our extension of JupyterLab adds to an output that is frozen, as soon as the kernel has told it of the run."""
KERNEL_IS_IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
# Measured in the page, from the event that a person causes to the frame that shows its effect: what the driver of the
# browser needs on top is no part of it.
_WATCH = """([event, selector, number]) => {
  const found = (window.seen = {from: null, at: null});
  addEventListener(event, (e) => { if (event !== "keydown" || e.key === "Enter") found.from ??= performance.now(); },
    {capture: true, once: event !== "keydown"});
  const cell = document.querySelectorAll(".jp-Notebook .jp-CodeCell")[number];
  function look() {
    if (found.from !== null) {
      const there = selector
        ? [...cell.querySelectorAll(selector)].some((node) => node.checkVisibility())
        : /\\d/.test(cell.querySelector(".jp-InputPrompt").textContent);
      if (there) { found.at = performance.now(); return; }
    }
    requestAnimationFrame(look);
  }
  look();
}"""


def new_notebook(*cells: str) -> Any:
    """A notebook of these code cells."""
    return nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]  # nbformat is not typed
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],  # type: ignore[no-untyped-call]  # as above
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


class Notebook:
    """One notebook in a page. Cells are counted from 0."""

    def __init__(self, lab: Lab, page: Page, name: str) -> None:
        self.lab, self.page, self.path = lab, page, lab.folder / name
        self.console: list[str] = []
        page.on("console", lambda said: self.console.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.console.append(error.message))
        self.open()
        self._noise = set(self.console)  # Notebook 7.6 has errors of its own when it opens a page

    def complaints(self) -> list[str]:
        """The errors in the console of the browser, but for those that were there before any cell was run, and a known
        one of JupyterLab's."""
        return [said for said in self.console if said not in self._noise and not said.startswith(_THEIRS)]

    def open(self, *, kernel: bool = True) -> None:
        """Open the file in the page, also once more; return when its kernel is idle, or at once without `kernel`."""
        self.page.goto(self.lab.address(self.path.name))
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        if kernel:
            self.page.wait_for_function(KERNEL_IS_IDLE, timeout=60_000)

    def open_untrusted(self, *, kernel: bool = True) -> None:
        """Open the file as one that came from somebody else: its outputs were never run or approved here."""
        notebook = nbformat.read(self.path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed
        notebook.metadata["from"] = "elsewhere"  # the signature is over all that is in the file
        nbformat.write(notebook, self.path)  # type: ignore[no-untyped-call]  # as above
        self.open(kernel=kernel)

    def command(self, name: str, **args: Any) -> None:
        """Have the front end do what its menus do: `command("notebook:run-all-cells")`."""
        self.page.evaluate("([name, args]) => { window.jupyterapp.commands.execute(name, args); }", [name, args])

    def is_idle(self) -> bool:
        """Whether the kernel runs no cell."""
        return bool(self.page.evaluate(KERNEL_IS_IDLE))

    def add(self, code: str) -> int:
        """Add a code cell at the end, and give its number."""
        number = self.page.locator(".jp-Notebook .jp-CodeCell").count()
        self.page.evaluate(
            """code => {
              const cells = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
              cells.insertCell(cells.cells.length, {cell_type: "code", source: code});
            }""",
            code,
        )
        self.cell(number).wait_for()
        return number

    def start(self, number: int) -> None:
        """Run a cell and return at once."""
        self.page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").nth(number).click()
        self.page.keyboard.press("Control+Enter")

    def cell(self, number: int) -> Any:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def output(self, number: int) -> Any:
        return self.cell(number).locator(".jp-OutputArea")

    def results(self, number: int) -> Any:
        """What a cell shows, without the front end's own marks at its side."""
        return self.output(number).locator(".jp-OutputArea-output")

    def panel(self, number: int) -> Any:
        """The live panel under a cell."""
        return self.output(number).locator(f".workbench-panel:not({ENHANCED})")

    def controls(self, number: int) -> Any:
        """What can be pressed or filled in under a cell, but for what the extension adds to a frozen output."""
        names = "button", "input", "select", "textarea"
        return self.output(number).locator(", ".join(f"{name}:not({ENHANCED} *)" for name in names))

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
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")
        return nbformat.read(self.path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed

    def watch(self, event: str, selector: str = "", *, cell: int) -> None:
        """From the next `event` ("click", or "keydown" for Enter) on, wait in the page for something visible in the
        cell that matches `selector`, or without one for the cell to show its number; `seen` has the milliseconds."""
        self.page.evaluate(_WATCH, [event, selector, cell])

    def seen(self, seconds: float = 30) -> float:
        """Milliseconds from the event to the sight that `watch` was told to wait for."""
        self.page.wait_for_function("window.seen.at !== null", timeout=seconds * 1000)
        return float(self.page.evaluate("window.seen.at - window.seen.from"))

    def processes(self) -> set[int]:
        """The processes that the notebook's kernel has started and that live now."""
        return descendants(self.kernel())

    def kernel(self) -> int:
        """The process of the notebook's kernel."""
        sessions = self.lab.ask("api/sessions")
        (kernel,) = [session["kernel"]["id"] for session in sessions if session["path"] == self.path.name]
        return kernel_process(kernel)

    def theme(self, name: str) -> None:
        """Take one of `THEMES`. The server keeps it for its later pages."""
        self.command("apputils:change-theme", theme=name)
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)
        # The sheet of the theme is a file of its own, and a picture lies over the page until it is there.
        self.page.wait_for_function("!document.querySelector('#jupyterlab-splash')")

    def themes(self) -> Iterator[str]:
        """Each of `THEMES` in turn, in force; the light one again at the end."""
        try:
            for name in THEMES:
                self.theme(name)
                yield name
        finally:
            self.theme(THEMES[0])
