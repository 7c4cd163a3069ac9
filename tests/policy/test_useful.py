"""What people ask for goes on working: a person who confirms only what they wrote themselves gets their work done."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.policy.obedient import World, build, plant
from tests.web import Reply, Server, serving
from workbench.configuration import load_settings
from workbench.core.errors import WorkbenchError
from workbench.memory.volatile import InMemoryMemory
from workbench.models.testing import TestModel
from workbench.planners.model import ModelPlanner
from workbench.policy.approval import Asked, Decision
from workbench.policy.words import leaves
from workbench.sandbox.portable import SpawnedSandbox
from workbench.workbench import Workbench

pytestmark = pytest.mark.timeout(300)

SALES = pd.DataFrame({"region": ["North", "South", "West"], "revenue": [10.0, 20.0, 40.0]})
FOUND = [
    {"title": "Coffee", "url": "https://news.example/coffee", "content": "Coffee costs 310 cents."},
    {"title": "Tea", "url": "https://news.example/tea", "content": "Tea costs 95 cents."},
]
MORE_TOOLS = {
    "mail": '''"""Sends a mail."""
PERMISSIONS = {"network": ["mail.example"]}
EFFECT = "write"

def run(to: str, body: str, subject: str = "") -> str:
    import pathlib
    with pathlib.Path(FOLDER, "sent.txt").open("a") as sent:
        sent.write(to + ": " + body)
    return "sent"
''',
    "write_table": '''"""Writes a table to a file."""
from workbench import toolkit
PERMISSIONS = {}
EFFECT = "idempotent"

def run(path: str, table: toolkit.Frame) -> str:
    import pathlib
    table.to_csv(pathlib.Path(FOLDER, path), index=False)
    return "written"
''',
}


@dataclass(frozen=True)
class Scenario:
    """A request, the steps of each round that serve it, and what there is to see afterwards."""

    request: str
    rounds: Sequence[list[dict[str, Any]]]
    seen: Callable[[World], bool] = lambda world: True
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)


def step(task: str, /, id: str = "", **params: Any) -> dict[str, Any]:  # noqa: A002 - the plan's own word
    return {"task": task, "params": params} | ({"id": id} if id else {})


def ref(to: str) -> dict[str, str]:
    return {"$ref": to}


def query(sql: str, id: str = "", **tables: str) -> dict[str, Any]:  # noqa: A002 - the plan's own word
    return step("query_data", id=id, sql=sql, tables={name: ref(to) for name, to in tables.items()})


def holds(name: str, text: str) -> Callable[[World], bool]:
    return lambda world: text in (world.folder / "project" / name).read_text("utf-8")


BY_REGION = "select region, sum(revenue) as revenue from sales group by region order by region"
ON_SALES = {"sales": SALES}
SCENARIOS = [
    Scenario("search the web for coffee prices", [[step("web_search", query="coffee prices")]]),
    Scenario(
        "search the web for coffee prices, then for tea prices",
        [[step("web_search", query="coffee prices")], [step("web_search", query="tea prices")]],
    ),
    Scenario(
        "search the web for the price of coffee and compare it with revenue in @sales",
        [
            [step("web_search", query="price of coffee")],
            [query("select region, revenue / 310 as cups from sales", sales="@sales")],
        ],
        frames=ON_SALES,
    ),
    Scenario(
        "search the web for coffee and tea prices and plot them",
        [
            [step("web_search", query="coffee and tea prices")],
            [
                query("select * from (values ('coffee', 310), ('tea', 95)) as t(what, cents)", id="prices"),
                step("plot", data=ref("prices"), kind="bar"),
            ],
        ],
    ),
    Scenario(
        "read https://news.example/coffee and sum it up",
        [[step("web_fetch", url="https://news.example/coffee")]],
    ),
    Scenario(
        "compare https://news.example/coffee with https://news.example/tea.",
        [[step("web_fetch", url="https://news.example/coffee"), step("web_fetch", url="https://news.example/tea")]],
    ),
    Scenario(
        "search the web for coffee; then read https://news.example/tea as well",
        [[step("web_search", query="coffee")], [step("web_fetch", url="https://news.example/tea")]],
    ),
    Scenario(
        "total revenue by region of @sales as a bar chart",
        [[query(BY_REGION, id="totals", sales="@sales"), step("plot", data=ref("totals"), kind="bar")]],
        frames=ON_SALES,
    ),
    Scenario(
        "remember that our fiscal year starts in April",
        [[step("remember", text="our fiscal year starts in April")]],
    ),
    Scenario(
        "what is the best region of @sales? Remember that West is our best region.",
        [
            [query("select region from sales order by revenue desc limit 1", sales="@sales")],
            [step("remember", text="West is our best region")],
        ],
        frames=ON_SALES,
    ),
    Scenario("what do you remember about coffee?", [[step("recall", question="coffee")]]),
    Scenario(
        "use what you remember about coffee to count the cups that @sales would buy",
        [[step("recall", question="coffee")], [query("select sum(revenue) / 3 from sales", sales="@sales")]],
        frames=ON_SALES,
    ),
    Scenario("sum up notes.txt", [[step("read_text", path="notes.txt")]]),
    Scenario("what is in the inbox?", [[step("list_files")]]),
    Scenario(
        "read notes.txt and write 'well done, team' to praise.txt",
        [[step("read_text", path="notes.txt")], [step("file_write", path="praise.txt", content="well done, team")]],
        holds("praise.txt", "well done, team"),
    ),
    Scenario(
        "save the revenue by region of @sales to totals.csv",
        [[query(BY_REGION, id="totals", sales="@sales"), step("write_table", path="totals.csv", table=ref("totals"))]],
        holds("totals.csv", "West,40"),
        frames=ON_SALES,
    ),
    Scenario(
        'save @sales to "backup.csv", please',
        [[step("write_table", path="backup.csv", table=ref("@sales"))]],
        holds("backup.csv", "North,10"),
        frames=ON_SALES,
    ),
    Scenario(
        "mail 'The report is late.' to bob@corp.example",
        [[step("mail", to="bob@corp.example", body="The report is late.")]],
        holds("sent.txt", "bob@corp.example: The report is late."),
    ),
    Scenario(
        "read notes.txt, then mail bob@corp.example that lunch is at 12",
        [[step("read_text", path="notes.txt")], [step("mail", to="bob@corp.example", body="lunch is at 12")]],
        holds("sent.txt", "lunch is at 12"),
    ),
    Scenario("run select * from sales", [[step("db_query", sql="select * from sales")]]),
    Scenario("draw 2 pictures of a red house", [[step("image_generate", prompt="a red house", n=2)]]),
    Scenario(
        "install the tool package chart-tools",
        [[step("install_tool", name="chart-tools")]],
        lambda world: (world.installed / "chart-tools").exists(),
    ),
    Scenario(
        "which region of @sales is largest, and what does the web say? search for largest region",
        [
            [
                query("select region from sales order by revenue desc limit 1", sales="@sales"),
                step("web_search", query="largest region"),
            ]
        ],
        frames=ON_SALES,
    ),
    Scenario(
        "把 'hello' 写到 报告.txt", [[step("file_write", path="报告.txt", content="hello")]], holds("报告.txt", "hello")
    ),
    Scenario("open news.example/coffee", [[step("web_fetch", url="https://news.example/coffee")]]),
    Scenario("remember that I prefer bar charts", [[step("remember", text="I prefer bar charts", kind="preference")]]),
    Scenario(
        "search the web for price of tea twice: 5 results, then 10",
        [[step("web_search", query="price of tea")], [step("web_search", query="price of tea", max_results=10)]],
    ),
    Scenario(
        "Search for Tris buffer, then for HEPES buffer.",
        [[step("web_search", query="Tris buffer")], [step("web_search", query="HEPES buffer")]],
    ),
    Scenario(
        "Mail 'Samples are done' to ann@lab.example and bob@lab.example",
        [
            [
                step("mail", to="ann@lab.example", body="Samples are done"),
                step("mail", to="bob@lab.example", body="Samples are done"),
            ]
        ],
        holds("sent.txt", "bob@lab.example: Samples are done"),
    ),
    Scenario(
        "mail ann@lab.example that we meet at 10:30, subject Meeting",
        [[step("mail", to="ann@lab.example", body="we meet at 10:30", subject="Meeting")]],
        holds("sent.txt", "we meet at 10:30"),
    ),
    Scenario(
        "search my documents for tea and write 'seen' to seen.txt",
        [[step("search_documents", query="tea", folder=".")], [step("file_write", path="seen.txt", content="seen")]],
        holds("seen.txt", "seen"),
    ),
    Scenario(
        "summarise @sales and save the summary to summary.csv",
        [
            [query("select avg(revenue) as mean from sales", id="s", sales="@sales")],
            [step("write_table", path="summary.csv", table=ref("s"))],
        ],
        holds("summary.csv", "mean"),
        frames=ON_SALES,
    ),
    Scenario(
        "запиши 'готово' в файл итог.txt",
        [[step("file_write", path="итог.txt", content="готово")]],
        holds("итог.txt", "готово"),
    ),
    Scenario(
        "écris « terminé » dans résultat.txt",
        [[step("file_write", path="résultat.txt", content="terminé")]],
        holds("résultat.txt", "terminé"),
    ),
    Scenario(
        'write the line "a, b\nc" to x.txt',
        [[step("file_write", path="x.txt", content="a, b\nc")]],
        holds("x.txt", "a, b\nc"),
    ),
    # The price: what others wrote does not leave or act unless the person vouches for it, and this one never does.
    Scenario(
        "search the web for coffee and read the first result",
        [[step("web_search", id="found", query="coffee"), step("web_fetch", url=ref("found#/results/0/url"))]],
    ),
    Scenario(
        "mail the total revenue of @sales to bob@corp.example",
        [
            [
                query("select sum(revenue) as total from sales", id="total", sales="@sales"),
                step("mail", to="bob@corp.example", body="The total is {{total}}."),
            ]
        ],
        frames=ON_SALES,
    ),
]


class Person:
    """Says yes to a question only when every value in it stands in their own words."""

    def __init__(self, request: str) -> None:
        self.asked: list[Asked] = []
        self._request = " ".join(request.split()).casefold()

    async def __call__(self, asked: Asked) -> Decision:
        self.asked.append(asked)
        assert asked.call is not None
        values = [str(value).casefold() for part in asked.call.arguments for value in leaves(part.value)]
        own = all(value in self._request for value in values)
        return Decision(answer="allow" if own else "deny", by="user")


@pytest.fixture(scope="module")
def listener() -> Iterator[Server]:
    with serving() as server:
        yield server


async def play(scenario: Scenario, listener: Server) -> tuple[str, list[Asked]]:
    """How the scenario ended ("done", or its error), and what was asked on the way."""
    world = build(listener, MORE_TOOLS)
    listener.replies = [Reply(body={"results": FOUND})]
    project = world.folder / "project"
    (project / "notes.txt").write_text("Coffee is up, tea is down.")
    env = {
        "WORKBENCH_CONFIG": str(world.folder / "config"),
        "TAVILY_API_KEY": "tvly-something-long",
        "TAVILY_BASE_URL": listener.url,
    }
    settings = load_settings(env, project)
    plans = [{"steps": steps, "look": number < len(scenario.rounds)} for number, steps in enumerate(scenario.rounds, 1)]
    person = Person(scenario.request)
    made = Workbench(
        settings,
        planner=ModelPlanner(TestModel([*plans, "That is all."])),
        memory=InMemoryMemory(),
        sandbox=SpawnedSandbox(settings.home, settings.project),
    )
    await plant(made, "coffee costs 3 a cup")
    try:
        run = await made.ask(
            scenario.request, variables=scenario.frames, named=tuple(scenario.frames), approver=person, rounds=False
        )
        ended = run.status if scenario.seen(world) else "done, and nothing to see"
    except WorkbenchError as error:
        ended = str(error)
    finally:
        await made.close()
        shutil.rmtree(world.folder, ignore_errors=True)
    return ended, person.asked


async def test_nine_of_ten_useful_requests_finish_with_a_person_who_confirms_only_what_they_wrote(
    listener: Server,
) -> None:
    ends = {scenario.request: await play(scenario, listener) for scenario in SCENARIOS}
    finished = [request for request, (ended, _) in ends.items() if ended == "done"]
    steps = sum(len(steps) for scenario in SCENARIOS for steps in scenario.rounds)
    asked = sum(len(questions) for _, questions in ends.values())
    print(f"\n{len(finished)} of {len(SCENARIOS)} useful requests finish; {asked} questions in {steps} steps")
    for request, (ended, questions) in ends.items():
        if ended != "done" or questions:
            print(f"  {request}: {ended} ({len(questions)} asked)")
    assert len(SCENARIOS) >= 20
    assert len(finished) >= 0.9 * len(SCENARIOS)


async def test_code_over_the_users_own_rows_runs_without_a_question_where_it_is_confined(
    tmp_path: Path, level: str
) -> None:
    (tmp_path / "project").mkdir()
    settings = load_settings({"WORKBENCH_CONFIG": str(tmp_path / "config")}, tmp_path / "project")
    code = step("run_python", code="float(sales['revenue'].sum())", tables={"sales": ref("@sales")})
    made = Workbench(
        settings, planner=ModelPlanner(TestModel([{"steps": [code]}, "That is all."])), memory=InMemoryMemory()
    )
    person = Person("the sum of revenue in @sales")
    try:
        if level == "kernel":
            run = await made.ask("the sum of revenue in @sales", sales=SALES, approver=person, rounds=False)
            assert run.steps[0].value["value"] == 70.0
            assert {str(source) for source in run.outcome.steps[0].provenance} == {"user", "frame @sales"}
            assert not person.asked
        else:
            with pytest.raises(WorkbenchError):
                await made.ask("the sum of revenue in @sales", sales=SALES, approver=person, rounds=False)
    finally:
        await made.close()
