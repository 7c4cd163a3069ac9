"""What a tool may do, in words: for lists of tools, and for who is about to trust one."""

from __future__ import annotations

from workbench.core.errors import Unavailable
from workbench.core.tools import ToolSpec
from workbench.registry.trust import Trust


def may(spec: ToolSpec) -> str:
    """What the tool declares beside its effect: hosts, secrets, folders, host functions."""
    return ", ".join(_said(grant) for grant in spec.grants if not grant.startswith("effect ")) or "–"


def asks_for(spec: ToolSpec, trust: Trust) -> str:
    """What trusting the tool would allow it, and what of that its trusted version could not do."""
    said = f"It asks for: {', '.join(map(_said, spec.grants))}." if spec.grants else "It asks for nothing."
    try:
        grown = trust.grown(spec)
    except Unavailable:
        return said
    return f"{said} New since you trusted it: {', '.join(map(_said, grown))}." if grown else said


def _said(grant: str) -> str:
    """A grant in words: a host that no network has stands for a service of the settings (see `services`)."""
    name, invalid, rest = grant.partition(".invalid")
    return f"{name} where you have set it" if invalid and not rest else grant
