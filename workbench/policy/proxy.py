"""Doors for libraries with a client of their own: `http://127.0.0.1:PORT/<token>` stands for one declared host.

    library ──HTTP/1.1──▶ door: parsed by h11, checked, taken apart ──▶ the way out of the call, as `http` goes

Nothing of the connection is passed on: each request is read whole, built anew and sent by itself, so what one parser
and another could read differently never leaves this machine. The token keeps other programs of this machine out, the
Host header pages in a browser. An answer is read whole as well, then handed over with its length.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from workbench.core.errors import BudgetExceeded, Denied, TransientError, WorkbenchError
from workbench.core.tools import digest
from workbench.policy.messages import Answered, is_ours
from workbench.policy.outgoing import WayOut
from workbench.sandbox.base import Service
from workbench.sandbox.doors import Doors

if TYPE_CHECKING:
    import h11

MAX_HEAD = 64_000
"""Bytes of a request's first line and headers."""
HEAD_SECONDS = 10.0
"""From a request's first byte to the end of its headers."""
BODY_SECONDS = 30.0
_LINGER_SECONDS = 2.0
_TARGET = re.compile(r"/([^/?#]+)(.*)")


def door_service(send: Service, way: WayOut, doors: Doors, **limits: float) -> Service:
    """The host function `http.door`: `{host, auth}` → `{url}`. The same host and key have the same door.

    `send` is the way out with the policy around it. Raises Denied for a host or secret that the tool does not declare,
    ToolFailed when the secret is not set or the call has too many doors.
    """
    opened: dict[str, str] = {}

    async def door(params: Mapping[str, Any]) -> dict[str, str]:
        host, auth = str(params["host"]).lower(), params.get("auth")
        way.check(host, auth)
        name = digest([host, auth])
        if name not in opened:
            proxy = Proxy(send, host, auth, max_bytes=way.max_bytes, **limits)
            proxy.port = await doors.open(proxy.serve)
            opened[name] = proxy.url
        return {"url": opened[name]}

    return door


class _No(Exception):
    """The request is not passed on; `status` and the message go back."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Proxy:
    """What stands behind one door. `port` is set when the door has its number."""

    def __init__(
        self,
        send: Service,
        host: str,
        auth: Mapping[str, Any] | None,
        *,
        max_bytes: int,
        head_seconds: float = HEAD_SECONDS,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self.port = 0
        self.token = secrets.token_urlsafe(24)
        self._send = send
        self._host = host
        self._auth = auth
        self._max_bytes = max_bytes
        self._head_seconds = head_seconds
        self._body_seconds = body_seconds

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.token}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other."""
        line = _Line(reader, writer)
        while True:
            method = b"GET"
            try:
                request = await line.head(self._head_seconds)
                if request is None:
                    return
                method = request.method
                params = self._params(request)
                params["body"] = await line.body(self._max_bytes, self._body_seconds)
                answered = self._returned(await self._send(params), str(params["url"]))
            except _No as no:
                await line.answer(_problem(no.status, "Refused", str(no)), method, last=True)
                return
            except WorkbenchError as error:
                answered = _refusal(error)
            if not await line.answer(answered, method):
                return

    def _params(self, request: h11.Request) -> dict[str, Any]:
        """The request as the host function `http` takes it, still without its body."""
        headers = _headers(request)
        if request.http_version not in (b"1.0", b"1.1"):
            raise _No(505, "Only HTTP/1.1 is spoken here.")
        if request.method == b"CONNECT":
            raise _No(405, "This is no tunnel: it leads to one host, for requests by path.")
        if "upgrade" in headers:
            raise _No(501, "WebSockets and other protocols are not passed on.")
        if "transfer-encoding" in headers and "content-length" in headers:
            raise _No(400, "A request has one length.")
        if headers.get("host") not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            raise _No(421, "This port answers to its own address only.")
        found = _TARGET.fullmatch(request.target.decode("ascii"))
        if found is None or not hmac.compare_digest(found[1], self.token):
            raise _No(404, "There is nothing at this address.")
        path = found[2] if found[2].startswith("/") else f"/{found[2]}"
        named = {name.strip().lower() for name in headers.get("connection", "").split(",")}
        kept = {name: value for name, value in headers.items() if not is_ours(name) and name not in named}
        url = f"https://{self._host}{path}"
        return {"method": request.method.decode("ascii"), "url": url, "headers": kept, "auth": self._auth}

    def _returned(self, answered: Answered, url: str) -> Answered:
        """The answer with a redirect that stays at the host leading back here, and any other leading nowhere."""
        if not 300 <= answered.status < 400:
            return answered
        headers = []
        for name, value in answered.headers:
            place = self._back(value, url) if name == "location" else value
            if place is not None:
                headers.append((name, place))
        return Answered(status=answered.status, headers=tuple(headers), content=answered.content)

    def _back(self, location: str, url: str) -> str | None:
        import httpx2

        with suppress(httpx2.InvalidURL):
            place = httpx2.URL(url).join(location)
            if place.scheme == "https" and place.raw_host.decode("ascii") == self._host and place.port in (None, 443):
                return self.url + place.raw_path.decode("ascii")
        return None


class _Line:
    """One connection, read and written by h11."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import h11

        self._reader = reader
        self._writer = writer
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    async def head(self, seconds: float) -> h11.Request | None:
        """The next request, None at the end. It may be long in coming; once begun it has to be there in time."""
        import h11

        if not self._connection.trailing_data[0]:
            await self._receive()
        event = await self._event(seconds)
        return event if isinstance(event, h11.Request) else None

    async def body(self, max_bytes: int, seconds: float) -> str | bytes:
        """The body of that request: text where it is UTF-8."""
        import h11

        content = bytearray()
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while isinstance(event := await self._event(until - loop.time()), h11.Data):
            content += event.data
            if len(content) > max_bytes:
                raise _No(413, f"A request may have {max_bytes:,} bytes.")
        if not isinstance(event, h11.EndOfMessage):
            raise _No(400, "The request was cut short.")
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return bytes(content)

    async def answer(self, answered: Answered, method: bytes, *, last: bool = False) -> bool:
        """Send an answer; whether another request may follow."""
        import h11

        empty = answered.status in (204, 304)
        headers = [(name, value) for name, value in answered.headers]
        headers += [] if empty else [("content-length", str(len(answered.content)))]
        headers += [("connection", "close")] if last else []
        self._write(h11.Response(status_code=answered.status, headers=headers))
        if not empty and method != b"HEAD":
            self._write(h11.Data(data=answered.content))
        self._write(h11.EndOfMessage())
        await self._writer.drain()
        if self._connection.our_state is h11.DONE and self._connection.their_state is h11.DONE:
            self._connection.start_next_cycle()
            return True
        await self._linger()
        return False

    async def _event(self, seconds: float) -> Any:
        import h11

        try:
            async with asyncio.timeout(seconds):
                while (event := self._connection.next_event()) is h11.NEED_DATA:
                    if self._connection.they_are_waiting_for_100_continue:
                        self._write(h11.InformationalResponse(status_code=100, headers=[]))
                    await self._receive()
                return event
        except TimeoutError:
            raise _No(408, "The request did not come in time.") from None
        except h11.RemoteProtocolError as error:
            raise _No(error.error_status_hint or 400, f"Not HTTP as it should be: {error}.") from None

    async def _receive(self) -> None:
        self._connection.receive_data(await self._reader.read(1 << 16))

    def _write(self, event: h11.Event) -> None:
        self._writer.write(self._connection.send(event) or b"")

    async def _linger(self) -> None:
        """Let the other side read the answer: closing at once, with its data unread, would take it away again."""
        with suppress(OSError, TimeoutError):
            self._writer.write_eof()
            async with asyncio.timeout(_LINGER_SECONDS):
                while await self._reader.read(1 << 16):
                    pass


def _headers(request: h11.Request) -> dict[str, str]:
    """The headers by name in small letters; those that come several times as one."""
    found: dict[str, str] = {}
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        if not (value.isascii() and value.isprintable()):
            raise _No(400, f"The header {name} holds characters that are not passed on.")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


_STATUS: Mapping[type[WorkbenchError], int] = {Denied: 403, BudgetExceeded: 429, TransientError: 503}


def _refusal(error: WorkbenchError) -> Answered:
    """What a library gets when the host says no: a status that it knows, and why as JSON."""
    answered = _problem(_STATUS.get(type(error), 502), type(error).__name__, error.message, error.hint)
    after = getattr(error, "retry_after", None)
    if after is None:
        return answered
    headers = (*answered.headers, ("retry-after", f"{after:.0f}"))
    return Answered(status=answered.status, headers=headers, content=answered.content)


def _problem(status: int, kind: str, message: str, hint: str = "") -> Answered:
    content = json.dumps({"error": {"kind": kind, "message": message, "hint": hint}}).encode("ascii")
    headers = (("content-type", "application/json"), ("x-workbench-error", kind))
    return Answered(status=status, headers=headers, content=content)
