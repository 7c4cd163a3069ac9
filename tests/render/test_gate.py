"""The output gate, held to what comes out at each end: what a stranger wrote is text there, and nothing else."""

from __future__ import annotations

import json
from functools import cache
from html.parser import HTMLParser
from typing import Any

import hypothesis
import mistune
import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbconvert import HTMLExporter, MarkdownExporter

from tests.render.payloads import OWN, PAYLOADS, REPRS, E
from tests.render.test_render import ALLOWED, PIXEL, everywhere, harmless
from workbench.cli import main
from workbench.core.errors import Denied, Refused, ToolFailed, WorkbenchError
from workbench.core.events import Event, Kind
from workbench.core.settings import Settings
from workbench.memory.volatile import InMemoryMemory
from workbench.models.testing import TestModel
from workbench.notebook.table import Table
from workbench.render import bundle, clean_text, safe_html, safe_markdown, table_html
from workbench.workbench import Workbench, current, use

LOADS = {"src", "srcset", "href", "xlink:href", "data", "poster", "background", "action", "formaction", "ping"}
NBCONVERT = {"div", "pre", "span", "style", "img"}
"""What nbconvert itself puts around outputs, in its basic template."""


class Page(HTMLParser):
    """Everything in a page that runs, loads or decorates; `scripts` are those that stand in it."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.odd: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def unknown_decl(self, data: str) -> None:
        self.odd.append(data)

    def handle_pi(self, data: str) -> None:
        self.odd.append(data)

    def harm(self) -> list[str]:
        """What does something, in words."""
        found = [f"declares {odd}" for odd in self.odd]
        for tag, attributes in self.tags:
            if tag not in ALLOWED | NBCONVERT:
                found.append(f"<{tag}>")
            for name, value in attributes.items():
                if name.startswith("on") or (name == "style" and tag not in {"div", "span"}):
                    found.append(f"<{tag} {name}>")
                if name in LOADS and not _is_harmless(tag, name, value or ""):
                    found.append(f"<{tag} {name}={value}>")
                if name.startswith("data-"):
                    found.append(f"<{tag} {name}>")
        return found


def _is_harmless(tag: str, name: str, value: str) -> bool:
    """Pictures that the page carries itself, and links that somebody has to click."""
    if (tag, name) == ("img", "src"):
        return value.startswith("data:image/png;base64,")
    return (tag, name) == ("a", "href") and value.startswith(("https://", "http://"))


def notebook_of(*outputs: dict[str, Any]) -> Any:
    made: Any = nbformat.v4
    return made.new_notebook(cells=[made.new_code_cell("x", outputs=[nbformat.from_dict(one) for one in outputs])])  # type: ignore[no-untyped-call]  # untyped


def error_of(error: WorkbenchError) -> dict[str, Any]:
    """An error as a kernel stores it."""
    lines = error._render_traceback_()
    return {"output_type": "error", "ename": type(error).__name__, "evalue": str(error.lines()[0]), "traceback": lines}


@cache
def exporters() -> tuple[Any, Any]:
    made: Any = (HTMLExporter, MarkdownExporter)
    return made[0](template_name="basic"), made[1]()


def exported(payload: str) -> tuple[str, str]:
    """All outputs that a hostile text can get into, as nbconvert writes them: basic HTML, and Markdown."""
    data, metadata = bundle(everywhere(payload), lambda artifact: PIXEL)
    table = Table((payload, "b"), [(payload, 1), (None, payload)], [payload])
    shown = {"text/plain": repr(table), "text/html": table._repr_html_()}
    notebook = notebook_of(
        {"output_type": "display_data", "data": data, "metadata": metadata},
        {"output_type": "execute_result", "execution_count": 1, "data": shown, "metadata": {}},
        {"output_type": "display_data", "data": {"text/plain": data["text/plain"]}, "metadata": {}},
        {"output_type": "stream", "name": "stdout", "text": data["text/plain"]},
        error_of(ToolFailed(payload, hint=payload)),
        error_of(Refused(f"x: {payload}")),
    )
    html, markdown = exporters()
    return html.from_notebook_node(notebook)[0], markdown.from_notebook_node(notebook)[0]


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_what_nbconvert_makes_of_hostile_outputs_does_nothing(payload):
    page, markdown = exported(payload)
    assert Page(page).harm() == []
    # The one style is ours, word for word.
    assert page.count("<style") == 1
    # A viewer of the Markdown sees code and HTML of ours: nothing of the payload is Markdown again, or HTML.
    seen = mistune.create_markdown(escape=False, plugins=["table", "strikethrough", "url"])(markdown)
    assert [harm for harm in Page(str(seen)).harm() if "<a " not in harm] == []


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_every_gate_gives_only_tags_that_structure_text(payload):
    for source in (safe_html(payload), safe_markdown(payload), table_html([payload], [[payload]])):
        harmless(source)
        assert Page(source).harm() == []
        assert E not in " ".join(str(value) for _, attributes in Page(source).tags for value in attributes.values())
    for text in (clean_text(payload), *ToolFailed(payload, hint=payload).lines()):
        assert "\n" not in text
        assert text.replace("\t", " ").replace("\xa0", " ").isprintable()  # blanks, if odd ones


MIXED = st.lists(st.sampled_from([*OWN.values(), "<", ">", '"', "'", "&", "`", "|", "\n", "\\"])).map("".join)


@given(st.text() | MIXED)
def test_any_text_through_the_gate_is_only_tags_that_structure_text(text):
    for source in (safe_html(text), safe_markdown(text), table_html([text], [[text]])):
        harmless(source)
        assert Page(source).harm() == []


@hypothesis.settings(max_examples=30)
@given(st.lists(st.sampled_from(sorted(OWN)), min_size=2, max_size=4))
def test_payloads_together_do_no_more_than_alone(names):
    data, _ = bundle(everywhere("".join(OWN[name] for name in names)), lambda artifact: PIXEL)
    harmless(data["text/html"])
    assert Page(data["text/html"]).harm() == []


def test_without_the_gate_the_payloads_do_harm():
    """The same judge, shown the payloads themselves: it is not blind."""
    plain = {
        name
        for name, payload in PAYLOADS.items()
        if Page(f"<td>{payload}</td>").harm() or "<script" in payload or "<!" in payload
    }
    assert len(plain) > len(PAYLOADS) / 2
    made: Any = nbformat.v4
    raw = made.new_output("display_data", data={"text/html": "<img src=x onerror=alert(1)>"})
    exporter: Any = HTMLExporter
    page = exporter(template_name="basic").from_notebook_node(notebook_of(raw))[0]
    assert Page(page).harm()


def recorded(memory: InMemoryMemory, payload: str) -> str:
    """A run on record in which every word is hostile; its id."""
    run = "20261127-120000-hostile"
    plan = [{"id": "s1", "task": "query_data", "params": {"sql": payload}, "title": payload[:190]}]
    bodies: list[tuple[Kind, str | None, dict[str, Any]]] = [
        (Kind.RUN_STARTED, None, {"request": payload, "user": "ann", "isolation": payload}),
        (Kind.PLAN_MADE, None, {"plan": {"steps": plan}, "planner": payload, "model": payload, "notes": [payload]}),
        (Kind.STEP_INTENT, "s1", {"tool": payload}),
        (
            Kind.STEP_DONE,
            "s1",
            {"value": {payload: [payload]}, "text": payload, "sources": [{"title": payload, "url": payload}]},
        ),
        (Kind.RUN_DONE, None, {"status": "done", "answer": {"text": payload, "planner": payload}}),
    ]
    for seq, (kind, step, body) in enumerate(bodies):
        at = "2026-11-27T12:00:00.000000+00:00"
        memory.append(Event(run=run, seq=seq, at=at, kind=kind, step=step, body=body))
    return run


SHOWN = ("svg onload", "terminal link", "terminal title", "turned text", "backspaces", "hidden tags")


@pytest.mark.parametrize("name", SHOWN)
def test_a_run_from_the_record_is_clean_in_a_terminal_and_in_a_cell(name, tmp_path, capsys):
    payload = OWN[name]
    memory = InMemoryMemory()
    settings = Settings(home=tmp_path / "home", project=tmp_path, config=tmp_path / "config", user="ann")
    use(Workbench(settings, memory=memory))
    run = recorded(memory, payload)
    for line in (["show", run], ["runs"], ["sql", "select * from events"], ["show", payload]):
        main(line)
        streams = capsys.readouterr()
        said = streams.out + streams.err
        assert said
        assert not [c for c in said if c != "\n" and not c.isprintable()]
    import asyncio

    shown = asyncio.run(current().record.show(run))
    data, _ = shown._repr_mimebundle_()
    harmless(data["text/html"])


@pytest.mark.parametrize("code", REPRS.values(), ids=REPRS)
async def test_objects_never_cross(code, tmp_path):
    """A tool that gives an object with code in it: what arrives is no object, and nothing of it runs here."""
    project = tmp_path / "project"
    (project / "tools").mkdir(parents=True)
    body = "\n".join(f"    {line}" for line in code.replace("/tmp/pwn", str(tmp_path / "harmed")).splitlines())
    tool = project / "tools" / "odd.py"
    head = '"""Odd."""\nPERMISSIONS = {}\n\ndef run():\n    """Give something odd."""\n'
    tool.write_text(f"{head}{body}\n    return result\n")
    settings = Settings(home=tmp_path / "home", project=project, config=tmp_path / "config", user="ann")
    use(bench := Workbench(settings, memory=InMemoryMemory(), model=TestModel([{"steps": [{"task": "odd"}]}, "done"])))
    assert main(["trust", str(tool)]) == 0
    try:
        run = await bench.ask("do it")
    except (ToolFailed, Denied) as error:
        run = error.run
    assert all(isinstance(step.value, str | list | dict | None) for step in run.steps.values())
    data, _ = run._repr_mimebundle_()
    harmless(data["text/html"])
    assert "PWNED" not in data["text/plain"]
    assert "harmed" not in {path.name for path in tmp_path.iterdir()}
    assert json.dumps([step.value for step in run.steps.values()]) is not None
    await bench.close()
