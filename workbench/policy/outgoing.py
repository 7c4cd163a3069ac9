"""The one way out of a call, for the host function `http` and for the doors that libraries use.

    request ──▶ declared host? ──▶ no secret in it? ──▶ recorded? ──▶ key added ──▶ public address? ──▶ TLS for the name
    answer  ◀── kept and told  ◀── secrets taken out ◀── whole, within the limits

Redirects are answers and are not followed. A tool never sees a key, and sends none: what it puts into a header that
carries keys is refused, and a request that holds the value of any secret stays here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.core.errors import BudgetExceeded, Denied, ToolFailed, TransientError
from workbench.core.tools import ANY_HOST, Permissions
from workbench.policy.fetch import fetched
from workbench.policy.messages import (
    HEADER_NAME,
    METHODS,
    NOT_PASSED_ON,
    Answered,
    Outgoing,
    canonical,
    is_ours,
    named_host,
)
from workbench.policy.recording import Received, Recorder
from workbench.policy.secrets import Secrets
from workbench.policy.target import Resolve, declared_host, declared_url, located, served

if TYPE_CHECKING:
    import httpx2

MAX_BYTES = 5_000_000
"""Of one request's body, and of one answer's."""
MAX_EXCHANGES = 500
MAX_RECEIVED = 100_000_000
"""Exchanges, and bytes of all answers, of one call."""
_AT_ONCE = 8


class WayOut:
    """The way out of one call.

    `secrets`: every secret that the host has, by name; the tool may name those that it declares, as
    `auth={"bearer": NAME, "hint": how to get one}`. `bases`: a declared host → the URL where the user has it served.
    Without a `recorder` nothing is told or kept. `timeout`: seconds for one exchange, from the look-up of the name to
    the last byte. The other parameters are limits, and what tests replace.
    """

    def __init__(
        self,
        permissions: Permissions,
        secrets: Secrets,
        bases: Mapping[str, str],
        recorder: Recorder | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        timeout: float = 60.0,
        resolve: Resolve | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.max_bytes = max_bytes
        self._permissions = permissions
        self._secrets = secrets
        self._bases = bases
        self._recorder = recorder
        self._timeout = timeout
        self._resolve = resolve
        self._transport = transport
        self._exchanges = self._received = 0
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def check(self, host: str, auth: Mapping[str, Any] | None) -> None:
        """Raises as `send` does for every request to that host with that key: Denied, or ToolFailed without the key."""
        served(declared_host(host, self._permissions), self._bases)
        if self._recorder is None or self._recorder.recorded is None:
            self._authorization(auth)

    async def send(self, params: Mapping[str, Any]) -> Answered:
        """The answer to `{method, url, headers, json | body, auth, cut}`. An error status is an answer, not a failure.
        `cut`: bytes after which an answer is broken off; without it one that is too large fails.

        Raises Denied for what the tool did not declare, TransientError when the network fails, BudgetExceeded when the
        call has used up its exchanges, ToolFailed otherwise.
        """
        request = self._request(params)
        self._admit()
        if self._recorder is None:
            return (await self._exchange(request, self._checked(request), params))[0]
        host = named_host(request.url)
        async with self._recorder.exchange(
            service="http",
            host=host if self._is_declared(host) else "",  # any other text is the tool's
            method=request.method,
            request_sha256=request.sha256(),
            bytes_out=len(request.content),
        ) as exchange:
            url = self._checked(request)
            received = await exchange.recalled()
            if received is None:
                answered, size = await self._exchange(request, url, params)
                received = Received(value=answered.as_json(), bytes_in=size, status=answered.status)
            await exchange.keep(received)
        return Answered.from_json(received.value)

    def _is_declared(self, host: str) -> bool:
        return host in map(str.lower, self._permissions.network) or ANY_HOST in self._permissions.network

    def _request(self, params: Mapping[str, Any]) -> Outgoing:
        method = str(params.get("method", "GET")).upper()
        if method not in METHODS:
            raise ToolFailed(f"http does not know the method {method[:20]!r}.")
        headers = {str(name).lower(): str(value) for name, value in (params.get("headers") or {}).items()}
        if taken := sorted(filter(is_ours, headers)):
            raise Denied(f"A tool may not set the header {taken[0]}.", hint='Keys are named: auth={"bearer": "NAME"}.')
        for name, value in headers.items():
            if not HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
                raise ToolFailed(f"{name[:100]!r} is no header that can be sent.")
        body = params.get("body") or ""
        content = body if isinstance(body, bytes) else str(body).encode("utf-8", "surrogatepass")
        if params.get("json") is not None:
            content = json.dumps(params["json"], allow_nan=False).encode()
            headers.setdefault("content-type", "application/json")
        if len(content) > self.max_bytes:
            raise ToolFailed(f"The request has {len(content):,} bytes; at most {self.max_bytes:,} are sent.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Denied("A tool may not send a compressed request.", hint="Nobody could look for secrets in it.")
        said = str(params["url"])
        return Outgoing(method=method, url=canonical(said), said=said, headers=headers, content=content)

    def _admit(self) -> None:
        self._exchanges += 1
        if self._exchanges > MAX_EXCHANGES or self._received > MAX_RECEIVED:
            most = f"{MAX_EXCHANGES} requests and {MAX_RECEIVED // 1_000_000} MB of answers"
            raise BudgetExceeded(f"The call has used up its {most}.", hint="Ask for less at once.")

    def _checked(self, request: Outgoing) -> httpx2.URL:
        if any(map(self._secrets.holds_key, request.texts())):
            raise Denied("The request holds the value of a secret and was not sent.", hint="Name keys instead.")
        return declared_url(request.url, self._permissions)

    def _authorization(self, auth: Mapping[str, Any] | None) -> dict[str, str]:
        if not auth:
            return {}
        name = str(auth["bearer"])
        if name not in self._permissions.secrets:
            raise Denied(f"The tool does not declare the secret {name[:80]}.", hint="Add it to PERMISSIONS: secrets.")
        secret = self._secrets.get(name)
        if secret is None or not secret.get_secret_value().strip():
            raise ToolFailed(f"{name} is not set.", hint=str(auth.get("hint") or f"Set {name} and try again."))
        value = secret.get_secret_value().strip()
        if not (value.isascii() and value.isprintable()):
            raise ToolFailed(f"{name} holds characters that no key has.", hint=f"Copy the key into {name} again.")
        return {"authorization": f"Bearer {value}"}

    async def _exchange(self, request: Outgoing, url: httpx2.URL, params: Mapping[str, Any]) -> tuple[Answered, int]:
        """The answer, and how many bytes of its body came."""
        auth, cut = params.get("auth"), params.get("cut")
        if cut is not None and not (type(cut) is int and cut > 0):
            raise ToolFailed("cut has to be a number of bytes.")
        most = self.max_bytes if cut is None else min(cut, self.max_bytes)
        # Compressed answers are not asked for: a small one could grow without end.
        headers = {**request.headers, **self._authorization(auth), "accept-encoding": "identity"}
        try:
            async with self._slots, asyncio.timeout(self._timeout):
                target = await located(url, self._bases, self._resolve)
                response, data, is_cut = await fetched(
                    request, headers, target, most, self._transport, cut=cut is not None
                )
        except TimeoutError:
            raise TransientError(f"{url} did not answer within {self._timeout:g} seconds.") from None
        self._received += len(data)
        return self._cleaned(response, data, is_cut), len(data)

    def _cleaned(self, response: httpx2.Response, data: bytes, is_cut: bool) -> Answered:
        text = self._secrets.redact(data.decode("utf-8", "surrogateescape"))
        headers = tuple(
            (name.lower(), self._secrets.redact(value))
            for name, value in response.headers.multi_items()
            if name.lower() not in NOT_PASSED_ON and value.isascii() and value.isprintable()
        )
        content = text.encode("utf-8", "surrogateescape")
        return Answered(status=response.status_code, headers=headers, content=content, cut=is_cut)
