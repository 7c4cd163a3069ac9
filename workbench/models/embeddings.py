"""Embeddings from any server that speaks OpenAI's: texts in, vectors of length 1 out.

What comes back is not trusted: a text without a whole vector gets zeros, and vectors of unequal length are refused.
When the server minds a batch, its halves are tried, so that one text which it will not take costs itself only.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from workbench.core.errors import TransientError, Unavailable
from workbench.models.prices import OPENAI

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.models.endpoint import Endpoint

    Floats = NDArray[np.float32]

_MAX_CHARACTERS = 24_000
"""Of a text; embedding models take about 8,000 tokens."""

_MINDED = frozenset({400, 413, 422})


class Embeddings:
    """The embedder `name` at `base_url` (empty: OpenAI). `timeout`: seconds for one exchange. Blocks, so it is called
    from threads without an event loop."""

    lexical = False
    floor = 0.2

    def __init__(
        self,
        name: str,
        *,
        base_url: str = "",
        api_key: SecretStr | None = None,
        timeout: float = 30.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._model = name
        self._base_url = base_url or OPENAI
        self._key = api_key.get_secret_value().strip() if api_key else ""
        self._timeout = timeout
        self._now = now
        self._afresh()

    def _afresh(self) -> None:
        self._pid = os.getpid()
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._endpoint: Endpoint | None = None

    @property
    def id(self) -> str:
        return f"{self._model}@{self._base_url}"

    @property
    def name(self) -> str:
        return f"{self._model} at {self._base_url.split('://')[-1].split('/')[0].rpartition('@')[2]}"

    def embed(self, texts: Sequence[str]) -> Floats:
        import numpy as np

        if os.getpid() != self._pid:  # a forked child: the parent's loop and connections are not its own
            self._afresh()
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
            rows = self._loop.run_until_complete(self._rows([_sendable(text) for text in texts]))
        lengths = {len(row) for row in rows if row is not None}
        if len(lengths) > 1:
            raise Unavailable(
                f"{self.name} gave vectors of unequal length: {', '.join(map(str, sorted(lengths)))}.",
                hint="WORKBENCH_EMBED_MODEL must name an embedding model.",
            )
        vectors = np.zeros((len(texts), max(lengths, default=0)), np.float32)
        for vector, row in zip(vectors, rows, strict=True):
            if row is not None:
                values = np.array(row, np.float64)
                size = float(np.linalg.norm(values))
                if np.isfinite(size) and size > 0:
                    vector[:] = values / size
        return vectors

    def close(self) -> None:
        """Let go of the connections. It can still be used afterwards."""
        with self._guard:
            if self._loop is not None:
                if self._endpoint is not None:
                    self._loop.run_until_complete(self._endpoint.close())
                self._loop.close()
            self._loop = self._endpoint = None

    async def _rows(self, texts: list[str]) -> list[list[float] | None]:
        try:
            return await self._asked(texts)
        except Unavailable as error:
            if error.data.get("status") not in _MINDED:
                raise
            if len(texts) == 1:
                return [None]
        middle = len(texts) // 2
        return [*await self._rows(texts[:middle]), *await self._rows(texts[middle:])]

    async def _asked(self, texts: list[str]) -> list[list[float] | None]:
        raw = await self._connected().embeddings({"model": self._model, "input": texts, "encoding_format": "float"})
        listed = raw.get("data") if isinstance(raw, dict) else None
        if not isinstance(listed, list):
            raise TransientError(f"{self.name} answered without embeddings.")
        rows: list[list[float] | None] = [None] * len(texts)
        for place, item in enumerate(listed):
            number = item.get("index", place) if isinstance(item, dict) else None
            if isinstance(number, int) and 0 <= number < len(rows):
                rows[number] = _numbers(item.get("embedding"))
        if not any(rows):
            raise TransientError(f"{self.name} answered without one whole embedding.")
        return rows

    def _connected(self) -> Endpoint:
        if self._endpoint is None:
            from workbench.models.endpoint import Endpoint

            self._endpoint = Endpoint(self._base_url, self._key, self._timeout, self._now)
        return self._endpoint


def _sendable(text: str) -> str:
    """The text as a server takes it: not empty, not too long, no halves of characters."""
    short = text[:_MAX_CHARACTERS].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return short.replace("\0", " ").strip() or "."


def _numbers(value: Any) -> list[float] | None:
    if not isinstance(value, list) or not value:
        return None
    numbers = all(isinstance(number, int | float) and not isinstance(number, bool) for number in value)
    return value if numbers else None
