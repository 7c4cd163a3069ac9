"""What Tab offers: the right names at each place, a clean list in IPython, and never an error or a wait."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from tests.notebook.conftest import Outputs, text_of
from workbench.core.outcome import Outcome, StepOutcome
from workbench.notebook import line as lines
from workbench.notebook import matching
from workbench.notebook.completion import Sources, completions
from workbench.notebook.known import Lately
from workbench.run import Run

SALES = pd.DataFrame({"region": ["North"], "revenue": [1.0]})
RUN = Run(
    Outcome(run="r", request="total revenue", steps=(StepOutcome(id="s1", task="query_data", title="sum", params={}),)),
    Path(),
)
SCOPE = {"sales": SALES, "growth": RUN, "_": RUN, "number": 3, "_hidden": SALES}
KNOWN = Sources(
    models=lambda: {"gpt-4o": "used before", "llama": ""},
    personas=lambda: {"analyst": "figures first", "designer": ""},
    tools=lambda: {"query_data": "", "plot": ""},
    runs=lambda: {"20261127-120953-ab": "total revenue", "20261126-080000-cd": "another"},
    memories=lambda: {"abcd1234": "the fiscal year starts in May"},
    steps=lambda run: {"s1": "sum", "s2": "chart"} if run == "20261127-120953-ab" else {},
)


def offered(text: str) -> list[str]:
    found = completions(text, SCOPE, KNOWN)
    return [one.text for one in found.found] if found else []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%agent --pl", ["--plan"]),
        ("x = %agent --pl", ["--plan"]),
        ("a, b = %agent --pl", ["--plan"]),
        ("%%agent --pl", ["--plan"]),
        ("y = 1\n%agent --pl", ["--plan"]),
        ("%agent --model ", ["gpt-4o", "llama"]),
        ("%agent --model=gp", ["gpt-4o"]),
        ("%agent --plan --persona an", ["analyst"]),
        ("%agent --replay=", ["strict", "auto", "off"]),
        ("%agent --budget usd=0.5,ca", ["calls="]),
        ("%agent total of @sa", ["@sales"]),
        ("%agent --model gpt-4o total of @sa", ["@sales"]),
        ("%%agent --plan\ntotal of\n@sa", ["@sales"]),
        ("%agent @growth.", ["@growth.s1"]),
        ("%agent @_.s", ["@_.s1"]),
        ("%agent @cell", ["@cell[-1]"]),
        ("%agent @20261127-120953-ab.s2", ["@20261127-120953-ab.s2"]),
        ("%agent me@sa", []),
        ("%agent total of sa", []),
        ("%workbench sh", ["show"]),
        ("%workbench show ", ["20261127-120953-ab", "20261126-080000-cd"]),
        ("%workbench why 20261127-120953-ab.", ["20261127-120953-ab.s1", "20261127-120953-ab.s2"]),
        ("%workbench pin ", ["abcd1234"]),
        ("%workbench erase --memory ", ["abcd1234"]),
        ("%workbench memory ", ["audit", "compact", "export", "import"]),
        ("%workbench rerun 20261127 --fr", ["--from"]),
        ("%workbench resume 20261127 --ch", ["--changed-tools"]),
        ("%workbench nonsense ", []),
        ("sal", []),
        ("x = 5 % agent --pl", []),
    ],
)
def test_each_place_offers_what_may_stand_there(text: str, expected: list[str]) -> None:
    assert offered(text) == expected


def test_a_run_is_offered_with_its_request_and_a_table_with_its_size() -> None:
    found = completions("%workbench show 20261127", SCOPE, KNOWN)
    assert found is not None
    assert [(one.text, one.what) for one in found.found] == [("20261127-120953-ab", "total revenue")]
    named = completions("%agent @sales", SCOPE, KNOWN)
    assert named is not None
    assert named.found[0].what == "1 × 2 table"


def test_every_option_and_every_verb_is_offered() -> None:
    assert offered("%agent -") == [f"--{name}" for name in lines.OPTIONS]
    assert offered("%workbench ") == [form.split()[0] for form in lines.VERBS]


@given(st.text(max_size=80), st.sampled_from(["%agent ", "x = %agent ", "%%agent ", "%%agent\n", "%workbench "]))
def test_whatever_is_typed_what_is_offered_continues_it(text: str, before: str) -> None:
    typed = before + text
    found = completions(typed, SCOPE, KNOWN)
    if found is not None:
        assert typed.endswith(found.typed)
        assert found.found
        assert all(one.text.startswith(found.typed) for one in found.found)


def test_a_source_that_hangs_or_fails_costs_a_moment_and_no_error() -> None:
    release = threading.Event()
    hangs = Lately(lambda: {"late": ""} if release.wait(30) else {})
    assert hangs() == {}
    assert hangs() == {}  # and no second thread is started for it
    release.set()
    assert hangs._reading is not None
    hangs._reading.join()
    assert hangs() == {"late": ""}

    def fails() -> dict[str, str]:
        raise RuntimeError("the disk is gone")

    assert Lately(fails)() == {}


def test_in_ipython_the_list_is_clean_and_an_older_one_is_served_by_its_hook() -> None:
    quiet = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell(config=quiet)  # type: ignore[no-untyped-call]  # IPython leaves this one untyped
    shell.run_line_magic("load_ext", "workbench")
    shell.user_ns["sales"] = SALES
    with provisionalcompleter():
        text = "x = %agent --pl"
        assert [one.text for one in shell.Completer.completions(text, len(text))] == ["--plan"]
        text = "%%agent --plan\ntotal of @sal"
        (one,) = shell.Completer.completions(text, len(text))
        assert (one.text, text[one.start : one.end]) == ("@sales", "@sal")
    event = SimpleNamespace(text_until_cursor="%agent total of @sal", symbol="sal", command="%agent")
    assert matching._hook(shell, event) == ["sales"]
    shell.run_line_magic("unload_ext", "workbench")
    with provisionalcompleter():
        assert "--plan" not in [one.text for one in shell.Completer.completions("%agent --pl", 11)]


def test_loading_the_extension_imports_nothing_that_is_heavy() -> None:
    code = (
        "import sys\nfrom IPython.core.interactiveshell import InteractiveShell\nshell = InteractiveShell.instance()\n"
        "before = set(sys.modules)\nshell.run_line_magic('load_ext', 'workbench')\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new & {'pydantic', 'pandas', 'duckdb', 'openai', 'matplotlib', 'anywidget', 'ipywidgets'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


CONFIG = """
import pandas as pd
%load_ext workbench
sales = pd.DataFrame({"region": ["North", "South"], "revenue": [1.0, 2.0]})
"""


def test_what_config_sets_is_what_a_request_uses_and_the_line_wins(run_cells: Callable[..., Outputs]) -> None:
    outputs = run_cells(
        CONFIG,
        '%config Workbench.budget = "steps=0"',
        "%agent total revenue of @sales",
        "%agent --budget steps=5 total revenue of @sales",
        '%config Workbench.budget = "nonsense"',
        "%config Workbench.budget",
        '%config Workbench.persona = "analist"',
        "%config Workbench.timeout = -1",
        "%config Workbench",
        "%workbench",
    )
    assert "budget" in text_of(outputs[2]).lower()
    assert "3" in text_of(outputs[3])
    for wrong, word in ((4, "usd=0.5,calls=20"), (6, "did you mean analyst?"), (7, "seconds")):
        said = text_of(outputs[wrong])
        assert word in said
        assert len(said.strip().splitlines()) == 1
    assert text_of(outputs[5]) == "'steps=0'"
    assert all(f"Workbench.{name}=" in text_of(outputs[8]) for name in ("model", "budget", "persona", "replay", "ask"))
    assert "budget = steps=0" in text_of(outputs[9])


def test_what_ipython_config_says_counts_from_the_start_and_a_wrong_value_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from workbench.notebook import config

    shell: Any = SimpleNamespace(configurables=[], config=Config({"Workbench": {"model": "gpt-x", "ask": True}}))
    config.install(shell)
    assert config.of(shell).changed() == {"model": "gpt-x", "ask": True}
    assert config.applied(lines.read("total"), config.of(shell)).model == "gpt-x"
    assert config.applied(lines.read("--model m total"), config.of(shell)).model == "m"
    shell = SimpleNamespace(configurables=[], config=Config({"Workbench": {"budget": "many"}}))
    config.install(shell)
    assert config.of(shell).changed() == {}
    assert capsys.readouterr().err.count("\n") == 1


def test_a_semicolon_shows_nothing_and_keeps_the_run(run_cells: Callable[..., Outputs]) -> None:
    outputs = run_cells(
        CONFIG,
        "%agent total revenue of @sales;",
        "_.status",
        "kept = %agent total revenue of @sales;",
        "kept.df.iloc[0, 0]",
        "%%agent\ntotal revenue of @sales\n;",
        "%agent total of @slaes;",
    )
    assert outputs[1] == outputs[3] == outputs[5] == []
    assert text_of(outputs[2]) == "'done'"
    assert "3" in text_of(outputs[4])
    assert "did you mean @sales?" in text_of(outputs[6])
