"""The recordings that one run is replayed from: found by what is asked for, each used once, in the order of the record.

    own episode, same step ──▶ own episode ──▶ the other episodes ──▶ live, or ReplayMiss when the replay is strict

A run that asks for the same thing twice gets the first answer first. A miss names the part that changed: that by which
the call differs from the recorded one that is nearest to it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any, Literal

from workbench.core.episode import RESUMED, Episode, Recording
from workbench.core.errors import ReplayMiss
from workbench.core.fingerprint import Fingerprint

Replay = Literal["off", "auto", "strict"]
"""off: everything is asked anew. auto: what is recorded is used, the rest asked anew. strict: nothing is asked anew."""

HINT = "Record it again with WORKBENCH_REPLAY=off, or let what is missing be asked anew with --replay=auto."


class Tape:
    """What one run finds on record. `own`: its episode, None when there is none; `others` may hold the same calls.
    `blob` gives the bytes of a hash, None when they are gone. `origin` names a record that came from elsewhere: what
    is read from it is a stranger's. "" for the user's own."""

    def __init__(
        self,
        own: Episode | None = None,
        others: Sequence[Episode] = (),
        *,
        mode: Replay = "off",
        blob: Callable[[str], bytes | None] = lambda sha256: None,
        origin: str = "",
    ) -> None:
        self.own = own
        self.mode = mode
        self.blob = blob
        self.origin = origin
        self.number: int | None = None
        """How often the same request was made before in this session; None for a run that no cassette is to have."""
        self._mine = list(own.recordings) if own is not None else []
        self._others = [one for episode in others if episode is not own for one in episode.recordings]
        self._used: set[int] = set()

    @property
    def is_strict(self) -> bool:
        return self.mode == "strict"

    @property
    def inputs(self) -> dict[str, Any]:
        """What the recorded run took in from outside; empty when there is none."""
        return dict(self.own.inputs) if self.own is not None else {}

    def take(self, purpose: str) -> list[Recording]:
        """The calls of a model that the recorded run made for a purpose and that were not used yet."""
        mine = [one for one in self._mine if one.kind == "model" and one.body.get("purpose") == purpose]
        found = [one for one in mine if id(one) not in self._used]
        self._used.update(map(id, found))
        return found

    def find(self, kind: Literal["model", "tool"], asked: Fingerprint, step: str = "") -> Recording | None:
        """The next recording of this call, None when the call has to be made. Raises ReplayMiss when it may not be."""
        if self.mode == "off":
            return None
        same = [one for one in (*self._mine, *self._others) if one.kind == kind and one.asked.sha256 == asked.sha256]
        unused = [one for one in same if id(one) not in self._used]
        here = [one for one in unused if one.step == step]
        for one in (*here, *unused):
            self._used.add(id(one))
            return one
        if self.is_strict:
            raise self._miss(kind, asked, more=bool(same))
        return None

    def _miss(self, kind: str, asked: Fingerprint, *, more: bool) -> ReplayMiss:
        what = "the model" if kind == "model" else _tool(asked)
        if more:
            said = f"{what} is asked this more often than when it was recorded"
            return ReplayMiss(f"Not recorded: {said}.", hint=HINT, kind=kind, part="occurrence", parts=["occurrence"])
        near = self._nearest(kind, asked)
        if near is None:
            said = f"of {what} no call is recorded"
            return ReplayMiss(f"Not recorded: {said}.", hint=HINT, kind=kind, part=what, parts=[what])
        parts = asked.changed(near.asked) or ["order of the messages"]
        call = "what the model is asked" if kind == "model" else f"this call of {what}"
        said = f"{call} differs from the record in {_listed(parts)}"
        return ReplayMiss(f"Not recorded: {said}.", hint=HINT, kind=kind, part=parts[0], parts=parts)

    def _nearest(self, kind: str, asked: Fingerprint) -> Recording | None:
        """The recorded call that shares most with this one; of equals the first that was not used."""
        known = [
            one
            for one in (*self._mine, *self._others)
            if one.kind == kind and (kind == "model" or _tool(one.asked) == _tool(asked))
        ]
        return min(known, key=lambda one: (len(asked.changed(one.asked)), id(one) in self._used), default=None)


def _listed(parts: Sequence[str]) -> str:
    shown = [f"“{name}”" for name in parts[:4]] + (["others"] if len(parts) > 4 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _tool(asked: Fingerprint) -> str:
    """The tool that is asked: its part alone begins with that word."""
    return next((name.removeprefix("tool ") for name in asked.parts if name.startswith("tool ")), "a tool")


def serves(episode: Episode, request: str, model: str, again: str = "") -> bool:
    """Whether an episode is one of this request. Of one that was resumed all is there that the request itself asks."""
    return (episode.request, episode.model) == (request, model) and (
        episode.again == again or (not again and episode.again == RESUMED)
    )


def chosen(episodes: Sequence[Episode], request: str, number: int, model: str = "", again: str = "") -> Episode | None:
    """The episode of a request that is made for the `number`-th time (from 0): the one recorded then, else the last.

    `model`: the one that the request names, "" when it names none. `again`: see `episode.again`."""
    found = [one for one in episodes if serves(one, request, model, again)]
    same = [one for one in found if one.again == again] or found
    return same[min(number, len(same) - 1)] if same else None


def unknown(episodes: Sequence[Episode], request: str, model: str = "", again: str = "") -> ReplayMiss:
    """Why a request cannot be replayed at all."""
    texts = [one.request for one in episodes]
    if again and request in texts:
        return ReplayMiss(
            f"Not recorded: this request, {again}.", hint=HINT, kind="request", part="changes", parts=["changes"]
        )
    if request in texts:
        said = f"the model {model!r}" if model else "no model named"
        return ReplayMiss(
            f"Not recorded: this request with {said}.", hint=HINT, kind="request", part="model", parts=["model"]
        )
    near = difflib.get_close_matches(request, texts, n=1)
    like = f" The nearest that is: {near[0][:200]!r}." if near else ""
    return ReplayMiss(
        f"Not recorded: this request.{like}", hint=HINT, kind="request", part="request", parts=["request"]
    )
