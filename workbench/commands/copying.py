"""`workbench memory copy --to …`: the memory of this project, put into another."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.core.errors import Refused


def copy(options: argparse.Namespace) -> int:
    """Copy all that is remembered and recorded to a PostgreSQL, or into the memory of another WORKBENCH_HOME."""
    from workbench.bridge import wait
    from workbench.workbench import current

    if not options.to:
        raise Refused("Copy where?", hint="--to postgresql://USER:PASSWORD@HOST/DATABASE, or --to FOLDER.")
    workbench = current()
    settings = workbench.settings
    from workbench.memory.copying import Copied
    from workbench.memory.copying import copy as copied
    from workbench.memory.duckdb import DuckDBMemory
    from workbench.memory.postgres.memory import PostgresMemory

    target: DuckDBMemory | PostgresMemory
    if "://" in options.to:
        target = PostgresMemory(options.to, settings.home)
        same = getattr(workbench.memory, "place", "") == target.place
        use = f"WORKBENCH_MEMORY set to the address of {target.place}."
    else:
        target = DuckDBMemory(folder := Path(options.to).expanduser().absolute())
        same = settings.memory is None and folder.resolve() == settings.home.resolve()
        use = f"WORKBENCH_HOME={folder}. The files of the runs stay in {settings.artifacts}."
    if same:
        raise Refused("That is the memory in force.", hint="Name another one with --to.")

    async def work() -> Copied:
        try:
            return await copied(workbench.memory, target)
        finally:
            await target.close()

    done = wait(work())
    print(f"{done.events:,} events of {done.runs:,} runs are there, each as it is here; {done.new:,} of them are new.")
    if done.left_out:
        print(f"{done.left_out:,} events of runs that were erased there were left out.")
    if done.vectors:
        print(f"{done.vectors:,} vectors of remembered texts went along.")
    print(f"Use it with {use}")
    return 0
