"""What a run takes in from outside before it is planned: told as the event `inputs`, and taken from the record in a
replay, so that the same prompt comes out on another day and on another machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from workbench.core.artifacts import Artifact, from_json, to_json
from workbench.core.episode import priced
from workbench.core.errors import Refused, ToolFailed
from workbench.core.events import Event, Kind, Stream
from workbench.core.provenance import NONE, Source, SourceKind, Sources
from workbench.core.provenance import from_json as sources_from
from workbench.core.provenance import to_json as sources_json
from workbench.core.request import Quoted, Request, Talk, Turn
from workbench.core.tape import Tape
from workbench.core.tools import ToolSpec
from workbench.core.usage import Price
from workbench.policy.forecast import PROMPT, REPLY
from workbench.replay.restored import restored
from workbench.sandbox.files import Outputs


def offered(tape: Tape, tools: Mapping[str, ToolSpec]) -> Mapping[str, ToolSpec]:
    """The tools that a planner sees: of those that are here, the ones that it saw when the run was recorded. Others
    that this user has would make it another prompt."""
    recorded = tape.inputs.get("tools")
    if recorded is None:
        return tools
    return {name: tool for name, tool in tools.items() if name in set(recorded)}


def taken(tape: Tape, request: Request) -> Request:
    """The request with the day, the memories and the databases that the recorded run had. Its talk: see `talk`."""
    inputs = tape.inputs
    if not inputs:
        return request
    return replace(
        request,
        today=inputs.get("today") or request.today,
        memories=tuple(inputs.get("memories", ())),
        connections=tuple((str(name), str(kind)) for name, kind in inputs.get("connections", ())),
    )


def price(tape: Tape, live: Price | None) -> Price | None:
    """What estimates are made with: `live`, and in a replay what it was then for a call of the usual length."""
    each = tape.inputs.get("estimate")
    return live if tape.own is None else lambda tokens_in, tokens_out: None if each is None else Decimal(each)


def told(
    request: Request,
    tools: Mapping[str, ToolSpec],
    planner: str,
    model: str | None,
    price: Price | None = None,
    pictures: Mapping[str, Artifact] | None = None,
) -> dict[str, Any]:
    """The body of `inputs`. `model`: the one that the request names; `price`: of its model; `pictures`: files of what
    is quoted, by name."""
    talk = _talk_json(request.talk)
    quoted = [_quoted_json(one, (pictures or {}).get(one.name)) for one in request.quoted]
    each = price(PROMPT, REPLY) if price is not None else None
    return {
        "today": request.today,
        "memories": list(request.memories),
        "connections": [list(pair) for pair in request.connections],
        "tools": sorted(tools),
        "planner": planner,
        "asked_model": model or "",
        **({"talk": talk} if talk else {}),
        **({"quoted": quoted} if quoted else {}),
        **({"estimate": f"{each:f}"} if each is not None else {}),
    }


def talk(tape: Tape, artifacts: Path, run: str) -> Talk | None:
    """What the recorded run knew of what was asked before, its table among this run's files; None when nothing is
    recorded. Raises ReplayMiss when the table is gone or damaged."""
    if tape.own is None:
        return None
    recorded = tape.inputs.get("talk") or {}
    tables = restored([turn.get("table") for turn in recorded.get("turns", ())], tape, artifacts, run, "previous")
    turns = (_turn(turn, table, tape) for turn, table in zip(recorded.get("turns", ()), tables, strict=True))
    sources = sources_from(recorded.get("sources", ())) | foreign(tape)
    return Talk(turns=tuple(turns), summary=str(recorded.get("summary", "")), sources=sources)


def pictures(quoted: Sequence[Quoted], artifacts: Path, run: str) -> dict[str, Artifact]:
    """The pictures of what is quoted as files of the run, by name. Raises Refused for one that is no sound PNG."""
    made: dict[str, Artifact] = {}
    for one in (one for one in quoted if one.png):
        with Outputs(artifacts, run, "quoted") as outputs:
            number, fd = outputs.open("image", title=one.name, alt=one.what)
            with os.fdopen(fd, "wb") as file:
                file.write(one.png)
            try:
                made[one.name] = outputs.settle(number)
            except ToolFailed as error:
                raise Refused(f"{one.name} cannot be handed over: {error.message}", hint=error.hint) from None
    return made


def quoted(events: Iterable[Event], artifacts: Path) -> tuple[Quoted, ...]:
    """What the user put beside the request of a run on record; a picture that is gone is left out."""
    body = next((event.body for event in events if event.kind is Kind.INPUTS), {})
    return tuple(_quoted(told, artifacts) for told in body.get("quoted", ()))


def _quoted_json(one: Quoted, picture: Artifact | None) -> dict[str, Any]:
    head = {"name": one.name, "what": one.what, "text": one.text, "sources": sources_json(one.sources)}
    return head | ({"picture": to_json(picture)} if picture is not None else {})


def _quoted(told: Mapping[str, Any], artifacts: Path) -> Quoted:
    png, file = b"", from_json(told.get("picture"))
    if isinstance(file, Artifact):
        with suppress(OSError):
            png = (artifacts / file.path).read_bytes()
    return Quoted(
        name=str(told.get("name", "")),
        what=str(told.get("what", "")),
        text=str(told.get("text", "")),
        sources=sources_from(told.get("sources", ())),
        png=png,
    )


def again(tape: Tape, purpose: str, stream: Stream) -> None:
    """Tell the recorded calls of a model whose result is recorded beside them: they cost what they did."""
    for one in tape.take(purpose):
        more = {"asked": one.asked.told(), "reply": one.body.get("text"), "seconds": 0.0, "endpoint": ""}
        stream.tell(Kind.MODEL_CALLED, {**priced(one.body), **more, "replayed": True})


def foreign(tape: Tape) -> Sources:
    """Where a plan comes from, beyond what its planner saw: a reply that stands in a file may be a stranger's."""
    if not tape.origin or tape.own is None:
        return NONE
    return frozenset({Source(kind=SourceKind.FILE, label=tape.origin)})


def _talk_json(talk: Talk) -> dict[str, Any]:
    turns = [
        {
            "request": turn.request,
            "answer": turn.answer,
            "results": list(turn.results),
            "sources": sources_json(turn.sources),
            # Only the last one's table is offered.
            **({"table": to_json(turn.table)} if turn.table is not None and turn is talk.turns[-1] else {}),
        }
        for turn in talk.turns
    ]
    summary = {"summary": talk.summary, "sources": sources_json(talk.sources)} if talk.summary else {}
    return {**({"turns": turns} if turns else {}), **summary}


def _turn(told: Mapping[str, Any], table: Any, tape: Tape) -> Turn:
    return Turn(
        run="",
        request=str(told.get("request", "")),
        answer=str(told.get("answer", "")),
        results=tuple(map(str, told.get("results", ()))),
        sources=sources_from(told.get("sources", ())) | foreign(tape),
        table=table if isinstance(table, Artifact) and table.is_frame else None,
    )
