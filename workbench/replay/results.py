"""Recorded results of tools, as if the tool had just given them: nothing runs, nothing is sent, nothing changes.

A record may come from a stranger, so a result is taken as a worker's is: its files are checked in full and described
anew, its texts cleaned, its size bounded. It keeps its sources, and what comes from a file adds that file to them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.calls import account
from workbench.core.artifacts import find
from workbench.core.episode import Recording
from workbench.core.errors import ReplayMiss
from workbench.core.events import Kind, Stream
from workbench.core.fingerprint import of_call
from workbench.core.provenance import Source, SourceKind, from_json
from workbench.core.tape import Tape
from workbench.core.tools import ToolCall, ToolResult
from workbench.policy.recording import Recorded, write
from workbench.replay.restored import restored, whole
from workbench.sandbox.course import MAX_TEXT
from workbench.sandbox.values import clean as without_surrogates


def responses(tape: Tape) -> Recorded | None:
    """What the tools of the recorded run got through host functions, for a tool that has to run again; None when there
    is no such run, and in a strict replay, where no tool runs."""
    if tape.own is None or tape.mode != "auto":
        return None
    told = (one for recording in tape.own.recordings for one in recording.body.get("inside", ()))
    bodies = [one["body"] for one in told if one["kind"] == Kind.SERVICE_CALLED]
    return Recorded(bodies, tape.blob, live=True)


class Recall:
    """The recorded result of a call, None when the call has to be made. Raises ReplayMiss when it must not be.

    What the recorded call had told of its models and of what it sent is told again, as replayed. `counts`: how often
    the run has made each request, shared with what is sent for real. `clean` takes secrets out of a result.
    """

    def __init__(
        self,
        tape: Tape,
        stream: Stream,
        artifacts: Path,
        counts: Counter[str],
        clean: Callable[[ToolResult], ToolResult] = lambda result: result,
    ) -> None:
        self._tape = tape
        self._stream = stream
        self._artifacts = artifacts
        self._counts = counts
        self._clean = clean

    async def __call__(self, call: ToolCall) -> ToolResult | None:
        if self._tape.mode == "off":
            return None
        found = self._tape.find("tool", of_call(call), call.step)
        if found is None:
            return None
        try:
            result = await asyncio.to_thread(self._result, call, found)
            told = [await asyncio.to_thread(self._told, call, one) for one in found.body.get("inside", ())]
        except ReplayMiss:
            if self._tape.is_strict:
                raise
            return None  # damaged: the call is made instead
        for kind, body in told:
            self._stream.tell(kind, body, step=call.step)
        body = {**account(call, result), "seconds": 0.0, "replayed": True, "reached": found.body.get("reached", [])}
        self._stream.tell(Kind.TOOL_CALLED, body, step=call.step)
        return result

    def _result(self, call: ToolCall, found: Recording) -> ToolResult:
        body = found.body
        reached = from_json(body.get("reached", ()))
        if self._tape.origin:
            reached |= {Source(kind=SourceKind.FILE, label=self._tape.origin)}
        value = restored(body.get("value"), self._tape, self._artifacts, call.run, call.step)
        result = ToolResult(
            status=body["status"],
            value=value,
            text=without_surrogates(str(body.get("text", "")))[: 2 * MAX_TEXT],
            error=without_surrogates(str(body.get("error", ""))),
            hint=without_surrogates(str(body.get("hint", ""))),
            retry_after=body.get("retry_after"),
            artifacts=tuple(dict.fromkeys(find(value))),
            sources=tuple(dict(source) for source in body.get("sources", ())),
            isolation="",
            reached=reached,
        )
        return self._clean(result)

    def _told(self, call: ToolCall, told: Mapping[str, Any]) -> tuple[Kind, dict[str, Any]]:
        body = {**told["body"], "seconds": 0.0, "replayed": True}
        if told["kind"] == Kind.MODEL_CALLED:
            return Kind.MODEL_CALLED, {**body, "endpoint": ""}
        if body.pop("kept", None):
            sha256 = str(body["response_sha256"])
            body["kept"] = write(self._artifacts, call.run, sha256, whole(self._tape, sha256))
        request = str(body.get("request_sha256"))
        body["occurrence"] = self._counts[request]
        self._counts[request] += 1
        return Kind.SERVICE_CALLED, body
