"""The host functions that a tool may call, and the one place that each of them passes.

    worker ──name, params──▶ guard (policy) ──▶ the function ──▶ metered and recorded ──▶ memory, model, network

What leaves this machine (`http`, `model.complete`, and what a library sends through a door) is told as `service.called`
and kept, so that it can be replayed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench.cache import Cache, cache_services
from workbench.calls import at_item
from workbench.core.connections import Connection
from workbench.core.episode import priced
from workbench.core.errors import Denied, TransientError, Unavailable
from workbench.core.events import Kind, Stream
from workbench.core.request import Scope
from workbench.core.settings import Settings
from workbench.core.tools import ToolCall, ToolSpec, by_content, digest
from workbench.core.usage import Use
from workbench.memory.remember import Note, Remembering
from workbench.models.base import Model
from workbench.models.held import HeldSpeech, HeldTranscription
from workbench.models.images import ImageModel
from workbench.models.painting import painting_service
from workbench.models.service import complete_service
from workbench.models.sounding import speaking_service, transcribing_service
from workbench.policy.connections import connection_services
from workbench.policy.egress import http_service
from workbench.policy.outgoing import WayOut
from workbench.policy.proxy import door_service
from workbench.policy.recording import Received, Recorded, Recorder, counted, pack
from workbench.policy.secrets import Secrets
from workbench.sandbox.base import Service
from workbench.sandbox.doors import Doors

Guard = Callable[[str, Service, ToolCall], Service]
"""Puts the policy around a host function: it sees the name and the parameters, and raises Denied to say no. What a
library sends through a door comes as `http`, with the parameters of that function."""


def bases(settings: Settings) -> Mapping[str, str]:
    """A host that tools declare → the URL where the user has it served. Those that end in `.invalid` stand for services
    that only the user's settings can name, or allow."""
    found = {"api.tavily.com": settings.tavily_base_url}
    if settings.searxng_url:
        found["searxng.invalid"] = settings.searxng_url
    if settings.tavily_keyless:
        found["keyless.tavily.invalid"] = settings.tavily_base_url
    return found


def narrowed(tool: ToolSpec, bases: Mapping[str, str]) -> ToolSpec:
    """The tool without the hosts that stand for services which the user has not set."""
    hosts = tuple(host for host in tool.permissions.network if not host.endswith(".invalid") or host in bases)
    return replace(tool, permissions=replace(tool.permissions, network=hosts))


def unguarded(name: str, service: Service, call: ToolCall) -> Service:
    """The host function as it is: a tool may do what its file declares."""
    return service


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What host functions work with.

    `secrets`: all that the host has, by name. `bases`: a host → the URL where the user has it served. `model` is None
    when none is connected, and so are `images`, `speech` and `transcription`, those for pictures and sound. `room`
    raises BudgetExceeded when the user may not use so much more. `artifacts`: folder of the runs' files. `connections`:
    databases by name. With `recorded` answers are those of an earlier run, where there are any.
    """

    memory: Remembering
    scope: Scope
    secrets: Secrets
    bases: Mapping[str, str]
    model: Model | None
    images: ImageModel | None = None
    speech: HeldSpeech | None = None
    transcription: HeldTranscription | None = None
    room: Callable[[Use], Awaitable[None]] | None = None
    artifacts: Path
    guard: Guard = unguarded
    connections: Mapping[str, Connection] = field(default_factory=dict)
    recorded: Recorded | None = None


def host_services(
    means: Means, stream: Stream, counts: Counter[str] | None = None
) -> Callable[[ToolCall, Doors], Mapping[str, Service]]:
    """For each call of the run the host functions by name; the sandbox holds a tool to those that its USES declare.
    `counts`: how often the run has made each request; None to count them from its events."""
    counts = counted(stream.events) if counts is None else counts

    def services(call: ToolCall, doors: Doors) -> Mapping[str, Service]:

        def tell(kind: Kind, body: Mapping[str, Any]) -> None:
            stream.tell(kind, body, step=call.step)

        def exchanged(body: Mapping[str, Any]) -> None:
            tell(Kind.SERVICE_CALLED, body)

        recorder = Recorder(
            exchanged, means.artifacts, call.run, counts, recorded=means.recorded, clean=means.secrets.redact
        )
        way = WayOut(call.tool.permissions, means.secrets, means.bases, recorder, timeout=call.exchange)
        send = means.guard("http", way.send, call)

        def asked_a_model(kind: Kind, body: Mapping[str, Any]) -> None:
            tell(kind, body)
            _models.get().append(body)

        async def room(images: int) -> None:
            if means.room is not None:
                await means.room(Use(images=images))

        def progress(text: str) -> None:
            tell(Kind.STEP_PROGRESS, {"text": text} | at_item(call))

        purpose = f"tool {call.tool.name}"
        model = complete_service(means.model, purpose, asked_a_model)
        images = painting_service(means.images, purpose, call.run, asked_a_model, progress, room)
        speak = speaking_service(means.speech, purpose, asked_a_model)
        transcribe = transcribing_service(
            means.transcription, purpose, means.artifacts, means.secrets.are_in, asked_a_model
        )
        inner: dict[str, Service] = {
            "memory.write": _write(means, call, tell),
            "memory.recall": _recall(means, call),
            "model.complete": _final(_recorded("model.complete", model, means.model, means, recorder, tell)),
            "audio.speak": _final(_recorded("audio.speak", speak, means.speech, means, recorder, tell)),
            "audio.transcribe": _final(
                _recorded("audio.transcribe", transcribe, means.transcription, means, recorder, tell)
            ),
            "image.make": _final(_recorded("image.make", images, means.images, means, recorder, tell)),
            "http.door": door_service(send, way, doors),
            **cache_services(Cache(means.artifacts.parent, call.tool, means.secrets.redacted)),
            **connection_services(means.connections, means.secrets, call, doors, exchanged),
        }
        guarded = {name: means.guard(name, service, call) for name, service in inner.items()}
        return {**guarded, "http": http_service(send)}

    return services


def _write(means: Means, call: ToolCall, tell: Callable[[Kind, Mapping[str, Any]], None]) -> Service:
    async def write(params: Mapping[str, Any]) -> Any:
        note = Note(
            text=str(params["text"]),
            kind=str(params.get("kind", "fact")),
            scope=means.scope,
            source=f"{call.run}/{call.step}",
            by="tool",
        )
        kept = await means.memory.remember(note, tell, run=call.run)
        closed = [hit.text for hit in kept.closed]
        return {"id": kept.id, "text": kept.text, "became": kept.became, "closed": closed}

    return write


def _recall(means: Means, call: ToolCall) -> Service:
    async def recall(params: Mapping[str, Any]) -> Any:
        limit = int(params.get("limit", 5))
        hits = await means.memory.recall(str(params["question"]), means.scope, limit, run=call.run)
        return [asdict(hit) for hit in hits]

    return recall


def _final(complete: Service) -> Service:
    """A function that asks a model, whose failures are final to a tool: it has been tried again where the model is
    asked, and is not tried once more with the whole tool around it."""

    async def final(params: Mapping[str, Any]) -> Any:
        try:
            return await complete(params)
        except TransientError as error:
            raise Unavailable(error.message, hint=error.hint, **error.data) from None

    return final


_models: ContextVar[list[Mapping[str, Any]]] = ContextVar("models")
"""What the running exchange has told of its calls of a model."""


def _recorded(
    name: str,
    ask: Service,
    model: Model | ImageModel | HeldSpeech | HeldTranscription | None,
    means: Means,
    recorder: Recorder,
    tell: Callable[[Kind, Mapping[str, Any]], None],
) -> Service:
    """A function that asks a model, with its exchange told and kept. The model's name is not part of the request: which
    model a user has connected is the run's business. From the record, its calls are told again with their cost."""

    async def recorded(params: Mapping[str, Any]) -> Any:
        sent = pack(by_content(params))
        _models.set([])
        async with recorder.exchange(
            service=name,
            host=model.endpoint if model is not None else "",
            method="",
            request_sha256=digest({"service": name, "params": by_content(params)}),
            bytes_out=len(sent),
        ) as exchange:
            if means.secrets.holds_key(sent.decode()):
                raise Denied("The prompt holds the value of a secret and was not sent.", hint="Leave it out.")
            received = await exchange.recalled()
            if received is None:
                value = means.secrets.redacted(await ask(params))
                models = [priced(body) for body in _models.get()]
                received = Received(value=value, bytes_in=len(pack(value)), models=models)
            else:
                for body in received.models:
                    tell(Kind.MODEL_CALLED, {**priced(body), "endpoint": "", "seconds": 0.0, "replayed": True})
            await exchange.keep(received)
        return received.value

    return recorded
