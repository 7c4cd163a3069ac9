"""What a replay needs of one run, taken from the run's events: what it took in, and each call with what came back.

Ids, times, paths and addresses are left out, so that the same work gives the same episode. A table or a picture stands
in a value as `{"$blob": sha256, "as": "frame" | "image" | "sound", "title", "alt"}`; `files` says where
the bytes lie.

A result is told in two events, which belong together by its hash: `tool.called` has what was asked, `step.done` (of one
item of a foreach, `item.done`) has what came back. What a tool sent out and what it asked a model is `inside` its call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.core.artifacts import KINDS, Artifact, find, from_json
from workbench.core.artifacts import replace as replace_files
from workbench.core.events import AnyEvent
from workbench.core.fingerprint import Fingerprint, read
from workbench.core.provenance import SourceKind
from workbench.core.tools import by_content, digest

BLOB = "$blob"
INSIDE = ("service.called", "model.called")
"""Kinds of event that tell what a tool did through host functions, and that a replay tells again."""
_OF_A_REPLY = ("purpose", "model", "request_sha256", "tokens_in", "tokens_out", "usd", "finish", "error", "blind")
_OF_A_SERVICE = (
    *("service", "host", "method", "status", "bytes_out", "bytes_in", "request_sha256", "occurrence"),
    *("response_sha256", "response", "models", "error"),
)
_OF_MODELS = ("model.", "image.", "audio.")
"""Services that ask the user's own models: their host is an address."""
_STATUS = {"Denied": "denied", "BudgetExceeded": "exceeded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One call and what came back. `step`: of the tool call, "" for a call of a planner's model."""

    kind: Literal["model", "tool"]
    asked: Fingerprint
    body: Mapping[str, Any]
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One run as a replay needs it. `model`: the one that the request named, "" when it named none. `again`: how it
    goes back to an earlier run (see the function), "" for a request of its own. `inputs`: body of the event `inputs`.
    `approvals`: bodies of the answers about rounds, with the `plan` where a person has changed it, and about steps in
    doubt. `files`: sha256 → path below artifacts/."""

    request: str
    model: str = ""
    again: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    recordings: Sequence[Recording] = ()
    approvals: Sequence[Mapping[str, Any]] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def blobs(self) -> list[str]:
        """The hashes of all that lies outside of the episode, each once."""
        found = dict.fromkeys(_blobs_in(self.inputs))
        found |= dict.fromkeys(name for one in self.recordings for name in _blobs(one.body))
        return list(found)


def episode(events: Iterable[AnyEvent]) -> Episode:
    """The episode of one run's events, in their order. Calls that never ended are left out."""
    events = list(events)
    bodies = {str(event.kind): event.body for event in reversed(events)}  # the first of each kind
    files: dict[str, str] = {}
    inputs = dict(bodies.get("inputs", {}))
    inputs.pop("quoted", None)  # like a table: what is there when the run is replayed is what counts
    if "talk" in inputs and (talk := _value(inputs["talk"], files)) is not _UNKNOWN:
        inputs["talk"] = talk
    return Episode(
        request=str(bodies.get("run.started", {}).get("request", "")),
        model=str(inputs.pop("asked_model", "") or ""),
        again=again(events),
        inputs=inputs,
        recordings=tuple(_recordings(events, files)),
        approvals=tuple(_answers(events)),
        files=files,
    )


RESUMED = "resumed"


def again(events: Iterable[AnyEvent], *, resumed: bool = False) -> str:
    """How a run goes back to an earlier one: "rerun from s2", "resumed", both, or "" when it does not. `resumed`: it is
    about to be."""
    said = []
    for event in events:
        if event.kind == "run.started" and "parent" in event.body:
            said.append(rerun(str(event.body.get("changed", ""))))
        resumed = resumed or event.kind == "run.resumed"
    return ", ".join([*said, RESUMED] if resumed else said)


def rerun(changes: str) -> str:
    """How a run that repeats another with these changes is called."""
    return f"rerun {changes}".strip()


def _answers(events: Iterable[AnyEvent]) -> Iterator[dict[str, Any]]:
    """What was said to rounds of steps, with the plan that a person has made of one, and of steps of which nobody knew
    whether they had acted."""
    plan: Any = None
    for event in events:
        if event.kind == "plan.edited":
            plan = event.body.get("plan")
        if event.kind != "approval" or "params_sha256" in event.body:
            continue
        if event.step is None and "tool" not in event.body:
            told = _only(event.body, ("round", "decision", "by", "reason"))
            yield told if plan is None else told | {"plan": plan}
            plan = None
        elif event.step is not None and "question" in event.body:
            yield {"step": event.step, **_only(event.body, ("round", "decision", "by", "reason", "question"))}


def _recordings(events: Sequence[AnyEvent], files: dict[str, str]) -> Iterator[Recording]:
    ends, newest = _Ends(events), _attempts(events)
    inside: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        step = event.step or ""
        if event.kind == "model.called" and not step:
            if (asked := read(event.body.get("asked"))) is not None:
                yield Recording(kind="model", asked=asked, body=_reply(event.body))
        elif event.kind in INSIDE and step:
            inside.setdefault(step, []).append({"kind": str(event.kind), "body": _told_inside(event, files)})
        elif event.kind == "tool.called":
            sent, asked = inside.pop(step, []), read(event.body.get("asked"))
            if event.attempt < newest[_place(event)]:
                continue  # it was made once more: who asks anew gets what came of it in the end
            if asked is not None and (body := ends.of(event, files)) is not None:
                yield Recording(kind="tool", asked=asked, step=step, body=body | ({"inside": sent} if sent else {}))


def _attempts(events: Iterable[AnyEvent]) -> dict[tuple[Any, ...], int]:
    """The last attempt in which each place of a plan was called."""
    found: dict[tuple[Any, ...], int] = {}
    for event in events:
        if event.kind == "tool.called":
            found[_place(event)] = max(event.attempt, found.get(_place(event), 0))
    return found


def _place(event: AnyEvent) -> tuple[Any, ...]:
    return event.step, event.body.get("item"), event.body.get("entry")


def _reply(body: Mapping[str, Any]) -> dict[str, Any]:
    return {**priced(body), "text": body.get("reply")}


def priced(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a `model.called` says of a model, its tokens and its price, wherever and whenever it was asked."""
    return _only(body, _OF_A_REPLY)


def _told_inside(event: AnyEvent, files: dict[str, str]) -> dict[str, Any]:
    body = event.body
    if event.kind == "model.called":
        return priced(body)
    kept = _only(body, _OF_A_SERVICE)
    if str(body.get("service")).startswith(_OF_MODELS):
        kept.pop("host", None)
    if "kept" in body:
        files[str(body["response_sha256"])] = str(body["kept"])
        kept["kept"] = True
    return kept


class _Ends:
    """How the tries of each step ended, by the hash of the result."""

    def __init__(self, events: Sequence[AnyEvent]) -> None:
        self._done: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        self._failed: dict[str, list[Mapping[str, Any]]] = {}
        for event in events:
            step = event.step or ""
            if event.kind in ("step.done", "item.done"):
                result = {"status": "ok", "value": by_content(from_json(event.body.get("value"))), "error": ""}
                self._done.setdefault((step, digest(result)), []).append(event.body)
            elif event.kind in ("step.failed", "item.failed"):
                self._failed.setdefault(step, []).append(event.body)

    def of(self, called: AnyEvent, files: dict[str, str]) -> dict[str, Any] | None:
        """The result of a try as a recording keeps it; None when it never came, or cannot be kept."""
        body, step = called.body, called.step or ""
        if body.get("status") == "ok":
            ends = self._done.get((step, str(body.get("response_sha256"))))
            end = (ends.pop(0) if len(ends) > 1 else ends[0]) if ends else None
            if end is None or (value := _value(end.get("value"), files)) is _UNKNOWN:
                return None
            more = {"text": end.get("text"), "sources": list(end.get("sources", ())), "reached": _reached(called, end)}
            return {"status": "ok", "value": value, **{name: item for name, item in more.items() if item}}
        failure = body.get("failure")
        if not isinstance(failure, Mapping) or body.get("status") == "cancelled":
            return None
        failed = self._failed.get(step) or [{}]
        error = failed[-1].get("error") or {}
        status = _STATUS.get(str(error.get("kind")), body.get("status"))
        if status != body.get("status"):  # policy has said so, after the tool had failed
            failure = {**failure, "error": error.get("message", ""), "hint": error.get("hint", "")}
        more = {**failure, "reached": _reached(called, failed[-1])}
        return {"status": status, **{name: item for name, item in more.items() if item not in (None, "", [])}}


_UNKNOWN = object()


def _value(told: Any, files: dict[str, str]) -> Any:
    """A told value with its files as blobs; `_UNKNOWN` when one of them is of a kind that cannot come back."""
    value = from_json(told)
    for file in find(value):
        if file.mime not in KINDS:
            return _UNKNOWN
        files[file.sha256] = file.path
    return replace_files(value, _as_blob)


def _as_blob(file: Artifact) -> dict[str, Any]:
    return {BLOB: file.sha256, "as": KINDS[file.mime], "title": file.title, "alt": file.alt}


def _reached(called: AnyEvent, end: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """What the tool itself reached, of all that its result is made of. Of a file only the name is kept. A call that was
    itself replayed says it: the record that it came from is no part of what is recorded."""
    if "reached" in called.body:
        return list(called.body["reached"])
    own = (source for source in end.get("provenance", ()) if source.get("step") == called.step)
    found = {(str(source.get("kind")), _label(source)) for source in own}
    return [{"kind": kind, "label": label} for kind, label in sorted(found)]


def _label(source: Mapping[str, Any]) -> str:
    label = str(source.get("label", ""))
    is_path = source.get("kind") == SourceKind.FILE and label.startswith(("/", "\\"))
    return label.replace("\\", "/").rpartition("/")[2] if is_path else label


def _blobs(body: Mapping[str, Any]) -> Iterator[str]:
    yield from _blobs_in(body.get("value"))
    for told in body.get("inside", ()):
        if told["body"].get("kept"):
            yield str(told["body"]["response_sha256"])


def _blobs_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if BLOB in value:
            yield str(value[BLOB])
        else:
            for item in value.values():
                yield from _blobs_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _blobs_in(item)


def _only(body: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The named fields that say something: None is what a reader takes for one that is not there."""
    return {name: body[name] for name in names if body.get(name) is not None}
