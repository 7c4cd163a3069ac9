"""The output gate: what a stranger wrote can be read and does nothing; two runs of the same give the same text."""

from __future__ import annotations

import base64
import html
import json
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.artifacts import ARROW, PNG, Artifact, Column
from workbench.core.outcome import Outcome, Problem, StepOutcome
from workbench.core.plan import load
from workbench.core.progress import State
from workbench.render import (
    bundle,
    cell,
    clean_text,
    plan_html,
    plan_text,
    safe_html,
    safe_markdown,
    table_html,
    table_text,
)
from workbench.render.run import CODE, STATE
from workbench.render.tables import TEXT

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ATTACKS = json.loads((Path(__file__).parents[1] / "corpus" / "attacks" / "output_attacks.json").read_text("utf-8"))
ALLOWED = {
    *("style", "div", "table", "thead", "tbody", "tr", "th", "td", "p", "pre", "code", "img", "a", "ol", "ul", "li"),
    *("em", "strong", "h1", "h2", "h3", "h4", "h5", "h6", "br", "hr", "blockquote", "del"),
}


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text between them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(source: str) -> Reader:
    reader = Reader()
    reader.feed(source)
    reader.close()
    return reader


def everywhere(text: str) -> Outcome:
    """An outcome that holds the text in every place that a stranger can fill."""
    frame = Artifact(
        path="r/t.arrow",
        mime=ARROW,
        bytes=1,
        sha256="0",
        title=text,
        rows=99,
        columns=(Column(name=text, type="text"), Column(name="n", type="integer")),
        preview=((text, 1), (None, 2)),
    )
    image = Artifact(path="r/p.png", mime=PNG, bytes=1, sha256="0", title=text, alt=text)
    plan = load(
        [
            {"id": "s1", "task": "query_data", "params": {"sql": text}, "title": text[:200]},
            {"task": "plot"},
            {
                "id": "s3",
                "task": "plot",
                "if": {"$ref": f"s0#/{text}"},
                "foreach": {"$ref": f"s0#/{text}"},
                "on_error": "default",
                "default": {text: text},
            },
        ]
    )
    steps = (
        StepOutcome(
            id="s1",
            task="query_data",
            title=text,
            params={"sql": text},
            state=State.DONE,
            value={"frame": frame, "image": image},
            text=text,
            sources=({"title": text, "url": text}, {"title": text, "url": f"https://example.org/{text}"}),
        ),
        StepOutcome(
            id="s2",
            task=text,
            title=text,
            params={},
            state=State.FAILED,
            problem=Problem(kind="ToolFailed", message=text, hint=text),
        ),
        StepOutcome(id="s3", task=text, title=text, params={}, state=State.SKIPPED, reason=text, items=(1, 2)),
    )
    return Outcome(
        run="r1",
        request=text,
        plan=plan,
        steps=steps,
        planner="model",
        model=text,
        notes=(text,),
        answer=text,
        answered_by=text,
        status="failed",
        problem=Problem(kind="ToolFailed", message=text, hint=text),
    )


STEP = StepOutcome(id="s1", task="search", title="Search", params={}, state=State.DONE)


def harmless(source: str) -> None:
    for tag, attributes in parsed(source).tags:
        assert tag in ALLOWED, tag
        for name, value in attributes.items():
            assert name in {"class", "style", "alt", "src", "href", "rel"}, (tag, name)
            if name == "style":
                assert f' style="{value}"' in {TEXT, STATE, CODE}
            if name == "src":
                assert tag == "img"
                assert str(value).startswith("data:image/png;base64,")
            if name == "href":
                assert str(value).startswith(("https://", "http://"))
            if name == "class":
                assert value in {"workbench tex2jax_ignore mathjax_ignore", "number", "small"}


def test_a_plan_says_what_a_step_does_beside_its_call_and_what_became_of_it() -> None:
    steps: list[dict[str, object]] = [
        {"id": "a", "task": "read", "foreach": {"$ref": "z#/urls"}, "on_error": "skip"},
        {"id": "b", "task": "read", "if": {"$ref": "z"}, "approve": True},
        {"id": "c", "task": "read", "on_error": "default", "default": [0]},
        {"id": "d", "task": "read", "foreach": [1, 2], "on_error": "replan"},
        {"id": "e", "task": "read"},
    ]
    plan = load(steps)
    made = partial(StepOutcome, task="read", title="read", params={})
    no = Problem(kind="ToolFailed", message="no")
    outcomes = (
        made(id="a", state=State.RUNNING, items=(3, 7)),
        made(id="b", state=State.SKIPPED, reason="z is false"),
        made(id="c", state=State.DONE, problem=no),
        made(id="d", state=State.DONE, items=(2, 2)),
        made(id="e", state=State.CANCELLED, reason="The budget of this run is used up: 3 of 3 calls."),
    )
    said = """\
Plan
  ▸ running   a  read
      for each of z#/urls, if it fails: go on without it
      3 of 7 items
  ○ skipped   b  read
      only if z, asks first
      skipped: z is false
  ✓ done      c  read
      if it fails: take [0]
      failed, so its default is taken: no
  ✓ done      d  read
      for each of 2 items, if it fails: plan again
      2 items
  ■ cancelled e  read
      not run: The budget of this run is used up: 3 of 3 calls."""
    assert plan_text(plan, outcomes) == said
    shown = parsed(plan_html(outcomes, plan)).text
    for line in said.splitlines():
        assert line.strip() in shown or not line.startswith("      ")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["id"])
def test_an_attack_in_any_field_does_nothing(attack: dict[str, str]) -> None:
    data, _ = bundle(everywhere(attack["payload"]), lambda artifact: PIXEL)
    harmless(data["text/html"])
    assert data["text/html"].count("<style") == 1
    assert "\x1b" not in data["text/plain"]
    for gate in (safe_html, safe_markdown, partial(safe_markdown, keep_lines=True)):
        harmless(gate(attack["payload"]))


@given(st.text())
def test_any_text_in_any_field_does_nothing(text: str) -> None:
    data, _ = bundle(everywhere(text), lambda artifact: PIXEL)
    harmless(data["text/html"])


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=50))
def test_visible_text_is_shown_as_it_is(text: str) -> None:
    data, _ = bundle(Outcome(run="r", planner="grammar", notes=(text,)), lambda artifact: None)
    assert text in parsed(data["text/html"]).text
    assert text in data["text/plain"]


def test_hidden_characters_are_shown() -> None:
    assert clean_text("a\u202eb\x1b[31mred\x1b[0m\x07\u200b") == r"a\u{202e}bred\u{7}\u{200b}"
    assert clean_text("a\u200db \u200c \ufe0fx \U000e0041\u3164\u034f\ufe01") == (
        r"a\u{200d}b \u{200c} \u{fe0f}x \u{e0041}\u{3164}\u{34f}\u{fe01}"
    )
    assert clean_text("👍" + "\ufe0e\ufe0f" * 3) == "👍\ufe0e" + r"\u{fe0f}\u{fe0e}\u{fe0f}\u{fe0e}\u{fe0f}"


@pytest.mark.parametrize("text", ["family: 👩‍👩‍👧 ok", "❤️ 1️⃣ 🏳️‍🌈 🏴‍☠️", "می‌خواهم", "क्‍ष", "naïve ½ → ≥ 日本語"])
def test_what_people_write_is_left_as_it_is(text: str) -> None:
    assert clean_text(text) == text


def test_what_changes_from_run_to_run_is_metadata_only() -> None:
    one = replace(everywhere("x"), run="id-one", seconds=1.5, started_at="2026-11-23T01:02:03", isolation="process")
    two = replace(everywhere("x"), run="id-two", seconds=9.5, started_at="2027-01-01T00:00:00", isolation="kernel")
    first, second = (bundle(outcome, lambda artifact: PIXEL) for outcome in (one, two))
    assert first[0] == second[0]
    assert first[1]["workbench"]["run"] == "id-one"
    assert first[1] != second[1]


def test_a_picture_that_is_no_png_is_named_and_not_shown() -> None:
    for data in (b"<svg onload=alert(1)>", b"GIF89a", None):
        shown = bundle(everywhere("chart"), lambda artifact, data=data: data)[0]["text/html"]  # type: ignore[misc]
        assert "<img" not in shown
        assert "[picture: chart]" in shown


def test_links_lead_only_to_named_hosts() -> None:
    text = "[a](https://example.org/x) [b](https://evil.example/?d=SECRET) [c](javascript:alert(1))"
    links = [
        attributes.get("href") for tag, attributes in parsed(safe_markdown(text, {"example.org"})).tags if tag == "a"
    ]
    assert links == ["https://example.org/x", None, None]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example\\@example.org/",
        "https://example.org@evil.example/",
        "https://example.org:443\\.evil.example/",
        "https:///evil.example",
        "https://[example.org",
        "https://example.org/a b",
        "https://example.org/\u202egpj.exe",
        "//example.org/x",
    ],
)
def test_an_address_that_can_be_read_in_two_ways_is_no_link(url: str) -> None:
    outcome = replace(everywhere("x"), answer="", steps=(replace(STEP, sources=({"title": "t", "url": url},)),))
    shown = bundle(outcome, lambda artifact: None)[0]["text/html"]
    assert not [attributes for tag, attributes in parsed(shown).tags if tag == "a"]
    assert html.escape(clean_text(url)) in shown
    for source in (
        safe_html(f'<a href="{html.escape(url)}">x</a>', {"example.org"}),
        safe_markdown(f"[x](<{url}>)", {"example.org"}),
    ):
        links = [str(attributes["href"]) for _, attributes in parsed(source).tags if "href" in attributes]
        assert all(link.startswith("https://example.org/") for link in links)


def test_every_link_keeps_its_page_to_itself() -> None:
    for source in (
        safe_markdown("[a](https://example.org)", {"example.org"}),
        bundle(everywhere("x"), lambda a: None)[0]["text/html"],
    ):
        links = [attributes for tag, attributes in parsed(source).tags if tag == "a"]
        assert links
        assert all("noopener" in str(link["rel"]) for link in links)


def test_numbers_are_readable_and_long_cells_are_cut() -> None:
    assert [cell(v) for v in (1234567, 1234567.891, 0.1 + 0.2, 3.0, None, float("nan"), True, "x" * 500)] == [
        "1,234,567",
        "1,234,567.89",
        "0.3",
        "3",
        "",
        "",
        "yes",
        "x" * 199 + "…",
    ]


def test_a_table_as_text_is_aligned_and_says_what_it_leaves_out() -> None:
    text = table_text(("region", "revenue"), [("North", 1200.5), ("日本", 7), ("South", None)], most=2)
    assert text.splitlines() == [
        "region   revenue",
        "------  --------",
        "North   1,200.50",
        "日本           7",
        "… 1 more",
    ]
    assert table_text(("a",), []) == "a\n-"


def test_a_table_longer_than_its_preview_says_how_long_it_is() -> None:
    data, _ = bundle(everywhere("x"), lambda artifact: PIXEL)
    assert "2 of 99 rows" in data["text/plain"]
    assert "2 of 99 rows" in data["text/html"]


def test_on_a_narrow_screen_the_longest_texts_are_wrapped() -> None:
    rows = [("plot", "Draws a table as a well-known line chart."), ("x", "")]
    assert table_text(("tool", "what it does"), rows, width=36).splitlines() == [
        "tool  what it does",
        "----  -----------------------------",
        "plot  Draws a table as a well-known",
        "      line chart.",
        "x",
    ]


def test_code_that_a_step_runs_is_part_of_the_plan_that_is_shown() -> None:
    code = "x = sales.revenue\n\nx.mean()"
    plan = load([{"id": "s1", "task": "run_python", "params": {"code": code, "tables": {}}, "title": "Mean"}])
    step = StepOutcome(id="s1", task="run_python", title="Mean", params={"code": code}, state=State.DONE)
    data, _ = bundle(replace(everywhere("x"), plan=plan, steps=(step,)), lambda artifact: PIXEL)
    assert "      x = sales.revenue\n\n      x.mean()" in data["text/plain"]
    assert code in parsed(data["text/html"]).text


def test_a_plan_that_is_to_be_approved_shows_every_parameter() -> None:
    plan = load([{"id": "s1", "task": "send", "params": {"to": "Ada", "sql": "select 1", "n": {"deep": [1]}}}])
    assert plan_text(plan, full=True).splitlines()[2:] == [
        "      select 1",
        '      to = "Ada"',
        '      n = {"deep": [1]}',
    ]
    assert "deep" not in plan_text(plan)


def test_texts_stand_to_the_left_also_where_a_sheet_of_styles_is_taken_away() -> None:
    page = table_html(("region", "revenue"), [("North", 1)])
    texts = [attributes for tag, attributes in parsed(page).tags if tag in ("td", "th")]
    left = {"style": "text-align:left"}
    assert texts == [left, {"class": "number"}, left, {"class": "number"}]


def test_an_answer_put_together_from_plain_texts_keeps_their_lines_and_a_models_flows() -> None:
    answer = "1. Rules\n   rules.md, line 3\n   Ask first."
    made, worded = (
        bundle(Outcome(run="r", planner="grammar", answer=answer, answered_by=by), lambda artifact: None)[0][
            "text/html"
        ]
        for by in ("summary", "some-model")
    )
    assert "<li>Rules<br>rules.md, line 3<br>Ask first.</li>" in "".join(made.split("&#10;"))
    assert "<br>" not in worded


def test_what_to_do_about_a_failed_step_stands_on_a_line_of_its_own() -> None:
    plan = load([{"id": "s1", "task": "search", "params": {}}])
    failed = replace(STEP, state=State.FAILED, problem=Problem(kind="ToolFailed", message="no key", hint="Set <KEY>."))
    data, _ = bundle(Outcome(run="r", plan=plan, steps=(failed,), planner="grammar"), lambda artifact: None)
    assert "\n      no key\n      → Set <KEY>.\n" in data["text/plain"]
    assert "<p>no key<br>→ Set &lt;KEY&gt;.</p>" in data["text/html"]
