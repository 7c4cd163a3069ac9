"""The one stream that panel, log, metrics, memory, audit and replay read.

An event is a fixed envelope and a JSON body. `seq` counts from 0 within a run and orders it; (run, attempt, seq) names
the event for good. Bodies only ever gain fields. What each kind carries:

    run.started     request, user, session, workspace, isolation, notebook, budget: what the run may use, by what;
                    fresh: it follows nothing said before; inserted: the texts of the request that came from values;
                    asks: whether rounds are to be approved; asked_model: of the request or its persona, ""; memory;
                    of a rerun: parent (a run's id), changed (in words)
                    imported {user, workspace, sha256}: it ran elsewhere and came in a file
    inputs          what the planner is told from outside: today, memories, connections [[name, kind]], tools (names),
                    talk (what was asked before), planner, asked_model: the one that the request names, estimate: US
                    dollars of a usual call of the model, where a price is known; quoted: what the user put beside the
                    request, [{name, what, text, sources, picture: a file below artifacts/}]
    run.resumed     begins a further attempt: by, kept, again, uncertain: ids of steps, an item of one as "s2[0]"
    plan.made       plan (as data), tools: the version of each tool that it names, planner, notes ("read as"), model;
                    round: 1, or later ones that add their steps; sources: what the plan is made of, [{kind, label,
                    step}] as in core.provenance; mends: ids of failed steps, and of those that needed them, in whose
                    place this round's steps are; isolation: the level that is in force (in run.started: the lowest that
                    it can be)
    plan.edited     plan (as data): what runs in place of this round's, as a person has changed it before it ran; round,
                    by, notes (what was changed, in words), tools: as in plan.made; left_out: ids of the steps that
                    are gone; typed {step: [places in its params that they have written, "" for the whole step]}. It
                    stands before the approval that it belongs to
    model.called    purpose, model, endpoint, request_sha256, response_sha256, tokens_in, tokens_out, usd (str | None),
                    finish, seconds, error, messages: what was sent (see models.asked), schema and max_tokens where the
                    call has them; of a planner's also asked {sha256, parts}: what was asked, by content, and reply: the
                    text; replayed: it comes from the record and nothing was sent; blind: pictures were left out,
                    because the model takes none
    tool.defined    a tool that no file holds, before the run may call it: tool, version, origin (cell, server), runs
                    (worker, kernel, server), source: its text, of which version is the sha256
    step.intent     tool, version, effect, params_sha256, sources (what the call is made of): written before the tool is
                    called; identity: what the step computes, see core.recovery; items: of a foreach, how many there are
    step.started    try (1 for the first); item: of a foreach, as in all that is told of a call of one
    step.progress   text
    step.retried    try, error, wait: seconds until the next try
    step.done       value (see core.artifacts), text (what the tool printed), seconds, sources: [{title, url}],
                    provenance: all that the result is made of, [{kind, label, step}];
                    error: where the step failed and its default is the value; by: who said so where no call did
                    (check, user, option); reused: "RUN/STEP" of another run that the result is taken from, and then
                    also tool, identity
    step.failed     error {kind, message, hint}, text, seconds, provenance
    step.skipped    reason; value: where a default stands for the result; error: where it failed and on_error is skip
    step.blocked    by: the ids of the steps that failed
    step.uncertain  reason
    step.cancelled  reason
    item.intent     item (its place in the list, from 0) and what step.intent holds: one call of a foreach
    item.done       item, and what step.done holds; error: where it failed and the default is the value
    item.failed     item, and what step.failed holds; skipped: whether the list goes without it
    item.uncertain  item, reason
    tool.called     audit of one try: tool, version, try, status, request_sha256, response_sha256, seconds, isolation,
                    asked {sha256, parts}: what was asked, by content; failure {error, hint, text, retry_after} when it
                    is not ok; replayed: it comes from the record and nothing was run, reached: from where that came;
                    entry: "check" where the tool was only asked whether it has acted
    service.called  one exchange that a tool sent out: service (http, model.complete, sql.open), host, method, status
                    (of HTTP | None), bytes_out, bytes_in, seconds, request_sha256 (without keys, ports, tokens),
                    occurrence (how often the run had made the same request before), replayed, response_sha256 with
                    response (JSON) or kept (a file below artifacts/), error {kind, message, hint, retry_after} | None;
                    models: bodies of the model.called that it took
    artifact.made   the artifact's fields; without a step a table that was offered: also variable, its name, and
                    sources: what it is made of beyond the user's rows
    memory.written  id, scope {user, workspace, session, persona}, memory_kind, text, source, by (user, tool), pinned,
                    closes: the ids of the memories whose place it takes
    memory.folded   id of the memory that says the same already; text, source, by, user; why (folded, recalled)
    memory.forgotten id
    memory.pinned   id, pinned (false: no longer), user
    conversation.summarised  text, in place of older turns of this notebook; upto: the newest run that it tells of;
                    sources: what the text is made of
    approval        decision (allow, deny), by, reason; of a round of steps: round, difference (lines); of one call:
                    tool, version, params_sha256, question (in words), where, arguments [{path, value (cut), sources}]
    edit.applied    of: the run whose code was written into the project, steps, by, files [{path, before_sha256,
                    after_sha256}] (None where there is no file), request_sha256: of the diffs
    edit.undone     the same, when it was taken back
    cancelled       reason
    budget          reservation, use {calls, tokens, images, seconds, usd}, settled: before a call what is set aside
                    for it, after it what it took; refused: also what, period, limit, used, resets
    run.done        status, error {kind, message, hint} | None, answer {text, planner}, seconds
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

VERSION = 1
_LINE = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=str)


class Kind(StrEnum):
    """The kinds of event; the module's docstring says what each body holds."""

    RUN_STARTED = "run.started"
    INPUTS = "inputs"
    RUN_RESUMED = "run.resumed"
    PLAN_MADE = "plan.made"
    PLAN_EDITED = "plan.edited"
    MODEL_CALLED = "model.called"
    TOOL_DEFINED = "tool.defined"
    STEP_INTENT = "step.intent"
    STEP_STARTED = "step.started"
    STEP_PROGRESS = "step.progress"
    STEP_RETRIED = "step.retried"
    STEP_DONE = "step.done"
    STEP_FAILED = "step.failed"
    STEP_SKIPPED = "step.skipped"
    STEP_BLOCKED = "step.blocked"
    STEP_UNCERTAIN = "step.uncertain"
    STEP_CANCELLED = "step.cancelled"
    ITEM_INTENT = "item.intent"
    ITEM_DONE = "item.done"
    ITEM_FAILED = "item.failed"
    ITEM_UNCERTAIN = "item.uncertain"
    TOOL_CALLED = "tool.called"
    SERVICE_CALLED = "service.called"
    ARTIFACT_MADE = "artifact.made"
    MEMORY_WRITTEN = "memory.written"
    MEMORY_FOLDED = "memory.folded"
    MEMORY_FORGOTTEN = "memory.forgotten"
    MEMORY_PINNED = "memory.pinned"
    CONVERSATION_SUMMARISED = "conversation.summarised"
    APPROVAL = "approval"
    EDIT_APPLIED = "edit.applied"
    EDIT_UNDONE = "edit.undone"
    CANCELLED = "cancelled"
    BUDGET = "budget"
    RUN_DONE = "run.done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every event says of itself. `at`: UTC, ISO 8601 with microseconds. `body` is JSON and never changed."""

    run: str
    seq: int
    at: str
    step: str | None = None
    attempt: int = 1
    v: int = VERSION
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The event's name for good: the same event read twice has the same id."""
        return f"{self.run}/{self.attempt}/{self.seq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Envelope):
    """One thing that happened in a run."""

    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(Envelope):
    """An event of a kind that this version does not know: kept as it is, never dropped."""

    kind: str


AnyEvent = Event | UnknownEvent


def dumps(event: AnyEvent) -> bytes:
    """The event as one line of JSON without the line end. Lone surrogates are escaped, so any text survives."""
    return _LINE.encode(
        {
            "v": event.v,
            "run": event.run,
            "attempt": event.attempt,
            "seq": event.seq,
            "at": event.at,
            "kind": str(event.kind),
            "step": event.step,
            "body": event.body,
        }
    ).encode("ascii")


def loads(line: bytes | str) -> AnyEvent:
    """The event of one line. Raises ValueError when the line is not one."""
    try:
        raw = json.loads(line)
        envelope = {
            "run": str(raw["run"]),
            "seq": int(raw["seq"]),
            "at": str(raw["at"]),
            "step": raw.get("step"),
            "attempt": int(raw.get("attempt", 1)),
            "v": int(raw.get("v", VERSION)),
            "body": raw.get("body") or {},
        }
        kind = str(raw["kind"])
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not an event: {error!r}") from error
    if not isinstance(envelope["body"], Mapping) or not isinstance(envelope["step"], str | None):
        raise ValueError("not an event: its body or its step has the wrong type")
    if not (0 <= envelope["seq"] < 2**63 and 0 <= envelope["attempt"] < 2**31 and 0 <= envelope["v"] < 2**31):
        raise ValueError("not an event: a number is out of range")
    try:
        return Event(kind=Kind(kind), **envelope)
    except ValueError:
        return UnknownEvent(kind=kind, **envelope)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftStep:
    """A step that a model has written down, not checked yet."""

    id: str
    task: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a model has said so far, for those who watch. It is no event: it is kept nowhere, and the whole reply takes
    its place. `purpose` as in model.called; `steps` of a plan that are complete; `text` of an answer."""

    purpose: str
    characters: int
    steps: tuple[DraftStep, ...] = ()
    text: str = ""


Watcher = Callable[[Draft], None]
"""Sees every draft, on the event loop's thread. Must not block; what it raises is only logged."""

Listener = Callable[[AnyEvent], None]
"""Hears every event of a run, in order, on the event loop's thread. Must not block; what it raises is only logged."""


class Stream:
    """The events of one run as they happen: numbers them, stamps them, tells every listener, in that order.

    `now` gives the time as UTC ISO text. `redact` takes secrets out of a body, before anyone has it. When the journal
    raises, the event did not happen and the error goes to the caller. What a listener raises goes to `on_error` and no
    further. `earlier`: the events of earlier attempts, which nobody hears again; numbers go on behind them.
    """

    def __init__(
        self,
        run: str,
        journal: Listener,
        listeners: tuple[Listener, ...] = (),
        *,
        now: Callable[[], str],
        on_error: Callable[[Exception], None] = lambda error: None,
        redact: Callable[[Any], Any] = lambda body: body,
        attempt: int = 1,
        watchers: tuple[Watcher, ...] = (),
        earlier: Sequence[Event] = (),
    ) -> None:
        self.run = run
        self.attempt = attempt
        self.events: list[Event] = list(earlier)
        self._next = max((event.seq for event in earlier), default=-1) + 1
        self._journal = journal
        self._listeners = listeners
        self._now = now
        self._on_error = on_error
        self._redact = redact
        self._watchers = watchers

    def repeat(self, listeners: Iterable[Listener]) -> None:
        """Let these hear the events that there are."""
        for event in self.events:
            self._hear(event, listeners)

    @property
    def watched(self) -> bool:
        """Whether anybody looks at drafts."""
        return bool(self._watchers)

    def draft(self, draft: Draft) -> None:
        """Show what a model has said so far."""
        for watcher in self._watchers:
            try:
                watcher(draft)
            except Exception as error:  # noqa: BLE001 - as of listeners
                self._on_error(error)

    def tell(self, kind: Kind, body: Mapping[str, Any] | None = None, *, step: str | None = None) -> Event:
        """The event, after the journal has taken it and everyone has heard it."""
        event = Event(
            run=self.run,
            seq=self._next,
            at=self._now(),
            kind=kind,
            step=step,
            attempt=self.attempt,
            body=self._redact(body or {}),
        )
        self._journal(event)
        self._next += 1
        self.events.append(event)
        self._hear(event, self._listeners)
        return event

    __call__ = tell

    def _hear(self, event: Event, listeners: Iterable[Listener]) -> None:
        for listener in listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - a broken listener must not cost the run
                self._on_error(error)
