"""The results of a run where they stand in a notebook: looked through while the kernel lives, plain everywhere else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser import access
from tests.browser.conftest import Notebook, everywhere, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SETUP = '''
import os
from pathlib import Path

import pandas as pd
import workbench
from workbench.configuration import load_settings
from workbench.models.testing import TestModel

%load_ext workbench
numbers = range(1000)
sales = pd.DataFrame({"region": [f"region {n % 7}" for n in numbers], "revenue": [n * 37.0 % 1001 for n in numbers]})
project = Path("project")
project.mkdir(exist_ok=True)
(project / "greet.py").write_bytes(b'def greet(name):\\r\\n    return "Hi " + name')
CODE = """greet.py
```python
def greet(name):
    return f"Hello, {name}!"
```

shout.py
```python
from greet import greet
```
"""
every = {"task": "query_data", "params": {"sql": "select * from sales", "tables": {"sales": {"$ref": "@sales"}}}}
chart = {"task": "plot", "params": {"data": {"$ref": "s1#"}, "x": "revenue", "kind": "hist"}}
code = {"task": "generate_code", "params": {"spec": "greet louder", "files": ["greet.py"]}}

def says(messages):
    if "You write code" in messages[0].content:
        return CODE
    wanted = messages[-1].content
    return {"steps": [code] if "greeting" in wanted else [every, chart]}

settings = load_settings(dict(os.environ), project)
bench = workbench.use(workbench.Workbench(settings, model=TestModel(says)))
'''
RESTARTED = """window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle' &&
    window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.connectionStatus === 'connected'"""
BEFORE = b'def greet(name):\r\n    return "Hi " + name'


def shown(output: Any) -> list[list[str]]:
    """The cells of the live table."""
    return [row.locator("td").all_inner_texts() for row in output.locator(".workbench-live table.rows tbody tr").all()]


def ask(book: Notebook, words: str) -> Any:
    number = book.add(f"%agent --fresh {words}")
    book.run(number)
    return book.output(number)


@everywhere
def test_a_saved_table_is_sorted_turned_and_filtered_where_it_stands(book: Notebook) -> None:
    output = ask(book, "every sale")
    where = output.locator(".workbench-live [role=status]")
    expect(where).to_have_text("1–20 of 1,000")
    assert output.locator("table:visible").count() == 2, "the plan, and the table once"
    assert shown(output)[0] == ["region 0", "0"]
    revenue = output.get_by_role("button", name="revenue")
    revenue.click()
    expect(output.get_by_role("columnheader", name="revenue")).to_have_attribute("aria-sort", "ascending")
    revenue.click()
    expect(output.get_by_role("columnheader", name="revenue")).to_have_attribute("aria-sort", "descending")
    assert shown(output)[0][1] == "1,000"
    output.get_by_role("button", name="Last page").click()
    expect(where).to_have_text("981–1,000 of 1,000")
    assert output.get_by_role("button", name="Next page").get_attribute("aria-disabled") == "true"
    # Each of these letters is a command of the notebook elsewhere.
    output.get_by_role("searchbox").press_sequentially("region 3")
    expect(where).to_have_text("1–20 of 143 that match, 1,000 in all")
    assert {row[0] for row in shown(output)} == {"region 3"}
    output.get_by_role("searchbox").fill("no such thing")
    expect(where).to_have_text("No row of 1,000 matches")


def test_code_is_applied_and_taken_back_by_the_byte(book: Notebook) -> None:
    output = ask(book, "a greeting")
    file = book.lab.folder / "project" / "greet.py"
    apply, undo = (output.get_by_role("button", name=name) for name in ("Apply", "Undo"))
    expect(apply).to_have_attribute("aria-disabled", "false")
    assert undo.get_attribute("aria-disabled") == "true"
    assert file.read_bytes() == BEFORE
    apply.focus()
    book.page.keyboard.press("Enter")
    expect(output.locator(".workbench-live [role=status]")).to_have_text("greet.py: changed, shout.py: new")
    assert b"Hello" in file.read_bytes()
    expect(undo).to_have_attribute("aria-disabled", "false")
    undo.click()
    expect(apply).to_have_attribute("aria-disabled", "false")
    assert file.read_bytes() == BEFORE
    assert not (file.parent / "shout.py").exists()
    # Somebody else writes the file: it is seen when somebody looks again.
    file.write_bytes(b"mine\n")
    output.get_by_role("button", name="Explore").click()
    conflict = output.locator(".conflicts:visible li")
    expect(conflict).to_have_text(["greet.py: line 1 should be 'def greet(name):\\r\\n' and is 'mine\\n'"])
    file.write_bytes(BEFORE)


def test_exploring_takes_the_place_of_the_results_and_gives_it_back(book: Notebook) -> None:
    output = ask(book, "a greeting")
    explore = output.get_by_role("button", name="Explore")
    expect(output.get_by_role("button", name="Apply")).to_have_attribute("aria-disabled", "false")
    before = output.inner_text()
    explore.click()
    results = output.locator(".results:visible").last
    signs = results.locator("table.diff").first.locator(".sign").all_inner_texts()
    assert "−" in signs
    assert "+" in signs
    results.get_by_role("button", name="Side by side").click()
    expect(results.locator("table.diff.split")).to_have_count(1)
    book.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    results.get_by_role("button", name="Copy").first.click()
    expect(results.get_by_text("Copied")).to_be_visible()
    copied = book.page.evaluate("navigator.clipboard.readText()")
    assert 'return f"Hello, {name}!"' in copied
    output.get_by_role("button", name="Close").click()
    assert output.inner_text() == before


def test_what_is_live_can_be_read_and_reached_by_everybody(book: Notebook) -> None:
    outputs = [ask(book, "every sale"), ask(book, "a greeting")]
    outputs[0].get_by_role("button", name="revenue").click()
    expect(outputs[0].locator("th[aria-sort]")).to_have_count(1)
    outputs[1].get_by_role("button", name="Explore").click()
    expect(outputs[1].get_by_role("button", name="Apply").last).to_have_attribute("aria-disabled", "false")
    for theme in book.themes():
        for output in outputs:
            live = output.locator(".workbench-live:visible")
            for node in live.all():
                assert (theme, access.dim(node)) == (theme, [])
    for output in outputs:
        for node in output.locator(".workbench-live:visible").all():
            assert access.small(node) == []
            assert access.unnamed(node) == []
            assert access.unseen_focus(node) == []


def test_a_panel_of_a_runs_results_can_be_put_anywhere(book: Notebook) -> None:
    ask(book, "every sale")
    number = book.add("import ipywidgets\nview = _.explore()\nipywidgets.VBox([view.panel])")
    book.run(number)
    panel = book.panel(number)
    panel.get_by_role("button", name="revenue").click()
    expect(panel.get_by_role("columnheader", name="revenue")).to_have_attribute("aria-sort", "ascending")
    picture = panel.get_by_role("img")
    expect(picture).to_have_attribute("src", re.compile("^data:image/png;base64,"))
    assert "revenue" in (picture.get_attribute("alt") or "")


def test_exploring_a_run_leaves_no_widget_in_the_file(book: Notebook) -> None:
    ask(book, "every sale")
    number = book.add("_.explore()")
    book.run(number)
    output = book.output(number)
    expect(output.get_by_role("button", name="Close", exact=True)).to_be_visible()
    output.get_by_role("button", name="revenue").click()
    (saved,) = book.save().cells[number].outputs
    assert sorted(saved.data) == ["text/html", "text/plain"]
    assert "20 of 1,000 rows" in saved.data["text/plain"]
    output.get_by_role("button", name="Close", exact=True).click()
    assert "1–20 of 1,000" in output.inner_text()


def test_nothing_of_it_is_saved_and_nothing_is_there_without_the_kernel(open_notebook: Callable[..., Notebook]) -> None:
    book = open_notebook("frozen.ipynb", SETUP, "%agent every sale", "%agent a greeting")
    for number in range(3):
        book.run(number)
    live = book.page.locator(".workbench-live")
    expect(live).to_have_count(4)
    book.output(1).get_by_role("button", name="revenue").click()
    book.output(2).get_by_role("button", name="Explore").click()
    saved = book.save()
    for cell in saved.cells[1:]:
        assert [output.output_type for output in cell.outputs] == ["display_data"]
        assert sorted(cell.outputs[0].data) == ["text/html", "text/plain"]
    text = book.path.read_text("utf-8")
    assert not [word for word in ("workbench-live", "<button", "data-closed", "widget-view") if word in text]

    # The page is loaded again: the kernel is still there, and so is what can be done with it.
    book.open()
    expect(live).to_have_count(4)
    # Restarted, it knows nothing of us until it has loaded us.
    book.command("notebook:restart-kernel")
    book.page.locator(".jp-Dialog button.jp-mod-accept").click()
    expect(live).to_have_count(0)
    assert "20 of 1,000 rows" in book.output(1).inner_text()
    book.page.wait_for_function(RESTARTED, timeout=30_000)
    book.start(0)
    wait_for(lambda: book.number(0) == "1", 30, "the first cell to be done")
    expect(live).to_have_count(4)
    book.command("kernelmenu:shutdown")
    expect(live).to_have_count(0)
    assert book.output(1).locator("button").count() == 0
    assert book.output(1).locator("table:visible").count() == 2


def test_what_nobody_trusts_yet_and_runs_that_are_not_ours_are_left_alone(
    open_notebook: Callable[..., Notebook],
) -> None:
    book = open_notebook("untrusted.ipynb", SETUP, "%agent every sale")
    book.run(0)
    book.run(1)
    live = book.page.locator(".workbench-live")
    expect(live).to_have_count(2)
    book.save()
    book.open_untrusted()
    number = book.add("%agent every sale")
    book.run(number)
    expect(live).to_have_count(2)
    assert book.output(1).locator("button").count() == 0

    # An output that claims a run which the record does not have.
    claim = book.add(
        "display({'text/html': '<div class=\"workbench\"><table><thead><tr><th>a</th></tr></thead></table></div>'},"
        " raw=True, metadata={'workbench': {'run': 'r-nobody'}})"
    )
    book.run(claim)
    again = book.add("%agent every sale")
    book.run(again)
    expect(live).to_have_count(4)
    assert book.output(claim).locator("button").count() == 0


@everywhere
def test_while_a_cell_runs_it_works_or_says_that_it_cannot(book: Notebook) -> None:
    output = ask(book, "every sale")
    expect(output.locator(".workbench-live [role=status]")).to_have_text("1–20 of 1,000")
    waiting = book.add("import time; time.sleep(4)")
    book.start(waiting)
    wait_for(lambda: book.number(waiting) == "*", 10, "the cell to run")
    table = output.locator(".workbench-live").first
    if book.lab.front == "lab-without-subshells":
        expect(table).to_have_attribute("title", "The kernel is busy")
        assert table.evaluate("node => node.inert")
        book.wait_done(waiting)
        expect(table).to_have_attribute("title", "")
    else:
        output.get_by_role("button", name="Next page").click()
        expect(output.locator(".workbench-live [role=status]")).to_have_text("21–40 of 1,000")
        assert book.number(waiting) == "*"
        book.wait_done(waiting)
