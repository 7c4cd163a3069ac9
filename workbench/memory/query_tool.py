"""Read-only SQL over a private copy of the memory.

A tool file like those of the user, so that SQL written by people and models runs in a worker too.
"""

from workbench import toolkit

PERMISSIONS: dict[str, list[str]] = {}
EFFECT = "read"
TIMEOUT = 60
MAX_ROWS = 10_000


def run(sql: str, database: str) -> toolkit.Table:
    """Args:
    sql: one SELECT statement.
    database: path of the copy.
    """
    import duckdb

    connection = duckdb.connect(database, read_only=True)
    for setting in (
        "temp_directory = ''",
        "enable_external_access = false",
        "python_enable_replacements = false",
        "threads = 1",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1:
            raise toolkit.Failed("Give one statement.", hint="Write a single SELECT.")
        if statements[0].type != duckdb.StatementType.SELECT:
            raise toolkit.Failed("The record can only be read.", hint="Write a single SELECT.")
        frame = connection.execute(sql).fetch_df_chunk(MAX_ROWS // 2048 + 1)
    except duckdb.Error as error:
        raise toolkit.Failed(str(error).strip().splitlines()[0], hint="`show tables` lists what there is.") from None
    more = len(frame) > MAX_ROWS
    return toolkit.Table(frame.head(MAX_ROWS), title=f"first {MAX_ROWS:,} rows" if more else "")
