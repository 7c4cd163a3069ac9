"""Who turns a request into a plan, and results into an answer."""
