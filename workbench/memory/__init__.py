"""One memory for every kernel: own journals, merged into DuckDB."""
