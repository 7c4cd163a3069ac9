"""Who runs many jobs, and where."""
