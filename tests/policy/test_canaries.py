"""Keys appear nowhere: not when a server echoes them, not when a tool spells them out, in no file that a run leaves."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, MarkdownExporter
from pydantic import SecretStr

from tests.policy.canaries import CANARIES, MODEL, TOOL, WEB, picture, seen, sightings, spelled
from workbench.bridge import wait
from workbench.cli import main
from workbench.core.errors import Refused
from workbench.core.events import AnyEvent, Kind
from workbench.planners.grammar import GrammarPlanner
from workbench.policy.secrets import Secrets
from workbench.workbench import Workbench, current, use

WAYS = ("print", "raise", "fail", "frame", "column", "title", "picture")
ECHO = "\n".join(form for key in CANARIES.values() for form in spelled(key))


class Hostile(BaseHTTPRequestHandler):
    """A model server and a search server that say the keys back, wherever there is room for words."""

    asked: ClassVar[list[str]] = []

    def log_message(self, *words: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.answer(200, {"data": [{"id": MODEL}, {"id": "m"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.asked.append(str(self.headers["authorization"]))
        if self.path.endswith("/search"):
            result = {"title": ECHO, "url": f"https://example.org/{WEB}", "content": ECHO, "score": 1.0}
            return self.answer(200, {"query": ECHO, "answer": ECHO, "results": [result], "response_time": 0.1})
        said = json.loads(body)["messages"][-1]["content"]
        for status in (400, 401, 404, 500):
            if f"status {status}" in said:
                return self.answer(status, {"error": {"message": ECHO, "code": MODEL, "type": ECHO}})
        if "no json" in said:
            return self.answer(200, f"not json {ECHO}")
        if "decline" in said:
            return self.chat(json.dumps({"refusal": ECHO, "steps": []}))
        if "odd plan" in said or "cannot be used" in said:
            return self.chat(json.dumps({"goal": ECHO, "steps": [{"task": MODEL, "params": {WEB: ECHO}}]}))
        if "response_format" not in body and "tool_choice" not in body:
            return self.chat(f"The answer is {ECHO}")
        way = next((way for way in WAYS if f"way {way}" in said), "print")
        steps: list[Any] = [{"task": "leak", "params": {"how": way, "words": ECHO}, "title": f"with {MODEL}"}]
        if "search" in said:
            steps.append({"task": "web_search", "params": {"query": ECHO[:300]}})
        return self.chat(json.dumps({"goal": MODEL, "steps": steps}))

    def chat(self, text: str) -> None:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        said = {"id": MODEL, "object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage}
        self.answer(200, said)

    def answer(self, status: int, body: Any) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status, MODEL)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name in ("x-echo", "location", "x-request-id", "openai-organization"):
            self.send_header(name, base64.b64encode(MODEL.encode()).decode())
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def hostile() -> Iterator[str]:
    Hostile.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: str) -> Path:
    """A project with the hostile tool, trusted, and an environment with the keys."""
    folder = tmp_path / "project"
    (folder / "tools").mkdir(parents=True)
    (folder / ".git").mkdir()
    monkeypatch.chdir(folder)
    for name, key in CANARIES.items():
        monkeypatch.setenv(name, key)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{hostile}/v1")
    monkeypatch.setenv("TAVILY_BASE_URL", hostile)
    monkeypatch.setenv("WORKBENCH_MODEL", "m")
    monkeypatch.setenv("WORKBENCH_MODEL_RETRIES", "0")
    # A user who lets everything through: what then keeps the keys in is not the policy.
    config = Path(os.environ["WORKBENCH_CONFIG"])
    config.mkdir(parents=True, exist_ok=True)
    (config / "config.toml").write_text('[policy]\nallow = ["tool:leak", "tool:web_search"]\n')
    use(Workbench())
    hidden = [bytes(byte ^ 0x5A for byte in form.encode()) for key in CANARIES.values() for form in spelled(key)]
    source = (Path(__file__).parent / "hostile_tool.py").read_text()
    tool = folder / "tools" / "leak.py"
    tool.write_text(source.replace("HIDDEN: list[bytes] = []", f"HIDDEN = {hidden!r}"))
    assert main(["trust", str(tool)]) == 0
    return folder


def executed(cells: list[str], folder: Path) -> Any:
    made: Any = nbformat.v4
    notebook = made.new_notebook(cells=[made.new_code_cell(cell) for cell in cells])
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, allow_errors=True, timeout=100, kernel_name="python3", resources=where)
    asyncio.run(client.async_execute())
    return notebook


CELLS = [
    "%load_ext workbench",
    "%agent way print, and search",
    *(f"%agent --fresh way {way}" for way in WAYS[1:]),  # the stand-in reads the first way that it finds in a prompt
    *(f"%agent give status {status}" for status in (400, 401, 404, 500)),
    "%agent no json please",
    "%agent decline please",
    "%agent odd plan please",
    "%workbench",
    "%workbench runs",
    "%workbench tools",
    "%workbench sql select * from events",
    "import workbench\ntry:\n    workbench.ask('give status 401')\nexcept Exception as error:\n    kept = error\nkept",
    "import traceback; print(''.join(traceback.format_exception(kept))); vars(kept)",
    "_run = workbench.ask('way print'); _run, _run.outcome, [step.value for step in _run.steps.values()]",
    "workbench.ask('way raise')",
]


@pytest.mark.timeout(400)
def test_no_key_is_anywhere_that_a_run_leaves_something(project, tmp_path, own_home, capsys):
    notebook = executed(CELLS, project)
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.ipynb").write_text(nbformat.writes(notebook), "utf-8")  # type: ignore[no-untyped-call]  # untyped
    exporters: Any = (HTMLExporter, MarkdownExporter)
    html, markdown = exporters
    for exporter, name in ((html(), "a.html"), (html(template_name="basic"), "b.html")):
        (out / name).write_text(exporter.from_notebook_node(notebook)[0], "utf-8")
    (out / "c.md").write_text(markdown().from_notebook_node(notebook)[0], "utf-8")
    capsys.readouterr()
    assert main(["runs"]) == 0
    run = capsys.readouterr().out.splitlines()[2].split()[0]
    said = ""
    shown = ["show", run]
    for line in (["runs"], shown, [*shown, "--json"], ["sql", "select * from events", "--json"], ["ask", "x"]):
        main(line)
        streams = capsys.readouterr()
        said += streams.out + streams.err
    assert "[redacted]" in said
    assert seen(said) == []

    # It did happen: the servers heard the keys, the tools ran, and what they said is there without them.
    assert f"Bearer {MODEL}" in Hostile.asked
    assert f"Bearer {WEB}" in Hostile.asked
    text = (out / "run.ipynb").read_text("utf-8")
    assert text.count("[redacted]") > 100
    assert "holds one of your keys" in text
    assert "The answer is [redacted]" in text
    events = [path for path in (own_home / "workbench" / "journal").iterdir() if path.read_bytes()]
    assert events
    assert (own_home / "workbench" / "memory.duckdb").exists()
    assert (own_home / "workbench" / "logs" / "agent.log").read_text().count("\n") > 50

    wait(current().close())
    assert sightings(own_home, out, project) == []


async def test_a_worker_has_no_key_in_its_environment_or_its_arguments(project):
    bench = Workbench()
    looked: list[int] = []
    leaked: list[str] = []

    def look(event: AnyEvent) -> None:
        # The tool waits for an answer of this loop, so it is alive while this looks.
        if event.kind != Kind.STEP_PROGRESS:
            return
        for pid in descendants(os.getpid()):
            for name in ("environ", "cmdline"):
                try:
                    data = Path(f"/proc/{pid}/{name}").read_bytes()
                except OSError:
                    continue
                looked.append(pid)
                leaked.extend(seen(data))

    run = await bench.ask("way print", listeners=(look,))
    assert run.status == "done"
    assert looked
    assert leaked == []
    assert seen(json.dumps(dict(os.environ))) == sorted(CANARIES)
    await bench.close()


async def test_a_table_of_the_user_that_holds_a_key_is_refused_and_not_kept(project, own_home):
    import pandas as pd

    bench = Workbench(planner=GrammarPlanner())
    found = pd.DataFrame({"name": ["a", f"Bearer {TOOL}"], "n": [1, 2]})
    with pytest.raises(Refused, match="@found holds the value of one of your keys"):
        await bench.ask("total n by name of @found", found=found)
    await bench.close()
    assert sightings(own_home) == []


def descendants(pid: int) -> set[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        children = {child for child, parent in parents.items() if parent == one}
        waiting += children - found
        found |= children
    return found


@pytest.mark.parametrize("key", CANARIES.values(), ids=CANARIES)
def test_the_search_finds_a_key_in_every_spelling(key):
    for form in spelled(key):
        assert seen(f'{{"text": "before {form} after"}}'), form
        assert seen(json.dumps({"text": f"before {form} after"})), form
        assert not seen(Secrets({"k": SecretStr(key)}).redact(f"before {form} after")), form
    assert not seen(ECHO[:3] + "nothing")


def test_the_search_finds_a_key_wherever_one_is_planted(tmp_path):
    import duckdb
    import pyarrow as pa

    (tmp_path / "page.html").write_text("".join(f"<p>{form}</p>" for form in spelled(MODEL)[5:6]))
    (tmp_path / "picture.png").write_bytes(picture(WEB))
    with duckdb.connect(str(tmp_path / "memory.duckdb")) as connection:
        connection.execute("create table t as select ? || i as a from range(5000) r(i)", [TOOL])
    table = pa.table({"a": [f"before {TOOL}"]})
    with pa.ipc.new_file(tmp_path / "t.arrow", table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as file:
        file.write_table(table)
    found = sightings(tmp_path)
    assert [line.split(":")[0] for line in found] == ["memory.duckdb", "page.html", "picture.png", "t.arrow"]
