"""What `%workbench resume` and `rerun` take, and what a new kernel is offered."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.configuration import load_settings
from workbench.core.errors import Refused
from workbench.core.events import Event, Kind
from workbench.memory import lease, locks
from workbench.memory.base import Holder
from workbench.notebook import again, options
from workbench.notebook.table import Table
from workbench.workbench import Workbench


def test_values_are_json_where_they_are_json_and_texts_elsewhere():
    found = options.values(["s1.params.n=5", "s1.params.text=five = 5", 's2.params.list=["a"]', "s3.title="])
    assert found == {"s1.params.n": 5, "s1.params.text": "five = 5", "s2.params.list": ["a"], "s3.title": ""}
    with pytest.raises(Refused, match="--set s1 is not PLACE=VALUE"):
        options.values(["s1"])


@pytest.mark.parametrize(
    ("verb", "line", "said"),
    [
        (again.rerun, "", "the following arguments are required: run"),
        (again.resume, "r1 --dun s1", "unrecognized arguments: --dun"),
        (again.resume, "r1 --yes --deny", "not allowed with argument"),
        (again.rerun, "r1 'open", "No closing quotation"),
    ],
)
def test_a_line_that_cannot_be_read_is_one_error_and_ends_nothing(verb: Any, line: str, said: str):
    with pytest.raises(Refused, match=said):
        verb(None, line)


def shell(notebook: str, *, live: bool = True) -> Any:
    parent = {"content": {"allow_stdin": live}}
    return SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda: parent), user_ns={"__session__": notebook})


def test_a_new_kernel_offers_what_its_forerunner_left_once_and_only_where_somebody_looks(tmp_path: Path):
    bench = Workbench(load_settings({"WORKBENCH_CONFIG": str(tmp_path / "config")}, tmp_path))
    home, user = bench.settings.home, bench.settings.user
    for run, notebook, who, kind in (
        ("r1", "/work/a.ipynb", user, Kind.PLAN_MADE),
        ("r2", "/work/b.ipynb", user, Kind.PLAN_MADE),
        ("r3", "/work/a.ipynb", "somebody", Kind.PLAN_MADE),
        ("r4", "/work/a.ipynb", user, Kind.RUN_DONE),
    ):
        bench.memory.append(
            Event(run=run, seq=0, at="2026-01-01T12:00:00+00:00", kind=kind, body={"plan": {"steps": []}})
        )
        since = "2026-01-01T12:00:00+00:00"
        held = lease.take(home, Holder(run=run, pid=4711, notebook=notebook, user=who, since=since))
        assert held.descriptor is not None
        locks.close(held.descriptor)  # as when its process dies
    offers = again.Offers()
    assert offers.line(bench, shell("/work/a.ipynb", live=False)) == ""
    line = offers.line(bench, shell("/work/a.ipynb"))
    assert line == (
        "A run was left unfinished here, begun 2026-01-01 12:00 UTC. To go on with it: %workbench resume r1"
    )
    assert offers.line(bench, shell("/work/a.ipynb")) == ""
    listed = again.resume(bench, " ")
    assert isinstance(listed, Table)
    assert [(line, Path(notebook).name) for line, _, notebook in listed.rows] == [
        ("%workbench resume r2", "b.ipynb"),
        ("%workbench resume r1", "a.ipynb"),
    ]
    assert sorted(path.name for path in (home / "leases").iterdir()) == ["r1", "r2", "r3"]
    bench.memory.close_now()  # type: ignore[attr-defined]  # a memory on a disk
