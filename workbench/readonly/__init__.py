"""Read-only SQL for tool files: one gate for each engine, told once.

    from workbench.readonly import duckdb | sqlite | postgresql

A tool file may import these beside `workbench.toolkit`; they run in the worker, where the engine is. Each gives
`read` (one statement that reads, as a table) and `describe` (the tables and columns there are). What reads outside,
acts, leaks settings or is not known is refused; the process around the call bounds what no engine stops.
"""
