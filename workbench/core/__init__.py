"""The records and rules everything else stands on; pydantic and the standard library only, no I/O."""
