"""A user interface as a plain sketch, from words or JSON: no AI model, and nothing that was not asked for."""
