"""One call of a model, told with what it cost: for planners, and for tools that ask a model, whatever it makes."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from workbench.core.errors import Refused, ReplayMiss, Unavailable, WorkbenchError
from workbench.core.events import Kind
from workbench.core.fingerprint import Fingerprint
from workbench.models import asked
from workbench.models.base import Heard, Message, Model, Reply, Usage

Tell = Callable[[Kind, Mapping[str, Any]], object]


class Given(Protocol):
    """What a call of any model gave, with what it took. The fields are those of `models.base.Reply`."""

    @property
    def model(self) -> str: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def usd(self) -> str | None: ...
    @property
    def seconds(self) -> float: ...
    @property
    def request_sha256(self) -> str: ...


class Named(Protocol):
    """The model that a call is told of."""

    name: str
    endpoint: str


G = TypeVar("G", bound=Given)


async def metered(
    model: Model,
    messages: Sequence[Message],
    purpose: str,
    tell: Tell,
    schema: Mapping[str, Any] | None = None,
    max_tokens: int | None = None,
    heard: Heard | None = None,
) -> Reply:
    """The model's whole reply, told as `model.called` with its cost. A failed call is told too, and raised.

    `heard` as in `Model.complete`.

    Raises as `Model.complete` does; Refused and Unavailable also for a reply that is declined, cut or empty.
    """
    started = time.monotonic()
    before: Any = getattr(tell, "events", ())  # of a stream; where there is none, every text is kept anew
    sent = asked.told(messages, before)
    form = {"schema": schema, "max_tokens": max_tokens}
    told: dict[str, Any] = {"purpose": purpose, "model": model.name, "endpoint": model.endpoint, "messages": sent}
    told |= {name: said for name, said in form.items() if said is not None}
    try:
        reply = await model.complete(messages, schema=schema, max_tokens=max_tokens, heard=heard)
    except ReplayMiss:
        raise  # nobody was called
    except (WorkbenchError, asyncio.CancelledError) as error:
        tell(Kind.MODEL_CALLED, told | _failed(error) | {"seconds": round(time.monotonic() - started, 6)})
        raise
    if reply.asked is not None:
        told |= {"asked": reply.asked.told(), "reply": reply.text}
    if reply.blind:
        told["blind"] = True
    if reply.replayed:
        told |= {"replayed": True, "endpoint": ""}
    problem = _incomplete(reply)
    tell(
        Kind.MODEL_CALLED,
        told
        | {
            **_gave(reply, reply.text.encode(errors="surrogatepass")),
            "finish": reply.finish,
            "error": _error(problem) if problem else None,
        },
    )
    if problem is not None:
        raise problem
    return reply


async def metered_call(
    model: Named,
    call: Callable[[], Awaitable[G]],
    purpose: str,
    tell: Tell,
    content: Callable[[G], bytes],
    **more: Callable[[G], Any],
) -> G:
    """What a call of a model for pictures or sound gives, told as a chat is. `content`: the bytes that it gave;
    `more`: what else is told of them, each taken from what was given."""
    started = time.monotonic()
    told: dict[str, Any] = {"purpose": purpose, "model": model.name, "endpoint": model.endpoint}
    try:
        given = await call()
    except (WorkbenchError, asyncio.CancelledError) as error:
        tell(Kind.MODEL_CALLED, told | _failed(error) | {"seconds": round(time.monotonic() - started, 6)})
        raise
    told |= {name: of(given) for name, of in more.items()}
    tell(Kind.MODEL_CALLED, told | {**_gave(given, content(given)), "finish": "stop", "error": None})
    return given


def _gave(given: Given, content: bytes) -> dict[str, Any]:
    """What is told of every call that gave something."""
    return {
        "model": given.model,
        "request_sha256": given.request_sha256,
        "response_sha256": hashlib.sha256(content).hexdigest(),
        "tokens_in": given.usage.tokens_in,
        "tokens_out": given.usage.tokens_out,
        "usd": given.usd,
        "seconds": round(given.seconds, 6),
    }


def _incomplete(reply: Reply) -> WorkbenchError | None:
    """Why a reply cannot be used, whatever model it came from."""
    if reply.finish in ("refusal", "content_filter"):
        return Refused(f"{reply.model} declined the request.", hint="Ask in other words.")
    if reply.finish == "length":
        hint = "Ask for less at once, or use a model with a larger limit."
        return Unavailable(f"The reply of {reply.model} was cut at the token limit.", hint=hint)
    if not reply.text.strip():
        return Unavailable(f"{reply.model} answered nothing.", hint="Try again, or use another model.")
    return None


def _failed(error: BaseException) -> dict[str, Any]:
    """The body of a call that gave no reply. A call that may have been paid for has an unknown price, not none."""
    data = error.data if isinstance(error, WorkbenchError) else {}
    # An error with a status is the server's own: it turned the request away, and nobody bills for that.
    free = "status" in data or data.get("again")
    fingerprint = data.pop("asked", None)
    replayed = bool(data.pop("replayed", False))
    return {
        **({"asked": fingerprint.told()} if isinstance(fingerprint, Fingerprint) else {}),
        **({"replayed": True, "endpoint": ""} if replayed else {}),
        "request_sha256": "",
        "response_sha256": "",
        "tokens_in": data.get("tokens_in", 0),
        "tokens_out": data.get("tokens_out", 0),
        "usd": data.get("usd", "0" if free else None),
        "finish": data.get("finish", ""),
        "error": _error(error),
    }


def _error(error: BaseException) -> dict[str, str]:
    if isinstance(error, WorkbenchError):
        return {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
    return {"kind": "Cancelled", "message": "stopped before the model had answered", "hint": ""}
