"""A model that answers from the record, and asks the real one only for what is not there.

A chat is found by what is said in it and by the form that is asked for: neither the server, the model's name, nor the
way in which a server is held to JSON has a part in that. What comes from the record costs nothing and sends nothing; it
is told with the tokens and the price that were recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from workbench.core.errors import ReplayMiss, WorkbenchError, recorded
from workbench.core.fingerprint import SHORT, Fingerprint, short
from workbench.core.tape import HINT, Tape
from workbench.core.tools import digest
from workbench.models.base import Heard, Message, Model, Reply, Usage

FORM = "form of the reply"


class ReplayModel:
    """`inner`, asked only for what `tape` does not have; None when no model is connected. `name`: the recorded model's,
    for when nobody knows a better one. Replies and errors carry what was asked, so that they can be recorded."""

    def __init__(self, inner: Model | None, tape: Tape, name: str = "") -> None:
        self.inner = inner
        self.name = name or (inner.name if inner is not None else "")
        self.endpoint = inner.endpoint if inner is not None else ""
        self._tape = tape

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int | None = None,
        heard: Heard | None = None,
    ) -> Reply:
        asked = of_chat(messages, schema, max_tokens)
        found = self._tape.find("model", asked)
        try:
            if found is not None:
                reply = _reply(found.body)
                if heard is not None:
                    heard(reply.text)
                return replace(reply, asked=asked, replayed=True)
            if self.inner is None:
                raise ReplayMiss(
                    "This is not recorded, and no model is connected that could be asked.",
                    hint=f"Set OPENAI_API_KEY or OPENAI_BASE_URL. {HINT}",
                )
            try:
                reply = await self.inner.complete(messages, schema=schema, max_tokens=max_tokens, heard=heard)
            finally:
                self.name = self.inner.name  # one without a name learns it from its server at the first call
            return replace(reply, asked=asked)
        except WorkbenchError as error:
            error.data |= {"asked": asked, "replayed": found is not None}
            raise


def of_chat(messages: Sequence[Message], schema: Mapping[str, Any] | None, max_tokens: int | None) -> Fingerprint:
    """What a model is asked for."""
    said = [[message.role, message.content] for message in messages]
    form = [schema, max_tokens]
    parts: dict[str, str] = {}
    for number, message in enumerate(messages, 1):
        pieces = message.parts or ((f"message {number}", message.content),)
        parts |= {name: short(text) for name, text in pieces}
    pictures = [picture for message in messages for picture in message.pictures]
    seen = [[picture.name, hashlib.sha256(picture.png).hexdigest()] for picture in pictures]
    parts |= {f"picture {name}": sha256[:SHORT] for name, sha256 in seen}
    return Fingerprint(digest([said, form, *([seen] if seen else [])]), parts | {FORM: short(form)})


def _reply(body: Mapping[str, Any]) -> Reply:
    """The recorded reply. Raises the error that stands in its place."""
    usage = Usage(tokens_in=int(body.get("tokens_in") or 0), tokens_out=int(body.get("tokens_out") or 0))
    if body.get("text") is None:
        spent = {name: body[name] for name in ("tokens_in", "tokens_out", "usd", "finish") if name in body}
        raise recorded({**(body.get("error") or {}), **spent})
    return Reply(
        text=str(body["text"]),
        model=str(body.get("model", "")),
        finish=body.get("finish", "stop"),
        usage=usage,
        usd=body.get("usd"),
        request_sha256=str(body.get("request_sha256", "")),
        blind=bool(body.get("blind")),
    )
