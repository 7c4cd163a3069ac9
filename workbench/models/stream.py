"""A chat completion put together from the chunks of a stream.

The whole is what the server would have sent in one piece, so that one reader (`models.wire.read`) judges both. A stream
has no other end than its finish reason: without one it was cut, however whole its text may look.
"""

from __future__ import annotations

from typing import Any

MAX_CALLS = 64
"""Function calls of one reply; ours has one."""


class Assembly:
    """The reply so far. `text` is what is meant for the reader: the words, or the arguments of the first function."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._finish: Any = None
        self._usage: Any = None

    @property
    def text(self) -> str:
        if self._text or not self._calls:
            return "".join(self._text)
        return next(iter(self._calls.values()))["arguments"]

    @property
    def ended(self) -> bool:
        """Whether the server has said that, and why, the reply is over."""
        return self._finish is not None

    def add(self, chunk: Any) -> bool:
        """Take a chunk; says whether the text grew. Raises ValueError for what is no chunk of a chat completion."""
        if not isinstance(chunk, dict):
            raise ValueError("a chunk is not an object")
        self._usage = chunk.get("usage") or self._usage
        choices = chunk.get("choices")
        if choices is None or choices == []:  # only usage, or a comment of a gateway
            return False
        try:
            choice = choices[0]
            if choice.get("index", 0) != 0:
                return False
            self._finish = choice.get("finish_reason") or self._finish
            return self._delta(choice.get("delta") or {})
        except (TypeError, KeyError, AttributeError, IndexError) as error:
            raise ValueError("a chunk is not one of a chat completion") from error

    def _delta(self, delta: Any) -> bool:
        grew = False
        for name, kept in (("content", self._text), ("refusal", self._refusal)):
            piece = delta.get(name)
            if isinstance(piece, str) and piece:
                kept.append(piece)
                grew |= name == "content"
        for call in delta.get("tool_calls") or ():
            at = call.get("index") or 0
            if at not in self._calls and len(self._calls) >= MAX_CALLS:
                raise ValueError("a reply calls functions without end")
            known = self._calls.setdefault(at, {"name": "", "arguments": ""})
            function = call.get("function") or {}
            # Names come whole, some servers repeat them; arguments come in pieces.
            known["name"] = function.get("name") or known["name"]
            known["arguments"] += function.get("arguments") or ""
            grew = True
        return grew

    def whole(self) -> dict[str, Any]:
        """The chat completion as it would have come in one piece."""
        calls = [{"type": "function", "function": dict(self._calls[at])} for at in sorted(self._calls)]
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._text) or None}
        if self._refusal:
            message["refusal"] = "".join(self._refusal)
        if calls:
            message["tool_calls"] = calls
        return {"choices": [{"finish_reason": self._finish, "message": message}], "usage": self._usage}
