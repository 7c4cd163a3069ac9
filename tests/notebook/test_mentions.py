"""What a request names with `@`, and what is prose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.outcome import Outcome, StepOutcome
from workbench.notebook.line import BadLine
from workbench.notebook.mentions import found
from workbench.run import Run

TABLE = pd.DataFrame({"a": [1]})
STEPS = tuple(StepOutcome(id=name, task="query_data", title=name, params={}) for name in ("s1", "s2"))
RUN = Run(Outcome(run="20261127-120953-ab12cd34ef", request="total", steps=STEPS), Path())
PNG = b"\x89PNG\r\n\x1a\n"
SCOPE: dict[str, Any] = {"sales": TABLE, "customers": TABLE, "fig": PNG, "growth": RUN, "_": RUN, "number": 3}


def named(text: str) -> list[tuple[str, str, str]]:
    return [(mention.kind, mention.name, mention.step) for mention in found(text, SCOPE)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("join @sales and @sales with @customers", [("table", "sales", ""), ("table", "customers", "")]),
        ("ratio @sales/2", [("table", "sales", "")]),
        ("total of @sales.", [("table", "sales", "")]),
        ("total of @sales.Then plot", [("table", "sales", "")]),
        ("join\n@sales\n@customers", [("table", "sales", ""), ("table", "customers", "")]),
        ("what is odd in @fig?", [("figure", "fig", "")]),
        ("as in @growth, @growth.s2 and @_.s1", [("run", "growth", ""), ("run", "growth", "s2"), ("run", "_", "s1")]),
        ("as in @growth.Then go on", [("run", "growth", "")]),
        ("why does @cell[-1] fail when @cell[3] did not", [("cell", "-1", ""), ("cell", "3", "")]),
        ("of @20261127-120953-ab.s2", [("run", "20261127-120953-ab", "s2")]),
        ("of @20261127-1209", [("run", "20261127-1209", "")]),
        ("rows of @previous", [("previous", "previous", "")]),
        ("mail me@example.org, see https://example.org/@me", []),
        ("npm install @jupyterlab/services", []),
        ("explain\n@dataclass(frozen=True)\n@final\nclass Sale:\n    @property\n    def tax(self): ...", []),
        ("at 20:00 @ home", []),
        ("@@sales", []),
    ],
)
def test_what_is_named_and_what_is_prose(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert named(text) == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("total of @slaes", "did you mean @sales"),
        ("join\n@slaes\nby region", "did you mean @sales"),
        ("total of @number", "not a DataFrame, a figure or a run"),
        ("of @growth.s3", "has no step s3. There are: @growth.s1"),
        ("of @nothing", "There are: @sales"),
    ],
)
def test_a_name_that_is_not_there_is_told_in_one_line_with_the_near_one(text: str, word: str) -> None:
    with pytest.raises(BadLine, match=word) as caught:
        found(text, SCOPE)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=200))
def test_text_without_an_at_names_nothing(text: str) -> None:
    assert found(text.replace("@", ""), SCOPE) == []


@given(st.lists(st.sampled_from(["@sales", "@growth.s1", "@cell[-2]", "@fig", "a@b.c", "x", "\n", "(", ",", "é"])))
def test_each_name_that_stands_alone_is_found_once_and_in_order(words: list[str]) -> None:
    typed = [mention.typed for mention in found(" ".join(words), SCOPE)]
    assert typed == list(dict.fromkeys(word for word in words if word.startswith("@")))


@given(st.text("@.[]-_/ascelgrowth1\n", max_size=60))
def test_whatever_is_typed_is_read_or_told_in_one_line(text: str) -> None:
    said, mentions = "", []
    try:
        mentions = found(text, SCOPE)
    except BadLine as wrong:
        said = str(wrong)
    assert "\n" not in said
    assert all(mention.typed in text for mention in mentions)
