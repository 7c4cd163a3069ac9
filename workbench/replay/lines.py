"""The lines of a cassette, held to their form: what may stand there, how long it may be, and nothing else.

Both ways: what is written can be read, and is the same bytes when it is written again.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from workbench.core.episode import Episode, Recording
from workbench.core.fingerprint import Fingerprint
from workbench.core.tools import Status
from workbench.models.base import Finish

MAX_DEPTH = 64
MAX_TEXT = 1_000_000

Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
Word = Annotated[str, StringConstraints(max_length=300)]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
NoHash = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
Usd = Annotated[str, StringConstraints(pattern=r"^\d{1,9}(\.\d{1,30})?$")]
Count = Annotated[int, Field(ge=0, le=10**12)]


def _shallow(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for item in inner:
        _shallow(item, depth + 1)
    return value


Json = Annotated[Any, AfterValidator(_shallow)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Asked(_Line):
    sha256: Hash
    parts: Annotated[dict[Word, Word], Field(max_length=1000)] = {}


class _Error(_Line):
    kind: Word = ""
    message: Text = ""
    hint: Text = ""
    retry_after: Annotated[float, Field(ge=0, le=86_400)] | None = None


class _Called(_Line):
    """What a call of a model used."""

    purpose: Word = ""
    model: Word = ""
    request_sha256: NoHash = ""
    tokens_in: Count = 0
    tokens_out: Count = 0
    usd: Usd | None = None
    finish: Finish | Literal[""] = ""
    error: _Error | None = None
    blind: Literal[True] | None = None


class _Model(_Called):
    asked: _Asked
    text: Text | None = None


class _Service(_Line):
    """What went out of a call, and came back."""

    service: Word
    host: Word = ""
    method: Word = ""
    status: Annotated[int, Field(ge=100, le=599)] | None = None
    bytes_out: Count = 0
    bytes_in: Count = 0
    request_sha256: NoHash = ""
    occurrence: Count = 0
    response_sha256: Hash | None = None
    response: Json = None
    kept: Literal[True] | None = None
    models: Annotated[list[_Called], Field(max_length=100)] = []
    error: _Error | None = None


class _ServiceCalled(_Line):
    kind: Literal["service.called"]
    body: _Service


class _ModelCalled(_Line):
    kind: Literal["model.called"]
    body: _Called


class _Source(_Line):
    kind: Word
    label: Word = ""


class _Tool(_Line):
    asked: _Asked
    step: Word = ""
    status: Status
    value: Json = None
    text: Text = ""
    error: Text = ""
    hint: Text = ""
    retry_after: Annotated[float, Field(ge=0, le=86_400)] | None = None
    sources: Annotated[list[dict[Word, Text]], Field(max_length=1000)] = []
    reached: Annotated[list[_Source], Field(max_length=1000)] = []
    inside: Annotated[list[_ServiceCalled | _ModelCalled], Field(max_length=2000)] = []


class _Turn(_Line):
    request: Text = ""
    answer: Text = ""
    results: Annotated[list[Text], Field(max_length=1000)] = []
    sources: Annotated[list[_Source], Field(max_length=1000)] = []
    table: Json = None


class _Talk(_Line):
    """What was asked before."""

    turns: Annotated[list[_Turn], Field(max_length=1000)] = []
    summary: Text = ""
    sources: Annotated[list[_Source], Field(max_length=1000)] = []


class _Inputs(_Line):
    """What the run took in from outside before it was planned."""

    today: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")] | None = None
    memories: Annotated[list[Text], Field(max_length=100)] = []
    connections: Annotated[list[Annotated[list[Word], Field(min_length=2, max_length=2)]], Field(max_length=1000)] = []
    tools: Annotated[list[Word], Field(max_length=1000)] | None = None
    planner: Word = ""
    talk: _Talk | None = None
    estimate: Usd | None = None


class _Approval(_Line):
    round: Annotated[int, Field(ge=1, le=1000)]
    decision: Literal["allow", "deny"]
    by: Word = ""
    reason: Text = ""
    plan: Json = None
    step: Word = ""
    question: Text = ""


class _Episode(_Line):
    request: Text
    model: Word = ""
    again: Text = ""
    inputs: _Inputs = _Inputs()
    approvals: Annotated[list[_Approval], Field(max_length=1000)] = []


class _Blob(_Line):
    blob: Hash
    data: str


def episode(content: Any, recordings: Sequence[Recording]) -> Episode:
    """An episode from its line. Raises ValueError (pydantic's ValidationError is one)."""
    line = _Episode.model_validate(content)
    told = line.model_dump(exclude_unset=True)
    return Episode(
        request=line.request,
        model=line.model,
        again=line.again,
        inputs=told.get("inputs", {}),
        approvals=tuple(told.get("approvals", ())),
        recordings=recordings,
    )


def of_episode(made: Episode) -> dict[str, Any]:
    """The content of an episode's line, in the order of its form. Raises ValueError for what has no place there."""
    head: dict[str, Any] = {"request": made.request, "inputs": made.inputs}
    head |= {"model": made.model} if made.model else {}
    head |= {"again": made.again} if made.again else {}
    head |= {"approvals": list(made.approvals)} if made.approvals else {}
    return _Episode.model_validate(head).model_dump(exclude_unset=True)


def of_recording(made: Recording) -> dict[str, Any]:
    """The content of a call's line; a value keeps its own order, in which a model may have been shown it."""
    if made.kind == "model":
        return _Model.model_validate({"asked": made.asked.told(), **made.body}).model_dump(exclude_unset=True)
    step = {"step": made.step} if made.step else {}
    return _Tool.model_validate({"asked": made.asked.told(), **step, **made.body}).model_dump(exclude_unset=True)


def model(content: Any) -> Recording:
    """A model's call from its line. Raises ValueError."""
    line = _Model.model_validate(content)
    return Recording(
        kind="model", asked=_asked(line.asked), body=line.model_dump(exclude={"asked"}, exclude_unset=True)
    )


def tool(content: Any) -> Recording:
    """A tool's call from its line. Raises ValueError."""
    line = _Tool.model_validate(content)
    body = line.model_dump(exclude={"asked", "step"}, exclude_unset=True)
    return Recording(kind="tool", asked=_asked(line.asked), step=line.step, body=body)


def _asked(line: _Asked) -> Fingerprint:
    return Fingerprint(line.sha256, line.parts)


def blob(content: Any) -> dict[str, bytes]:
    """A blob from its line, by its hash. Raises ValueError when it is another's."""
    line = _Blob.model_validate(content)
    data = base64.b64decode(line.data, validate=True)
    if hashlib.sha256(data).hexdigest() != line.blob:
        raise ValueError(f"the blob {line.blob[:12]} is not what its hash says")
    return {line.blob: data}
