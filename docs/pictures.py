"""Makes the pictures of README.md from the saved tutorials: `python docs/pictures.py`. Needs chromium."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


def main() -> None:
    path = ROOT / "notebooks" / "01_first_request.ipynb"
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed
    notebook.cells = [cell for cell in notebook.cells if "bar chart of @sales" in cell.source]
    body, _ = HTMLExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]  # nor is nbconvert
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        page_file = Path(folder, "page.html")
        page_file.write_text(body, "utf-8")
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page(viewport={"width": 900, "height": 900}, device_scale_factor=1.5)
        page.goto(page_file.as_uri())
        page.locator(".jp-Notebook").screenshot(path=ROOT / "docs" / "first-request.png")
        browser.close()


if __name__ == "__main__":
    main()
