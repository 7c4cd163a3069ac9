"""aimock, a model server of others (npm, MIT), saying what a test wrote down."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACKAGE = "@copilotkit/aimock@1.43.0"
FOLDER = Path(__file__).resolve().parents[2] / ".venv" / "aimock"


def installed() -> Path | None:
    """The program, installed when it is not there yet; None without npm. It brings nothing else with it."""
    program = FOLDER / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    if program.is_file():
        return program
    npm = shutil.which("npm")
    if npm is None:
        return None
    omit = ["--omit=optional", "--omit=peer", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund"]
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run([npm, "install", "--prefix", str(FOLDER), *omit, PACKAGE], check=True, capture_output=True)
    return program


@contextmanager
def serving(program: Path, folder: Path, said: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The base URL of a server that answers with the fixtures of `said` in order, and goes on with the last one."""
    entries = [{"match": {"sequenceIndex": at}, **one} for at, one in enumerate(said[:-1])] + [
        {"match": {}, **said[-1]}
    ]
    fixtures = folder / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": entries}), "utf-8")
    command = ["node", str(program), "-p", "0", "-f", str(fixtures), "--log-level", "info"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        try:
            heard = []
            for line in server.stdout:
                heard.append(line)
                if found := re.search(r"listening on (http://127\.0\.0\.1:\d+)", line):
                    yield f"{found[1]}/v1"
                    break
            else:
                raise AssertionError(f"aimock did not start: {''.join(heard)}")
        finally:
            server.kill()


_SEARCHING = """
import {{ readFileSync }} from "node:fs";
import {{ LLMock }} from {index};
const mock = new LLMock({{ port: 0, host: "127.0.0.1" }});
const {{ fixtures, found }} = JSON.parse(readFileSync({said}, "utf8"));
for (const fixture of fixtures) mock.addFixture(fixture);
mock.onSearch(/.*/, found);
console.log("listening on " + await mock.start());
"""


@contextmanager
def searching(
    program: Path, folder: Path, said: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]]
) -> Iterator[str]:
    """The URL of a server that answers chats with `said` in order, and searches as Tavily does, with `found`. Its
    command line knows no results of searches, so it is started by a script. `GET /v1/_requests` lists what it heard."""
    fixtures = [{"match": {"sequenceIndex": at}, **one} for at, one in enumerate(said)]
    (folder / "said.json").write_text(json.dumps({"fixtures": fixtures, "found": list(found)}), "utf-8")
    script = folder / "serve.mjs"
    index = (program.parent / "index.js").as_uri()
    script.write_text(_SEARCHING.format(index=json.dumps(index), said=json.dumps(str(folder / "said.json"))), "utf-8")
    with subprocess.Popen(["node", str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        try:
            heard = []
            for line in server.stdout:
                heard.append(line)
                if found_at := re.search(r"listening on (http://127\.0\.0\.1:\d+)", line):
                    yield found_at[1]
                    break
            else:
                raise AssertionError(f"aimock did not start: {''.join(heard)}")
        finally:
            server.kill()
