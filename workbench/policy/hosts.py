"""Which hosts a call reaches: those that its tool declares, and where that is any, those that its parameters name."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from workbench.core.tools import ANY_HOST, ToolCall
from workbench.policy.words import leaves


def hosts_of(call: ToolCall) -> tuple[str, ...]:
    """The hosts of a call; `ANY_HOST` among them where a tool may reach any and its parameters name none."""
    declared = call.tool.permissions.network
    if ANY_HOST not in declared:
        return declared
    named = dict.fromkeys(host for value in leaves(call.params) if isinstance(value, str) for host in _named(value))
    return (*(host for host in declared if host != ANY_HOST), *(named or (ANY_HOST,)))


def _named(text: str) -> Iterator[str]:
    """The host of a text that is a web address, with or without its scheme."""
    bare = text.strip()
    if not bare or any(character.isspace() for character in bare):
        return
    try:
        host = urlsplit(bare if "://" in bare else f"https://{bare}").hostname
    except ValueError:
        return
    if host and "." in host:
        yield host.lower()
