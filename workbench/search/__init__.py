"""Web search for tool files: one form of result, whichever engine has found it."""
