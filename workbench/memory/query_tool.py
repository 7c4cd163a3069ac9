"""Read-only SQL over a private copy of the memory.

A tool file like those of the user, so that SQL written by people and models runs in a worker too.
"""

from workbench import toolkit
from workbench.readonly import duckdb

PERMISSIONS: dict[str, list[str]] = {}
EFFECT = "read"
TIMEOUT = 60


def run(sql: str, database: str) -> toolkit.Table:
    """Args:
    sql: one SELECT statement.
    database: path of the copy.
    """
    with duckdb.opened(database) as copy:
        return duckdb.read(copy, sql)
