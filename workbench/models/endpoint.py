"""One OpenAI-compatible server over HTTP: a request to it, and whatever goes wrong as one of our errors.

Imported at the first call only, because the SDK takes about a second. Requests go in below the SDK's typed resources
(`client.post`), which keeps its authentication and connection handling and saves most of a call's CPU; chats, which
are most of the calls, go to the same HTTP client with the SDK's own headers and address (`_straight`), at two thirds of
that. Nothing is retried here. Errors carry in `data`: `status`, `code` and `said` (the server's own words, one short
line, no keys); `again=True` marks a final error that is still worth another try.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from workbench.core.errors import Refused, TransientError, Unavailable, WorkbenchError
from workbench.models.address import CHAT, Names
from workbench.models.azure import client as azure_client
from workbench.models.azure import is_azure
from workbench.models.base import Heard
from workbench.models.stream import Assembly

MAX_BYTES = 16 * 2**20
"""A reply that is larger is not a chat completion."""

_TRANSIENT = frozenset({408, 409, 425, 429, *range(500, 600)}) - {501, 505}
_KEY = re.compile(r"\b(?:sk|pk|rk|gsk|xai|key|Bearer)[-_ ][\w*.…-]{6,}", re.IGNORECASE)


class Endpoint:
    """A server at `base_url`. `timeout`: seconds for a whole exchange. `names`: of the settings that errors speak of.
    Belongs to the event loop that first uses it."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        timeout: float,
        now: Callable[[], datetime],
        names: Names = CHAT,
    ) -> None:
        self._key = api_key
        self._names = names
        self._timeout = timeout
        self._now = now
        self.where = _netloc(base_url)
        limits = httpx2.Timeout(timeout, connect=min(timeout, 10.0))
        self._http = openai.DefaultAsyncHttpxClient(
            base_url=base_url.partition("?")[0],
            timeout=limits,
            follow_redirects=False,  # a prompt goes where the user sent it and nowhere else
            event_hooks={"response": [self._prepare]},
        )
        options: dict[str, Any] = {
            "max_retries": 0,
            "timeout": limits,
            "default_headers": {"Accept-Encoding": "identity"},
            "http_client": self._http,
        }
        self._chats: httpx2.URL | None = None
        if is_azure(base_url):  # there the SDK makes the address from the model's name
            self._client = azure_client(base_url, api_key, **options)
        else:
            # The SDK wants a key even for servers that have none.
            self._client = openai.AsyncOpenAI(api_key=api_key or "none", base_url=base_url, **options)
            at = self._client.base_url
            self._chats = at.copy_with(raw_path=at.raw_path + b"chat/completions")
        self._headers = httpx2.Headers(self._http.headers)
        self._headers.update(
            {
                name: value
                for name, value in {**self._client.default_headers, **self._client.auth_headers}.items()
                if isinstance(value, str) and not name.lower().startswith("x-stainless")  # its count of its users
            }
        )

    async def chat(self, body: dict[str, Any]) -> Any:
        """The JSON that the server answers to a chat completion request."""
        if self._chats is None:
            return await self._exchange(self._client.post("/chat/completions", cast_to=object, body=body))
        return await self._exchange(self._straight(self._chats, body))

    async def _straight(self, url: httpx2.URL, body: dict[str, Any]) -> str:
        """What the server says to a request that is posted there. Raises as the SDK's `post` does."""
        sent = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        response = await self._http.send(httpx2.Request("POST", url, headers=self._headers, content=sent))
        if response.is_success:
            return response.text
        try:
            said = json.loads(response.text)
        except (ValueError, RecursionError):
            said = response.text
        raise openai.APIStatusError("", response=response, body=said)

    async def embeddings(self, body: dict[str, Any]) -> Any:
        """The JSON that the server answers to a request for embeddings."""
        return await self._exchange(self._client.post("/embeddings", cast_to=object, body=body))

    async def images(self, body: dict[str, Any]) -> Any:
        """The JSON that the server answers to a request for pictures."""
        return await self._exchange(self._client.post("/images/generations", cast_to=object, body=body))

    async def speech(self, body: dict[str, Any]) -> bytes:
        """The sound that the server answers to a request for speech."""
        kind = openai.HttpxBinaryResponseContent
        raw = await self._exchange(self._client.post("/audio/speech", cast_to=kind, body=body))
        return bytes(raw.content)

    async def transcription(self, fields: dict[str, Any], name: str, sound: bytes) -> Any:
        """The JSON that the server answers to a sound which is to be written down."""
        call = self._client.post(
            "/audio/transcriptions",
            cast_to=object,
            body=fields,
            files=[("file", (name, sound))],
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )
        return await self._exchange(call)

    async def stream(self, body: dict[str, Any], heard: Heard) -> Any:
        """As `chat`, heard while it comes. A server that does not stream answers in one piece, and that will do.

        Raises TransientError when the stream ends without a finish reason: half a reply looks like a whole one.
        """
        return await self._exchange(self._streamed(body, heard))

    async def _streamed(self, body: dict[str, Any], heard: Heard) -> Any:
        stream = await self._client.post(
            "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=openai.AsyncStream[object]
        )
        try:
            if "event-stream" not in stream.response.headers.get("content-type", "").lower():
                await stream.response.aread()
                return stream.response.text
            reply = Assembly()
            async for chunk in stream:
                if reply.add(chunk):
                    heard(reply.text)
        finally:
            await stream.close()
        if not reply.ended:
            raise TransientError(f"{self.where} broke off in the middle of its reply.", hint="Try again.")
        return reply.whole()

    async def models(self) -> list[str]:
        """The names of the models that the server offers."""
        raw = await self._exchange(self._client.get("/models", cast_to=object))
        listed = raw.get("data") if isinstance(raw, dict) else None
        if not isinstance(listed, list):
            raise self._not_a_model_server("lists no models")
        names = [model.get("id") for model in listed if isinstance(model, dict)]
        return [name for name in names if isinstance(name, str) and self._is_name(name)]

    async def close(self) -> None:
        await self._client.close()

    def _is_name(self, name: str) -> bool:
        """Whether a model can be called so in an error. Names are taken as they are or not at all."""
        return 0 < len(name) <= 200 and name.isprintable() and not (self._key and self._key in name)

    async def _exchange(self, call: Coroutine[Any, Any, object]) -> Any:
        try:
            async with asyncio.timeout(self._timeout):
                raw = await call
            if not isinstance(raw, str):
                return raw
            if not raw.lstrip().startswith("<"):
                return json.loads(raw)  # JSON that was sent as plain text
            failure: WorkbenchError = self._not_a_model_server("answered with a web page")
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, RecursionError) as error:
            failure = self._failure(error)
        # Raised outside of the `except`, so that no request, which holds the key, hangs on our error.
        raise failure

    def _failure(self, error: Exception) -> WorkbenchError:
        cause = error if isinstance(error, httpx2.HTTPError) else error.__cause__ or error
        match error, cause:
            case openai.APIStatusError(), _:
                return self._status(error)
            case _, httpx2.ConnectError() if "CERTIFICATE" in str(cause):
                hint = "If it is a server of your own, SSL_CERT_FILE names the certificates to trust."
                return Unavailable(f"The certificate of {self.where} is not trusted.", hint=hint, endpoint=self.where)
            case _, httpx2.ConnectError() | httpx2.ConnectTimeout():
                return Unavailable(
                    f"{self.where} cannot be reached.",
                    hint=f"Is the server running? {self._names.base_url} says where it is.",
                    again=True,
                    endpoint=self.where,
                )
            case (openai.APITimeoutError() | httpx2.TimeoutException() | TimeoutError(), _):
                return TransientError(
                    f"{self.where} did not answer within {self._timeout:g} s.",
                    hint="WORKBENCH_MODEL_TIMEOUT sets how long to wait.",
                )
            case _, httpx2.InvalidURL() | httpx2.UnsupportedProtocol():
                return self._not_a_model_server("is not an http address")
            case openai.APIConnectionError() | httpx2.TransportError(), _:
                return TransientError(f"{self.where} broke off the connection.", hint="Try again.")
            case openai.APIError(), _:  # told in the middle of a stream
                return self._broken_off(error.body)
            case UnicodeEncodeError(), _:
                return Refused("The text holds half of a character (a lone surrogate), which cannot be sent.")
            case (ValueError() | RecursionError(), _):
                return TransientError(f"{self.where} answered with broken JSON.", hint="Try again.")
            case _:
                return Unavailable(f"{self.where} cannot be used: {self.clean(str(error))}")

    def _status(self, error: openai.APIStatusError) -> WorkbenchError:
        status, (said, code) = error.status_code, self._said(error.body)
        facts: dict[str, Any] = {"status": status, "code": code, "said": said, "endpoint": self.where}
        words = f": {said}" if said else "."
        if status == 401:
            what = "refused the key" if self._key else "asks for a key"
            return Unavailable(
                f"{self.where} {what} (401).", hint=f"Set {self._names.key} to a key of this endpoint.", **facts
            )
        if status == 403:
            hint = f"Is {self._names.key} a key of this endpoint, and may it use this model?"
            return Unavailable(f"{self.where} refused the key for this request (403){words}", hint=hint, **facts)
        if code == "insufficient_quota":
            hint = "Look at the account's billing page; waiting does not help."
            return Unavailable(f"The account's quota at {self.where} is used up.", hint=hint, **facts)
        if code == "content_filter":
            return Refused(f"The content filter of {self.where} declined the request.", **facts)
        if status in _TRANSIENT:
            wait = _retry_after(error.response.headers, self._now())
            hint = f"It asks to wait {wait:.0f} s." if wait else "Try again in a while."
            busy = "is busy" if status == 429 else "failed"
            return TransientError(f"{self.where} {busy} ({status}){words}", hint=hint, retry_after=wait, **facts)
        if 300 <= status < 400:
            target = self.clean(_netloc(error.response.headers.get("location", ""))) or "another address"
            hint = f"If that is right, set the base URL to {target}."
            return Unavailable(
                f"{self.where} sends requests on to {target}, which is not followed.", hint=hint, **facts
            )
        hint = "Offer fewer or smaller tables, or use a model with more room." if "context" in f"{code} {said}" else ""
        return Unavailable(f"{self.where} refused the request ({status}){words}", hint=hint, **facts)

    def _broken_off(self, body: object) -> WorkbenchError:
        """A failure that the server told in the middle of its reply, in the place of a chunk."""
        said, code = self._said(body)
        words = f": {said}" if said else "."
        if code == "content_filter":
            return Refused(f"The content filter of {self.where} declined the reply.", code=code, said=said)
        if re.fullmatch("4[0-9][0-9]", code) and int(code) not in _TRANSIENT:
            return Unavailable(f"{self.where} gave up in the middle of its reply ({code}){words}", said=said)
        return TransientError(f"{self.where} failed in the middle of its reply{words}", hint="Try again.", said=said)

    def _said(self, body: object) -> tuple[str, str]:
        """The server's own words and its code for the error, from the shapes that servers really send."""
        error = body.get("error", body) if isinstance(body, dict) else body
        if isinstance(error, dict):
            words = error.get("message") or error.get("detail") or ""
            said = self.clean(words if isinstance(words, str) else json.dumps(words))
            return said, self.clean(str(error.get("code") or ""))
        return ("" if str(error or "").lstrip().startswith("<") else self.clean(str(error or ""))), ""

    def clean(self, text: str, most: int = 200) -> str:
        """One printable line of at most `most` characters without the key, nor what looks like one."""
        if self._key:
            text = text.replace(self._key, "***")
        line = "".join(c if c.isprintable() else " " for c in _KEY.sub("***", text))
        line = " ".join(line.split())
        return line if len(line) <= most else f"{line[: most - 1]}…"

    def _not_a_model_server(self, what: str) -> Unavailable:
        return Unavailable(
            f"{self.where} {what}: it is not an OpenAI-compatible endpoint.",
            hint=f"Check {self._names.base_url}; it usually ends in /v1.",
            endpoint=self.where,
        )

    async def _prepare(self, response: httpx2.Response) -> None:
        # JSON is UTF-8. The header may also name codecs that are none for text, on which the client stumbles.
        response.encoding = "utf-8"
        # We ask for no compression; a server that compresses all the same may expand it a hundredfold.
        packed = "content-encoding" in response.headers
        most = MAX_BYTES // 100 if packed else MAX_BYTES
        if not packed and _length(response.headers) <= most:
            return  # no more than what is announced is ever read
        response.stream = _Capped(response.stream, most, self._not_a_model_server("answers without end"))


class _Capped(httpx2.AsyncByteStream):
    """A response body that raises `error` once it is longer than `most` bytes."""

    def __init__(self, inner: Any, most: int, error: Unavailable) -> None:
        self._inner = inner
        self._most = most
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._inner:
            seen += len(chunk)
            if seen > self._most:
                raise self._error
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _length(headers: httpx2.Headers) -> float:
    """Bytes of a body that a server announces; infinite when it announces none that can be held to."""
    if "transfer-encoding" in headers:
        return math.inf
    length = headers.get("content-length", "")
    return int(length) if re.fullmatch("[0-9]{1,18}", length) else math.inf


def _netloc(url: str) -> str:
    """Host and port of a URL, "" when it has none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _retry_after(headers: httpx2.Headers, now: datetime) -> float | None:
    """Seconds that the server asks to wait; it says so in milliseconds, in seconds, or as a date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        at = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, OverflowError):  # the latter for a year beyond all calendars
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp())
