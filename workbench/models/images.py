"""Pictures from words: the seam, and any server that speaks OpenAI's images API behind it.

What comes back is not trusted. A picture has to be there as such (an address instead of one is not followed), be one
whole PNG, and be of a sane size; whatever else was in its file is thrown away.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from workbench.core.errors import TransientError, Unavailable, WorkbenchError
from workbench.core.png import bare
from workbench.core.retries import Retries
from workbench.core.tools import digest
from workbench.models.base import Usage
from workbench.models.prices import price
from workbench.models.remote import Remote, counted
from workbench.sandbox.vetting import check_png

MAX_COUNT = 4
MAX_SIDE = 4096
SIZE = re.compile(r"auto|([1-9]\d{1,3})x([1-9]\d{1,3})")
_KINDS = ((b"\xff\xd8", "a JPEG"), (b"RIFF", "a WebP"), (b"GIF8", "a GIF"), (b"<svg", "an SVG"), (b"<?xml", "XML"))

Progress = Callable[[str], None]
"""Takes a line about how far a picture has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be painted. `size`: "auto" or WIDTHxHEIGHT in pixels. `seed`: None for whatever comes. `steps`: of a
    model that goes step by step, None for as many as it takes usually."""

    prompt: str
    size: str = "auto"
    count: int = 1
    seed: int | None = None
    steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """Pictures that a model has made, as PNGs without any words in them. `seeds`: of each, None where the model has
    none; `revised`: the prompt as the server has changed it, "" where it says nothing. `usd` as in `models.base.Reply`.
    """

    pngs: tuple[bytes, ...]
    seeds: tuple[int | None, ...]
    model: str
    revised: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    usd: str | None = None
    seconds: float = 0.0
    request_sha256: str = ""


class ImageModel(Protocol):
    """A model that makes pictures. `name` and `endpoint` as of `models.base.Model`."""

    name: str
    endpoint: str

    async def paint(self, wanted: Wanted, progress: Progress) -> Painted:
        """The pictures. A cancelled call leaves nothing running.

        Raises TransientError when another try may help, Unavailable when it will not, Refused when the model or a
        filter declines.
        """
        ...

    def within(self, retries: Retries) -> ImageModel:
        """The same model with the tries that a run has left."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class OpenAIImages:
    """A model for pictures at an OpenAI-compatible endpoint."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self.name = remote.name
        self.endpoint = remote.endpoint
        self._sends_format = not (remote.is_openai or remote.name.startswith(("gpt-image", "chatgpt-image")))

    def within(self, retries: Retries) -> OpenAIImages:
        return OpenAIImages(self._remote.within(retries))

    def price(self, usage: Usage) -> str | None:
        return price(self.name, usage, self._remote.base_url, is_image=True)

    async def close(self) -> None:
        await self._remote.close()

    async def paint(self, wanted: Wanted, progress: Progress) -> Painted:
        started = time.monotonic()
        body: dict[str, Any] = {"model": self.name, "prompt": wanted.prompt, "n": wanted.count}
        if wanted.size != "auto":
            body["size"] = wanted.size
        if wanted.seed is not None:
            if self._remote.is_openai:
                raise Unavailable(
                    "OpenAI's images API takes no seed.", hint="Leave the seed out, or use a server that takes one."
                )
            body["seed"] = wanted.seed
        try:
            raw, sent = await self._asked(body)
        except WorkbenchError as error:
            said = str(error.data.get("said", "")).lower()
            if wanted.seed is not None and error.data.get("status") in (400, 422) and "seed" in said:
                raise Unavailable(f"{self.name} takes no seed.", hint="Leave the seed out.", **error.data) from None
            raise
        items = _items(raw, self._where)
        usage = counted(raw)
        made = [_png(item, self._where) for item in items[: wanted.count]]
        return Painted(
            pngs=tuple(made),
            seeds=tuple(_seed(item, wanted) for item in items[: wanted.count]),
            revised=tuple(_line(item.get("revised_prompt")) for item in items[: wanted.count]),
            model=self.name,
            usage=usage,
            usd=self.price(usage),
            seconds=time.monotonic() - started,
            request_sha256=digest(sent),
        )

    @property
    def _where(self) -> str:
        return self.endpoint or "the server"

    async def _asked(self, body: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The answer, and what was sent for it. Whether a server wants to be told to send the picture itself, or minds
        being told, nobody knows before."""
        if self._sends_format:
            told = body | {"response_format": "b64_json"}
            try:
                return await self._remote.ask(lambda endpoint: endpoint.images(told)), told
            except Unavailable as error:
                if error.data.get("status") not in (400, 422) or "response_format" not in error.data.get("said", ""):
                    raise
                self._sends_format = False
        return await self._remote.ask(lambda endpoint: endpoint.images(body)), body


def _items(raw: Any, where: str) -> list[dict[str, Any]]:
    listed = raw.get("data") if isinstance(raw, dict) else None
    if not isinstance(listed, list):
        raise Unavailable(
            f"{where} answered something that is no list of pictures.",
            hint="Does WORKBENCH_IMAGE_BASE_URL, or OPENAI_BASE_URL, lead to an images API? It usually ends in /v1.",
        )
    items = [item for item in listed if isinstance(item, dict)]
    if not items:
        raise TransientError(f"{where} answered without a picture.", hint="Try again.")
    return items


def _png(item: dict[str, Any], where: str) -> bytes:
    """The bytes of one picture. Raises Unavailable, in one line, for anything but a whole PNG."""
    text = item.get("b64_json")
    if not isinstance(text, str) or not text:
        if isinstance(item.get("url"), str):
            raise Unavailable(
                f"{where} answered with the address of a picture, which is not followed.",
                hint="Set the server to send pictures themselves (b64_json).",
            )
        raise Unavailable(f"{where} answered with an empty picture.")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unavailable(f"{where} sent a picture that is not base64.") from None
    try:
        check_png(data)
    except ValueError as error:
        kind = next((name for start, name in _KINDS if data.startswith(start)), "")
        hint = "Set the server to make PNGs." if kind else "Try again, or use another model."
        raise Unavailable(f"{where} sent {kind or 'a broken picture'}, not a PNG: {error}.", hint=hint) from None
    return bare(data)


def _seed(item: dict[str, Any], wanted: Wanted) -> int | None:
    seed = item.get("seed", wanted.seed)
    return seed if type(seed) is int and 0 <= seed < 2**64 else None


def _line(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:4_000]).split())[:2_000]
