"""A kernel that never asks pays nothing: what `import workbench` and `%load_ext workbench` bring in."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = [
    "openai",
    "pandas",
    "numpy",
    "pyarrow",
    "duckdb",
    "faiss",
    "tavily",
    "papermill",
    "fastapi",
    "ipywidgets",
    "anywidget",
    "matplotlib",
    "loguru",
    "limits",
    "pydantic",
]


@pytest.mark.parametrize(
    "load",
    [
        "import workbench",
        (
            "from IPython.core.interactiveshell import InteractiveShell as S\n"
            "S.instance().run_line_magic('load_ext', 'workbench')"
        ),
    ],
    ids=["import", "load_ext"],
)
def test_nothing_heavy_is_loaded(load: str) -> None:
    code = f"{load}\nimport sys, json\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_every_public_name_can_be_had() -> None:
    code = "import workbench; [getattr(workbench, name) for name in workbench.__all__]"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
