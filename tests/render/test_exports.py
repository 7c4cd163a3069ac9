"""A notebook with runs reads the same wherever it is shown: exported, stripped as code hosts do, without any widget."""

from __future__ import annotations

import asyncio
import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, MarkdownExporter

ROOT = Path(__file__).resolve().parents[2]
WIDGET = "application/vnd.jupyter.widget-view+json"
MAX_BASIC = 200_000
"""Characters of an export by the template `basic`, without its pictures."""
_STEP = re.compile(r"^  \S (done|failed|blocked|skipped|cancelled|waiting) +(\S+)  (\S+) *(.*)$", re.MULTILINE)
_PICTURE = re.compile(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=\s]+")
_TAG = re.compile(r"<[^>]*>")

RUN = """
import os
os.environ["WORKBENCH_HEADLESS"] = "1"
import pandas as pd, workbench
from dataclasses import replace
from workbench.models.base import Usage
from workbench.models.testing import TestModel

class Priced(TestModel):
    async def complete(self, messages, **options):
        reply = await super().complete(messages, **options)
        return replace(reply, usage=Usage(tokens_in=1000, tokens_out=50), usd="0.0125")

def step(id, task, title, **params):
    return {"id": id, "task": task, "title": title, "params": params}

def query(id, title, sql, table):
    return step(id, "query_data", title, sql=sql, tables={"t": {"$ref": table}})

%load_ext workbench
sales = pd.DataFrame({"region": ["North", "South", "<b>East"], "revenue": [1.5, 2.0, 4.0]})
total = "select region, sum(revenue) as total from t group by 1 order by 1"
good = [
    query("s1", "Add up per region & year", total, "@sales"),
    step("s2", "plot", "Draw the bars", data={"$ref": "s1"}, kind="bar", x="region", y=["total"]),
]
bad = [
    query("s1", "Add up once more", total, "@sales"),
    query("s3", "Ask for what is not there", "select nothing from t", "s1"),
    query("s4", "Go on from there", "select * from t", "s3"),
]
model = Priced([{"steps": good}, "East leads with 4.", {"steps": bad}])
bench = workbench.use(workbench.Workbench(model=model))
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one output says, as its plain text has it: what every other form must say too."""

    texts: tuple[str, ...]
    pictures: int
    sounds: int


def said(text: str) -> Shown:
    """States, titles, tables, pictures, sounds, model and cost of a run's plain text."""
    steps = [word for match in _STEP.findall(text) for word in match if word]
    tables = [cell for line in re.findall(r"^(?:-+ *)+\n(.*)$", text, re.MULTILINE) for cell in re.split(r"  +", line)]
    costs = re.findall(r"Planned by (.*?)[,.] |Cost: (.*)\.$", text, re.MULTILINE)
    words = [part for pair in costs for part in pair if part]
    pictures = re.findall(r"^\[picture\] (.*)$", text, re.MULTILINE)
    sounds = re.findall(r"^\[sound, [\d:]+\] (.*)$", text, re.MULTILINE)
    return Shown(tuple(filter(None, [*steps, *tables, *words, *sounds])), len(pictures), len(sounds))


def outputs(notebook: Any) -> list[Any]:
    """The outputs of runs: those with our metadata."""
    found = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output for output in found if "workbench" in output.get("metadata", {})]


def plain(source: str) -> str:
    """What a reader sees of HTML or Markdown, blanks made one."""
    return " ".join(html.unescape(_TAG.sub(" ", source)).split())


def stripped(source: str) -> str:
    """HTML as a code host or an untrusted reopen leaves it: no style, script, details, classes or handlers."""
    source = re.sub(r"<(style|script)\b.*?</\1>", "", source, flags=re.DOTALL)
    source = re.sub(r"</?(details|summary|div|span|svg|button)\b[^>]*>", "", source)
    return re.sub(r"\s(?:class|style|id|on\w+)=(\"[^\"]*\"|'[^']*')", "", source)


def exports(notebook: Any) -> dict[str, str]:
    """The notebook in four forms."""
    only: Any = {"exclude_input": True}  # the request may hold the words too
    page, _ = HTMLExporter(**only).from_notebook_node(notebook)  # type: ignore[no-untyped-call]  # as of nbformat
    basic, _ = HTMLExporter(template_name="basic", **only).from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    markdown, _ = MarkdownExporter(**only).from_notebook_node(notebook)  # type: ignore[no-untyped-call]  # as above
    hosted = "".join(stripped(output["data"]["text/html"]) for output in outputs(notebook))
    return {"html": page, "basic": basic, "markdown": markdown, "hosted": hosted}


def check(notebook: Any) -> None:
    """Every form says what the plain text of each run says, shows as many pictures, and holds no widget."""
    assert WIDGET not in nbformat.writes(notebook)  # type: ignore[no-untyped-call]  # as of nbformat
    shown = [said(output["data"]["text/plain"]) for output in outputs(notebook)]
    made = exports(notebook)
    for form, source in made.items():
        assert WIDGET not in source
        text = plain(source)
        for one in shown:
            missing = [words for words in one.texts if " ".join(words.split()) not in text]
            assert not missing, f"{form} does not say {missing}"
        assert len(_PICTURE.findall(source)) >= sum(one.pictures for one in shown), form
        assert source.count("<audio ") >= sum(one.sounds for one in shown), form
    assert len(_PICTURE.sub("", made["basic"])) < MAX_BASIC


@pytest.fixture(scope="module")
def executed() -> Any:
    """A notebook with a run that went well and one that failed in its middle."""
    cells = [RUN, "%agent total revenue by region as bars of @sales", "%agent the same of @sales, and more"]
    made = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]  # nbformat is not typed
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]  # as above
    )
    client = NotebookClient(made, allow_errors=True, timeout=90, kernel_name="python3")
    asyncio.run(client.async_execute())
    return made


def test_every_form_of_a_run_holds_its_titles_states_table_picture_model_and_cost(executed: Any) -> None:
    good, bad = (said(output["data"]["text/plain"]) for output in outputs(executed))
    assert {"done", "Add up per region & year", "Draw the bars", "<b>East", "4", "test-model"} <= set(good.texts)
    assert any(words.startswith("$0.025, 2,000 tokens in") for words in good.texts)
    assert {"failed", "blocked", "Ask for what is not there", "Go on from there"} <= set(bad.texts)
    assert (good.pictures, bad.pictures) == (1, 0)
    check(executed)


def test_the_error_of_a_run_is_told_in_every_form(executed: Any) -> None:
    for form, source in exports(executed).items():
        assert "nothing" in plain(source), form  # the column that is not there
        assert "s3" in plain(source), form


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_tutorial_reads_the_same_in_every_form(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # as above
    assert outputs(notebook)
    check(notebook)


def test_the_check_finds_what_a_form_lacks(executed: Any) -> None:
    """So that a form that says nothing does not pass."""
    broken = nbformat.from_dict(executed)  # type: ignore[no-untyped-call]  # as above
    first = outputs(broken)[0]
    whole = first["data"]["text/html"]
    first["data"]["text/html"] = whole.replace("Draw the bars", "")
    with pytest.raises(AssertionError, match="Draw the bars"):
        check(broken)
    first["data"]["text/html"] = _PICTURE.sub("", whole)
    with pytest.raises(AssertionError):
        check(broken)
    first["data"]["text/html"] = whole
