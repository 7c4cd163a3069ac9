"""Shouts a greeting."""

PERMISSIONS = {"network": ["api.acme.example"]}
USES = ["http"]
EXAMPLES = ["shout {name}"]


def run(name: str) -> str:
    return f"HELLO {name.upper()}!"
