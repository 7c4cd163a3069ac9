"""What tools sent out and what came back: told as events, kept, and found again for a replay.

An exchange is named by the hash of its request, without keys, ports and tokens, and by how often the run has made the
same request before (`occurrence`, from 0). A response is kept as it was given to the tool, with every secret taken out:
small ones inside the event, larger ones as `artifacts/<run>/response-<sha256>.json`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench import atomic
from workbench.core import errors
from workbench.core.errors import ReplayMiss, TransientError, Unavailable, WorkbenchError
from workbench.core.events import AnyEvent, Kind

MAX_INLINE = 16_384
"""Bytes of a response, as JSON, that an event carries itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A response as JSON; `bytes_in`: how long its body was on the way; `status`: of HTTP, None for other services.
    `models`: bodies of `model.called`, for an answer that models have given."""

    value: Any
    bytes_in: int
    status: int | None = None
    models: Sequence[Mapping[str, Any]] = ()


@dataclass(slots=True)
class Exchange:
    """One exchange while it happens."""

    request_sha256: str
    occurrence: int
    _recorder: Recorder
    received: Received | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)

    replayed: bool = False

    async def recalled(self) -> Received | None:
        """The recorded response when this run is a replay, None when the exchange has to happen.

        Raises ReplayMiss when there is no recording of it and it must not happen, and what it raised when it was
        recorded."""
        recorded = self._recorder.recorded
        if recorded is None or not recorded.has(self.request_sha256, self.occurrence):
            return None
        self.replayed = True
        return await asyncio.to_thread(recorded.find, self.request_sha256, self.occurrence)

    async def keep(self, received: Received) -> None:
        """Take the response into the record. Raises Unavailable when the disk does not take it."""
        packed = pack(received.value)
        sha256 = hashlib.sha256(packed).hexdigest()
        self.received = received
        self.kept = {"response_sha256": sha256, "response": received.value}
        if len(packed) > MAX_INLINE:
            path = await asyncio.to_thread(write, self._recorder.folder, self._recorder.run, sha256, packed)
            self.kept = {"response_sha256": sha256, "kept": path}
        if received.models:
            self.kept = {**self.kept, "models": list(received.models)}


class Recorder:
    """Measures, tells and keeps the exchanges of a run; one for each call, with `counts` shared by all.

    `tell` takes the body of a `service.called`; `folder` is WORKBENCH_HOME/artifacts; `clean` takes secrets out of a
    text. With `recorded` a response is that of an earlier run, where there is one.
    """

    def __init__(
        self,
        tell: Callable[[Mapping[str, Any]], object],
        folder: Path,
        run: str,
        counts: Counter[str],
        *,
        recorded: Recorded | None = None,
        clean: Callable[[str], str] = lambda text: text,
    ) -> None:
        self.folder = folder
        self.run = run
        self.recorded = recorded
        self._tell = tell
        self._counts = counts
        self._clean = clean

    @asynccontextmanager
    async def exchange(
        self, *, service: str, host: str, method: str, request_sha256: str, bytes_out: int
    ) -> AsyncIterator[Exchange]:
        """One exchange. It is told when the block ends, however it ends: also when policy or network refuse it."""
        exchange = Exchange(request_sha256, self._counts[request_sha256], self)
        self._counts[request_sha256] += 1
        started = time.monotonic()
        error: Mapping[str, Any] | None = None
        try:
            yield exchange
        except WorkbenchError as problem:
            error = {"kind": type(problem).__name__, "message": problem.message, "hint": problem.hint}
            if isinstance(problem, TransientError) and problem.retry_after is not None:
                error = {**error, "retry_after": problem.retry_after}
            raise
        except asyncio.CancelledError:
            error = {"kind": "Cancelled", "message": "stopped before it was over", "hint": ""}
            raise
        finally:
            received = exchange.received
            body = {
                "service": service,
                "host": host,
                "method": method,
                "status": received.status if received else None,
                "bytes_out": bytes_out,
                "bytes_in": received.bytes_in if received else 0,
                "seconds": round(time.monotonic() - started, 6),
                "request_sha256": request_sha256,
                "occurrence": exchange.occurrence,
                "replayed": exchange.replayed,
                "response_sha256": None,
                "error": error and {key: _cleaned(value, self._clean) for key, value in error.items()},
            }
            self._tell({**body, "host": self._clean(host), **exchange.kept})


class Recorded:
    """The responses of an earlier run, by request and occurrence, from the bodies of its `service.called`.

    `blob` gives the bytes of a response that was kept apart, by their hash; None when they are gone. With `live` a
    request that is not there may be sent; without it it may not.
    """

    def __init__(
        self, bodies: Iterable[Mapping[str, Any]], blob: Callable[[str], bytes | None], *, live: bool = False
    ) -> None:
        self._blob = blob
        self._live = live
        self._found = {(str(b.get("request_sha256")), int(b.get("occurrence") or 0)): b for b in bodies}

    @classmethod
    def of(cls, events: Iterable[AnyEvent], folder: Path) -> Recorded:
        """The responses in the events of a run, and nothing else. `folder` is WORKBENCH_HOME/artifacts."""
        bodies = [event.body for event in events if event.kind == Kind.SERVICE_CALLED]
        kept = {str(body.get("response_sha256")): Path(str(body["kept"])) for body in bodies if "kept" in body}

        def blob(sha256: str) -> bytes | None:
            relative = kept[sha256]
            if not relative.is_absolute() and ".." not in relative.parts:
                with suppress(OSError):
                    return (folder / relative).read_bytes()
            return None

        return cls(bodies, blob)

    def has(self, request_sha256: str, occurrence: int) -> bool:
        """Whether `find` is to be asked: False for what may be sent instead."""
        return not self._live or (request_sha256, occurrence) in self._found

    def find(self, request_sha256: str, occurrence: int) -> Received:
        """The response. Raises ReplayMiss when there is none, and the error that stands in its place in the record."""
        body = self._found.get((request_sha256, occurrence))
        if body is None:
            raise ReplayMiss(
                f"Nothing is recorded of this request ({request_sha256[:12]}, number {occurrence + 1}).",
                hint="The tool asks for something else than when it was recorded; run it again without replay.",
            )
        if (error := body.get("error")) is not None:
            raise errors.recorded(error)
        return Received(
            value=self._value(body),
            bytes_in=int(body.get("bytes_in") or 0),
            status=body.get("status"),
            models=tuple(body.get("models") or ()),
        )

    def _value(self, body: Mapping[str, Any]) -> Any:
        if "kept" not in body:
            return body.get("response")
        sha256 = str(body.get("response_sha256"))
        packed = self._blob(sha256) or b""
        if hashlib.sha256(packed).hexdigest() != sha256:
            raise ReplayMiss(f"The recorded response {sha256[:12]} is gone or was changed.")
        return json.loads(packed)


def counted(events: Iterable[AnyEvent]) -> Counter[str]:
    """How often each request was made in these events."""
    return Counter(str(event.body.get("request_sha256")) for event in events if event.kind == Kind.SERVICE_CALLED)


def pack(value: Any) -> bytes:
    """The value as canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    return clean(value) if isinstance(value, str) else value


def write(folder: Path, run: str, sha256: str, packed: bytes) -> str:
    """Keep a response as a file, whole or not at all; its path below `folder`."""
    relative = f"{run}/response-{sha256}.json"
    final = folder / relative
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(final, packed)
    except OSError as error:
        raise Unavailable(f"A response cannot be kept: {error.strerror}.", hint="Is the disk full?") from error
    return relative
