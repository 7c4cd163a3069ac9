"""Makes the pictures of docs/screens.md and README.md from the real panels in JupyterLab: `python -m docs.screens`.

Needs chromium. Plans are the grammar's or those of a scripted model, and data are samples: but for its seconds a
picture shows the same each time.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import FLAGS
from tests.browser.pages import THEMES, Notebook, new_notebook
from tests.browser.servers import serving

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "screens"
WIDTH, SCALE, COLOURS = 1100, 1.5, 128
NAMES = {THEMES[0]: "light", THEMES[1]: "dark"}
TOOL = '''"""The weather of past days at a place, from the archive."""
from workbench import toolkit
PERMISSIONS = {}
TIMEOUT = 120

def run(place: str, days: int = 30) -> str:
    """Read the days, one after the other.

    Args:
        place: a town.
        days: how many, counted back from today.
    """
    import time
    toolkit.progress(f"12 of {days} days")
    time.sleep(100)
    return "rain"
'''
SETUP = f"""
import pandas as pd, workbench
from workbench.models.testing import TestModel
%load_ext workbench
sales = pd.read_csv({str(ROOT / "data/samples/sales.csv")!r})
query = {{"id": "s1", "title": "Revenue by region", "task": "query_data", "params": {{
    "tables": {{"sales": {{"$ref": "@sales"}}}},
    "sql": "SELECT region, sum(units * unit_price) AS revenue FROM sales GROUP BY region ORDER BY revenue DESC"}}}}
draw = {{"id": "s2", "title": "Draw it as bars", "task": "plot", "params": {{"data": {{"$ref": "s1"}}, "kind": "bar",
    "title": "Revenue by region"}}}}
rain = {{"id": "s3", "title": "Rain in Lisbon", "task": "weather_archive", "params": {{"place": "Lisbon", "days": 30}}}}
wrong = {{"id": "s1", "title": "Revenue by town", "task": "query_data", "params": {{
    "tables": {{"sales": {{"$ref": "@sales"}}}}, "sql": "SELECT town, sum(units) AS units FROM sales GROUP BY town"}}}}
"""  # noqa: S608 - SQL of a sample


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, serving("lab", Path(folder)) as lab, sync_playwright() as driver:
        (lab.home / "config" / "tools" / "weather_archive.py").write_text(TOOL, "utf-8")
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        context = browser.new_context(viewport={"width": WIDTH, "height": 1400}, device_scale_factor=SCALE)
        for name, (replies, code, stage) in STAGES.items():
            model = f"TestModel([{replies}], name='scripted-model')" if replies else "None"
            ready = f"{SETUP}\nworkbench.use(workbench.Workbench(model={model}))"
            nbformat.write(new_notebook(ready, code), lab.folder / f"{name}.ipynb")  # type: ignore[no-untyped-call]  # not typed
            book = Notebook(lab, context.new_page(), f"{name}.ipynb")
            book.run(0)
            with stage(book):
                for theme, word in NAMES.items():
                    book.theme(theme)
                    shoot(book.cell(1), f"{name}-{word}")
            book.page.close()
        browser.close()


@contextmanager
def waiting(book: Notebook) -> Iterator[None]:
    """The cell asks before its steps run."""
    book.start(1)
    book.panel(1).get_by_role("button", name="Approve").wait_for()
    yield
    book.panel(1).get_by_role("button", name="Deny").click()
    book.wait_done(1)


@contextmanager
def editing(book: Notebook) -> Iterator[None]:
    """The same, changed: a step is switched off, and a field holds what cannot run."""
    book.start(1)
    panel = book.panel(1)
    panel.get_by_role("button", name="Edit", exact=True).click()
    panel.get_by_label("Run s2 plot").uncheck()
    panel.get_by_label("days", exact=True).fill("many")
    panel.get_by_text("not a number").wait_for()
    yield
    panel.get_by_role("button", name="Deny").click()
    book.wait_done(1)


@contextmanager
def running(book: Notebook) -> Iterator[None]:
    """Steps are done, one of them unfolded, and one runs and tells how far it is."""
    book.start(1)
    panel = book.panel(1)
    panel.get_by_text("12 of 30 days").wait_for()
    panel.locator("tr[data-state=done]").nth(1).wait_for()
    panel.get_by_label("Show what s1 tells").click()
    panel.get_by_text("278,458.50").wait_for()
    yield
    panel.get_by_role("button", name="Cancel").click()
    book.wait_done(1)


@contextmanager
def over(book: Notebook) -> Iterator[None]:
    """What stays under the cell."""
    book.run(1)
    yield


@contextmanager
def request(book: Notebook) -> Iterator[None]:
    """A panel of its own asks before the steps run."""
    book.run(1)
    panel = book.panel(1)
    panel.get_by_role("textbox").first.fill(CHART)
    panel.get_by_role("button", name="Plan").click()
    panel.get_by_role("button", name="Approve").wait_for()
    yield
    panel.get_by_role("button", name="Cancel").click()


CHART, RAIN = "total revenue by region in 2025 as a bar chart of @sales", "{'steps': [query, draw, rain]}"
STAGES: dict[str, tuple[str, str, Callable[[Notebook], Any]]] = {
    "waiting": ("", f"%agent --ask {CHART}", waiting),
    "editing": (RAIN, "%agent --ask compare revenue with the rain in Lisbon", editing),
    "running": (RAIN, "%agent compare revenue with the rain in Lisbon", running),
    "failed": ("{'steps': [wrong, draw]}", "%agent total units by town as a bar chart", over),
    "done": ("", f"%agent {CHART}", over),
    "request": ("", "workbench.panel()", request),
}
"""Name of the pictures → what a scripted model says, or "" for the grammar; the cell; and how it gets there."""


def shoot(what: Any, name: str) -> None:
    """Keep a picture of it, with as few colours as it takes."""
    what.page.mouse.move(0, 0)
    what.page.evaluate("document.activeElement?.blur()")
    # No caret, clock or seconds: they differ each time.
    taken = what.screenshot(
        style=".jp-Toolbar, .jp-Cell .jp-Toolbar, .jp-Collapser { visibility: hidden }", animations="disabled"
    )
    picture = Image.open(io.BytesIO(taken)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(FOLDER / f"{name}.png", optimize=True)
    sys.stdout.write(f"docs/screens/{name}.png\n")


if __name__ == "__main__":
    main()
