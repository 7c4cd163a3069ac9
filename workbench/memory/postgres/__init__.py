"""The memory on a PostgreSQL server."""
