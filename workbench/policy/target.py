"""Where a request of a tool really goes: a declared host, looked up once, at an address of the open internet.

A name is looked up once, every address it has must be public, and the connection goes to the address that was checked.
The one exception is the user's own setting (`bases`): where it sends a host elsewhere, to a proxy or a test server on
this machine, that place is trusted as it is.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Denied, ToolFailed, TransientError
from workbench.core.tools import ANY_HOST, Permissions
from workbench.policy.addresses import is_public

if TYPE_CHECKING:
    import httpx2

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host name. Raises OSError when it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a request goes: the address in `url`; `host` is the name that it is for, `sent_as` the Host header."""

    url: httpx2.URL
    host: str
    sent_as: str
    extensions: Mapping[str, Any]


def declared_host(host: str, permissions: Permissions) -> str:
    """The host name in small letters. Raises Denied when the tool does not declare it."""
    allowed = [name.lower() for name in permissions.network]
    anywhere = ANY_HOST in allowed and not host.lower().endswith(".invalid")
    if host.lower() not in allowed and not anywhere:
        hint = f"It declares: {', '.join(allowed) or 'none'}."
        raise Denied(f"The tool does not declare the host {host[:200]}.", hint=hint)
    return host.lower()


def served(host: str, bases: Mapping[str, str]) -> None:
    """Raises ToolFailed for a host that stands for a service of the user's own, where they have set none. Such hosts
    end in `.invalid`, which no host on the internet ever does."""
    if host.endswith(".invalid") and not bases.get(host):
        raise ToolFailed(f"Nothing is set for {host}.", hint="tools/README.md says which setting names it.")


def declared_url(text: str, permissions: Permissions) -> httpx2.URL:
    """The URL without its fragment. Raises Denied for another scheme, port or host than the tool may use, ToolFailed
    for what is no URL."""
    import httpx2

    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise ToolFailed(f"{text[:200]!r} is not a URL: {error}.") from None
    if url.scheme != "https" or url.userinfo or url.port not in (None, 443):
        raise Denied("A tool may only use plain https URLs: no other scheme, no other port, no name in front of @.")
    declared_host(url.raw_host.decode("ascii"), permissions)
    return url.copy_with(fragment=None)


async def located(url: httpx2.URL, bases: Mapping[str, str], resolve: Resolve | None = None) -> Target:
    """The place that a declared URL leads to. `bases`: a declared host → the URL where the user has it served.

    Raises Denied for an address that is not public, TransientError for a name that has none.
    """
    host = url.raw_host.decode("ascii")
    served(host, bases)
    base = bases.get(host, "").rstrip("/")
    if base and base != f"https://{host}":
        moved = _url(base + url.raw_path.decode("ascii"))
        if moved is None or moved.scheme not in ("http", "https") or not moved.host:
            raise ToolFailed(f"{base[:200]!r}, set for {host}, is not a URL.", hint="Write http://… or https://….")
        return Target(url=moved, host=f"{base} (for {host})", sent_as=moved.netloc.decode("ascii"), extensions={})
    try:
        addresses = await (resolve or _resolve)(host)
    except OSError:
        raise TransientError(f"The name {host} cannot be looked up.", hint="Is this machine online?") from None
    if private := [address for address in addresses if not is_public(address)]:
        raise Denied(f"{host} leads to {private[0]}, which is not a public address.")
    return Target(
        url=url.copy_with(host=addresses[0]),
        host=host,
        sent_as=host,
        extensions={"sni_hostname": host},  # the certificate must be that of the name, not of the address
    )


def _url(text: str) -> httpx2.URL | None:
    import httpx2

    try:
        return httpx2.URL(text)
    except httpx2.InvalidURL:
        return None


async def _resolve(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
