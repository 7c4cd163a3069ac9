"""The example that the project is for: headlines are searched, and a component that shows them is written, shown,
applied and taken back. The model and the search are aimock's, over real sockets."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.planners import aimock
from workbench import bridge
from workbench.configuration import load_settings
from workbench.core.errors import Denied, Refused
from workbench.telemetry.verify import verify
from workbench.workbench import Workbench

REQUEST = "Create a React component that displays the latest news headlines"
PLAN = (
    '[{"task":"search_news","params":{"query":"latest news headlines","max_results":5}},'
    '{"task":"generate_code","params":{"language":"javascript","framework":"react","spec":"display headlines"}}]'
)
HEADLINES: list[dict[str, Any]] = [
    {
        "title": f"Headline {number}: {what}",
        "url": f"https://news.example/{number}",
        "content": f"{what}, said on Monday.",
        "score": 0.9 - number / 10,
        "published_date": "2026-11-26",
    }
    for number, what in enumerate(["comet over Lisbon", "tides at their highest", "a lighthouse is sold"], 1)
]
CODE = """import React from "react";

const headlines = [
  { title: "Headline 1: comet over Lisbon", url: "https://news.example/1" },
];

export default function NewsComponent() {
  return (
    <ul>
      {headlines.map((item) => (
        <li key={item.url}><a href={item.url}>{item.title}</a></li>
      ))}
    </ul>
  );
}
"""
WRITTEN = f"Here is the component.\n\n```jsx\n{CODE}```\n"


class Bench:
    """A workbench in a project of its own, with aimock behind it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.project = folder / "project"
        self.project.mkdir()
        subprocess.run(["git", "init", "-q", str(self.project)], check=True)
        env = {
            "WORKBENCH_HOME": str(folder / "home"),
            "WORKBENCH_CONFIG": str(folder / "config"),
            "OPENAI_BASE_URL": f"{url}/v1",
            "OPENAI_API_KEY": "sk-nobody-0123456789",
            "WORKBENCH_MODEL": "writer",
            "TAVILY_BASE_URL": url,
            "TAVILY_API_KEY": "tvly-nobody-0123456789",
            "WORKBENCH_USER": "tester",
        }
        self.workbench = Workbench(load_settings(env, self.project))

    def heard(self) -> list[dict[str, Any]]:
        return list(httpx2.get(f"{self.url}/v1/_requests").json())


@pytest.fixture
def bench(request: pytest.FixtureRequest, aimock_program: Path, tmp_path: Path) -> Iterator[Bench]:
    said = [{"response": {"content": text}} for text in request.param]
    with aimock.searching(aimock_program, tmp_path, said, HEADLINES) as url:
        bench = Bench(tmp_path, url)
        yield bench
        bridge.wait(bench.workbench.close())


def prompts(bench: Bench) -> list[str]:
    bodies = [entry["body"] for entry in bench.heard() if "chat/completions" in entry["path"]]
    return ["\n".join(message["content"] for message in body["messages"]) for body in bodies]


@pytest.mark.parametrize("bench", [[PLAN, WRITTEN, "Done [1]."]], indirect=True)
def test_a_model_plans_it_and_git_can_apply_what_comes_out(bench: Bench) -> None:
    run = bridge.wait(bench.workbench.ask(REQUEST))
    assert [step.task for step in run.steps.values()] == ["search_news", "generate_code"]
    assert [step.state for step in run.steps.values()] == ["done", "done"]
    assert run.plan is not None
    assert run.plan.sequential
    assert [item["title"] for item in run.steps[0].value["results"]] == [one["title"] for one in HEADLINES]

    asked_for_code = prompts(bench)[1]
    assert all(one["title"] in asked_for_code and one["url"] in asked_for_code for one in HEADLINES)
    assert [entry["path"] for entry in bench.heard() if "search" in entry["path"]] == ["/search"]

    # What is shown can be copied: the code stands there as it is, not as a diff.
    shown, _ = run._repr_mimebundle_()
    assert CODE.rstrip() in shown["text/plain"]
    assert "NewsComponent.jsx (new; JavaScript parses)" in shown["text/plain"]
    assert "&lt;li key={item.url}&gt;" in shown["text/html"]
    assert run.code == {"NewsComponent.jsx": CODE}

    diff = run.steps[1].value["diff"]
    subprocess.run(["git", "apply", "--check", "-"], input=diff.encode(), cwd=bench.project, check=True)
    subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=bench.project, check=True)
    assert (bench.project / "NewsComponent.jsx").read_text() == CODE

    # The memory returns plan and results.
    again = bridge.wait(bench.workbench.record.show(run.id))
    assert again.plan == run.plan
    assert again.steps[0].value == run.steps[0].value
    assert again.code == run.code
    assert again.outcome.sources == run.outcome.sources


@pytest.mark.parametrize("bench", [[WRITTEN, "Done."]], indirect=True)
def test_its_plan_runs_verbatim_and_the_run_applies_and_undoes_itself(bench: Bench) -> None:
    run = bridge.wait(bench.workbench.ask(PLAN))
    assert run.outcome.planner == "you"
    file = bench.project / "NewsComponent.jsx"
    assert not file.exists()

    assert str(run.apply()) == "NewsComponent.jsx: new"
    assert file.read_text() == CODE
    with pytest.raises(Refused, match="there is a file already") as caught:
        run.apply()
    assert caught.value.hint
    file.write_text(CODE + "// mine\n")
    with pytest.raises(Refused, match="changed since"):
        run.undo()
    file.write_text(CODE)
    assert str(run.undo()) == "NewsComponent.jsx: removed"
    assert not file.exists()

    # By another process's word, from the record alone.
    again = bridge.wait(bench.workbench.record.show(run.id))
    again.apply("s2")
    assert file.read_text() == CODE
    with pytest.raises(Refused, match="written no code"):
        again.undo("s1")

    kinds = bridge.wait(
        bench.workbench.record.sql("select kind, body from events where kind like 'edit.%' order by happened_at")
    )
    assert list(kinds["kind"]) == ["edit.applied", "edit.undone", "edit.applied"]
    assert all(run.id in str(body) for body in kinds["body"])
    verdict = verify(bench.workbench.trail)
    assert verdict.ok, str(verdict)
    records = [json.loads(line) for line in bench.workbench.trail.path.read_text().splitlines()]
    assert [record["kind"] for record in records if record["kind"] in ("edit", "undo")] == ["edit", "undo", "edit"]
    assert [record["facts"]["of"] for record in records if record["kind"] == "undo"] == [run.id]


@pytest.mark.parametrize("bench", [[WRITTEN, "Done."]], indirect=True)
def test_nothing_is_applied_through_a_link(bench: Bench, tmp_path: Path) -> None:
    run = bridge.wait(bench.workbench.ask(PLAN))
    outside = tmp_path / "outside.jsx"
    (bench.project / "NewsComponent.jsx").symlink_to(outside)
    with pytest.raises(Denied, match="passes through a link"):
        run.apply()
    assert not outside.exists()
