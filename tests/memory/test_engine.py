"""The store's connections to DuckDB."""

import os
import subprocess
import sys

from tests.memory.support import ROOT

# As in a kernel: a process without a script, where DuckDB takes it that somebody is watching.
WATCHED = """
import sys
from pathlib import Path
import duckdb
from workbench.memory import engine
from workbench.memory.store import Store
ASKED = "select current_setting('enable_progress_bar')"
answers = [duckdb.connect().execute(ASKED).fetchall(), engine.connect().execute(ASKED).fetchall()]
store = Store(Path(sys.argv[1]), wait=20.0)
answers.append(store.read(lambda connection: connection.execute(ASKED).fetchall()))
store.close()
print(*(answer[0][0] for answer in answers))
"""


def test_slow_work_of_the_store_shows_no_bar_in_a_cell(tmp_path):
    command = [sys.executable, "-c", WATCHED, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    shown = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, timeout=60).stdout
    assert shown.split() == ["True", "False", "False"]  # DuckDB by itself would show one
