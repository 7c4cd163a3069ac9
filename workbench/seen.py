"""What the model saw: every call of a model of one run, with the messages as they were sent.

Read from the run's events. Where the record has the hash of what was sent, the messages are put together once more in
each form that a server may have been asked in; when the hash is the same, so is every byte, and the account says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.core.errors import Refused
from workbench.core.events import AnyEvent, Event, Kind
from workbench.core.fingerprint import short
from workbench.core.outcome import Outcome, advance
from workbench.core.tools import digest
from workbench.models import asked, wire
from workbench.models.base import Message, Shown
from workbench.render import STYLE, clean_text, escape, framed

Role = Literal["system", "user", "assistant"]
_ROLES: Mapping[Any, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
NOT_KEPT = (
    "What was sent is not on record: the run is older than this record, or took the call from a cassette. Ask again to "
    "have it (%agent --replay=off, or %workbench rerun)."
)
GONE = "(gone: erased, or changed since it was written)"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a message: `name` as its heading says, "" where it has none. `is_data`: marked line by line as what
    others may have written. `is_clean`: keys were taken out for the record."""

    name: str
    text: str
    is_data: bool
    is_clean: bool


@dataclass(frozen=True, slots=True)
class Said:
    """One message. `pictures`: the names of those that went with it."""

    role: str
    pieces: tuple[Piece, ...]
    pictures: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole message, byte for byte but for keys that were taken out."""
        return "\n\n".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call. `head`: what for, of which model, at what cost; `messages` is empty when they are not on record.
    `form`: how data was asked for, "" where that cannot be proven; `proven`: whether the hash of what was sent agrees.
    """

    number: int
    head: str
    messages: tuple[Said, ...]
    form: str
    proven: bool
    reply: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The calls of a run, or one of them, to be read as text or HTML."""

    run: str
    of: int
    calls: tuple[ModelCall, ...]

    def __repr__(self) -> str:
        lines = [self._title(), *(line for call in self.calls for line in ("", *_as_text(call, self.of)))]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        calls = "".join(_as_html(call, self.of) for call in self.calls)
        return STYLE + framed(f"<p>{escape(self._title())}</p>{calls}")

    def _title(self) -> str:
        count = "no model was called" if not self.of else "1 model call" if self.of == 1 else f"{self.of} model calls"
        return f"What the model saw in run {self.run}: {count}."


def seen(events: Sequence[AnyEvent], artifacts: Path, call: str = "") -> Seen:
    """The calls of a model in a run; with `call`, a number from 1, only that one. `artifacts`: the folder of files.

    Raises Refused when there is no such call.
    """
    called = [event for event in events if isinstance(event, Event) and event.kind is Kind.MODEL_CALLED]
    numbers = range(1, len(called) + 1)
    if call:
        if call not in map(str, numbers):
            there = f"There are 1 to {len(called)}." if called else "No model was called."
            raise Refused(f"The run has no model call {call!r}.", hint=there)
        numbers = range(int(call), int(call) + 1)
    known, pictures = asked.texts(events), _pictures(events, artifacts)
    run = events[0].run if events else ""
    return Seen(run, len(called), tuple(_call(called[n - 1], n, known, pictures) for n in numbers))


def _call(event: Event, number: int, known: Mapping[str, str], pictures: Mapping[str, bytes]) -> ModelCall:
    body = event.body
    messages = tuple(_said(message, known) for message in body.get("messages", ()))
    form = _form(body, messages, pictures)
    return ModelCall(number, _head(event), messages, form, bool(form), str(body.get("reply") or ""))


def _head(event: Event) -> str:
    body, cost = event.body, advance(Outcome(run=""), event).cost
    where = f" at {body['endpoint']}" if body.get("endpoint") else ""
    step = f" (step {event.step})" if event.step else ""
    error = body.get("error")
    ended = f"; failed: {error.get('message', '')}" if isinstance(error, Mapping) else ""
    again = "; answered from the record, nothing was sent" if body.get("replayed") else ""
    blind = "; without the pictures, which the model did not take" if body.get("blind") else ""
    price = str(cost).removesuffix(", 1 model call")
    return f"{body.get('purpose')}{step}, {body.get('model') or 'a model'}{where}; {price}{blind}{again}{ended}"


def _said(message: Mapping[str, Any], known: Mapping[str, str]) -> Said:
    pictures = tuple(str(one.get("name", "")) for one in message.get("pictures", ()))
    return Said(str(message.get("role", "")), tuple(_piece(part, known) for part in message["parts"]), pictures)


def _piece(part: Mapping[str, Any], known: Mapping[str, str]) -> Piece:
    text = known.get(str(part.get("sha256")), GONE)
    lines = text.split("\n")[1:]
    is_data = bool(part.get("name")) and bool(lines) and all(line.startswith("| ") or line == "|" for line in lines)
    return Piece(str(part.get("name", "")), text, is_data, text is GONE or short(text) != part.get("sha256"))


def _form(body: Mapping[str, Any], messages: Sequence[Said], pictures: Mapping[str, bytes]) -> str:
    """The form in which these messages have the hash of what was sent; "" when none has."""
    wanted = body.get("request_sha256")
    if not wanted or not messages or any(piece.is_clean for message in messages for piece in message.pieces):
        return ""
    chat = [
        Message(role=_ROLES.get(said.role, "user"), content=said.text, pictures=() if body.get("blind") else shown)
        for said, told in zip(messages, body["messages"], strict=True)
        for shown in [_shown(told, pictures)]
    ]
    schema, most = body.get("schema"), body.get("max_tokens")
    limits: list[dict[str, int]] = [{}] if most is None else [{"max_tokens": most}, {"max_completion_tokens": most}]
    for rung in wire.LADDER if schema is not None else wire.LADDER[-1:]:
        for limit in limits:
            if digest(wire.request(str(body.get("model")), chat, schema, rung, limit)) == wanted:
                return "plain text" if schema is None else f"data, by {rung}"
    return ""


def _shown(told: Mapping[str, Any], pictures: Mapping[str, bytes]) -> tuple[Shown, ...]:
    return tuple(Shown(one["name"], pictures.get(one["sha256"], b"")) for one in told.get("pictures", ()))


def _pictures(events: Sequence[AnyEvent], artifacts: Path) -> dict[str, bytes]:
    """The pictures that the user put beside the request, by hash, as far as their files are there."""
    found = {}
    for event in events:
        for one in event.body.get("quoted", ()) if event.kind == Kind.INPUTS else ():
            file = one.get("picture", {}).get("$artifact", {})
            path = artifacts / str(file.get("path", ""))
            if file and path.is_file():
                found[str(file["sha256"])] = path.read_bytes()
    return found


def _notes(call: ModelCall) -> Iterator[str]:
    if not call.messages:
        yield NOT_KEPT
    elif call.proven:
        yield f"Asked for {call.form}. These are the bytes that were sent: their hash is the one on record."
    if any(piece.is_clean for message in call.messages for piece in message.pieces):
        yield "Keys were taken out of it for the record, or a part is gone."


def _about(piece: Piece) -> str:
    size = f"{len(piece.text):,} characters"
    return f"{piece.name or 'text'} ({size}{', as data that nobody need obey' if piece.is_data else ''})"


def _as_text(call: ModelCall, of: int) -> Iterator[str]:
    yield clean_text(f"Call {call.number} of {of}: {call.head}")
    yield from _notes(call)
    for message in call.messages:
        yield ""
        pictures = f", with the picture {', '.join(message.pictures)}" if message.pictures else ""
        yield clean_text(f"── {message.role}, {len(message.text):,} characters{pictures}")
        for piece in message.pieces:
            yield ""
            yield clean_text(f"[{_about(piece)}]")
            yield clean_text(piece.text, keep_lines=True)
    if call.reply:
        yield ""
        yield f"── reply, {len(call.reply):,} characters"
        yield clean_text(call.reply, keep_lines=True)


def _as_html(call: ModelCall, of: int) -> str:
    rows = [f"<p><strong>{escape(f'Call {call.number} of {of}')}</strong>: {escape(call.head)}</p>"]
    rows += [f'<p class="small">{escape(note)}</p>' for note in _notes(call)]
    for message in call.messages:
        pictures = f", with the picture {', '.join(message.pictures)}" if message.pictures else ""
        rows.append(
            f"<p><strong>{escape(message.role)}</strong>, {len(message.text):,} characters{escape(pictures)}</p>"
        )
        rows += [
            f"<p>{escape(_about(piece))}</p><pre><code>{escape(piece.text, keep_lines=True)}</code></pre>"
            for piece in message.pieces
        ]
    if call.reply:
        rows.append(f"<p><strong>reply</strong>, {len(call.reply):,} characters</p>")
        rows.append(f"<pre><code>{escape(call.reply, keep_lines=True)}</code></pre>")
    return "".join(rows)
