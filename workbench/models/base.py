"""The seam to a language model: chat completions, once, with a schema when the reply has to be data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from workbench.core.fingerprint import Fingerprint
from workbench.core.retries import Retries

Finish = Literal["stop", "length", "content_filter", "refusal", "unknown"]
"""stop: complete. length: cut by the token limit. content_filter, refusal: the model or its server declined."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture that goes with a message, as PNG, and how it is called there."""

    name: str
    png: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a chat. `parts`: name and text of the pieces that it was put together from, where there are any,
    so that a replay can say which of them changed. `pictures`: for a model that can see; the text has to do without."""

    role: Literal["system", "user", "assistant"]
    content: str
    pictures: tuple[Shown, ...] = ()
    parts: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the server counted them; 0 when it did not say."""

    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A model's whole reply. `usd` is the price as decimal text, None when the model's price is not known. `asked`:
    what it answers, where that is recorded. `replayed`: it comes from the record, and nothing was sent. `blind`: the
    model took no pictures, and was sent the words alone."""

    text: str
    model: str
    finish: Finish = "stop"
    usage: Usage = Usage()
    usd: str | None = None
    seconds: float = 0.0
    request_sha256: str = ""
    asked: Fingerprint | None = None
    replayed: bool = False
    blind: bool = False


Heard = Callable[[str], None]
"""Hears a reply while it comes: each time all of its text so far. After a retry that text begins anew."""


@runtime_checkable
class Priced(Protocol):
    """A model that knows what it costs."""

    def price(self, usage: Usage) -> str | None:
        """US dollars of so many tokens as decimal text, None where the price is not known."""
        ...


@runtime_checkable
class Patient(Protocol):
    """A model that tries again after a failure that may pass."""

    def within(self, retries: Retries) -> Model:
        """The same model with the tries that a run has left; what it finds out about its endpoint it keeps."""
        ...


class Model(Protocol):
    """A language model. `name` is what the user sees; `endpoint` the host it runs on, "" when on no network."""

    name: str
    endpoint: str

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        heard: Heard | None = None,
    ) -> Reply:
        """The reply to a chat; with `schema` (a JSON Schema object) the text is meant to be JSON of that shape, which
        the caller checks: no server is trusted to have obeyed. With `heard` the reply is streamed where the server can;
        what was heard counts for nothing until the whole reply is returned.

        Raises TransientError when another try may help (after the model's own retries are used up), Unavailable when it
        will not (no such model, bad key, not a model server), Refused when the model or a filter declines.
        A cut, empty or malformed reply is never returned as if it were whole.
        """
        ...
