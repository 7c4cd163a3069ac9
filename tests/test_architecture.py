"""ARCHITECTURE.md says which way a request goes. This runs a request and holds the page to it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TRACED = """
import json, sys, threading
import pandas as pd
from IPython.core.interactiveshell import InteractiveShell

wanted, first = json.loads(sys.argv[1]), {}

def listen(frame, event, argument):
    if event == "call":
        name = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
        if name in wanted and name not in first:
            first[name] = len(first)

shell = InteractiveShell.instance()
shell.user_ns["sales"] = pd.DataFrame({"region": ["North", "South", "North"], "revenue": [1.0, 2.0, 4.0]})
shell.run_line_magic("load_ext", "workbench")
threading.setprofile(listen)
sys.setprofile(listen)
shell.run_line_magic("agent", "total revenue by region of @sales")
sys.setprofile(None)
print(json.dumps(sorted(first, key=first.get)), file=sys.stderr)
"""


def listed() -> list[str]:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    way = page.split("## The way of a request")[1].split("\n## ")[0]
    return re.findall(r"^\d+\. `([\w.]+)`", way, re.MULTILINE)


def test_the_way_of_a_request_is_the_one_on_the_page() -> None:
    names = listed()
    assert len(names) > 10
    done = subprocess.run(
        [sys.executable, "-c", TRACED, json.dumps(names)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    walked = json.loads(done.stderr.strip().splitlines()[-1])
    assert walked == names


def test_the_layers_on_the_page_are_those_that_are_checked() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    table = page.split("## Layers")[1].split("\n## ")[0]
    on_page = set(re.findall(r"`(\w+)/?`", "".join(row.split("|")[2] for row in re.findall(r"^\| \d.*", table, re.M))))
    present = {path.stem for path in (ROOT / "workbench").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert on_page == present - {
        "__init__",
        "__pycache__",
        "toolkit",
        "readonly",
        "search",
        "charts",
        "wireframe",
        "py",
        "_shipped_tools",
    }
