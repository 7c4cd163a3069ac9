"""The gate that every tool call of a run goes through, and every host function that is called inside of one.

It judges (`policy.taint`), asks where it must, one question at a time and each one once, and remembers what a running
tool has received: what a tool got from one place it may not carry to another unseen. A value of a secret leaves in no
call, whoever says yes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from workbench.core.errors import Denied
from workbench.core.events import Event, Kind
from workbench.core.plan import Plan
from workbench.core.provenance import NONE, Argument, Source, SourceKind, Sources, to_json, untrusted
from workbench.core.tools import ToolCall, ToolResult, ToolSpec, digest
from workbench.policy.approval import Approver, Asked, AskedCall, Decision, Field, nobody, shown
from workbench.policy.rules import Rules
from workbench.policy.taint import Judgement, acts, destinations, judge, leaves_machine, reaches, stays
from workbench.policy.words import Wording, leaves, visible
from workbench.sandbox.base import Level, Service

Tell = Callable[[Kind, Mapping[str, Any], str], Event]
_Call = tuple[str, int | None, int]
"""Step, item and try."""

MAX_RECORDED = 300
"""Characters of a value that the record of a question keeps."""


_STAYS_HERE = frozenset({"auth", "cut", "raw"})
"""Parameters of `http` that are not sent: the name of a secret, which the host adds, and what is done with the
answer."""


class Gate:
    """The gate of one run.

    `words` are those of the request that are the user's own, by default all. `redact` takes the values of secrets out
    of a text, `holds_key` finds them; `level` is the isolation in force; `durable` is awaited before a question, for a
    person may take their time. `servers` are named connections that lead to another machine. `first_use` gives what a
    tool may do and was not seen to do before: it is told at the step.
    """

    def __init__(
        self,
        *,
        run: str,
        request: str,
        words: str | None = None,
        rules: Rules,
        redact: Callable[[str], str],
        holds_key: Callable[[str], bool],
        level: Callable[[], Level],
        tell: Tell,
        approver: Approver | None = None,
        durable: Callable[[], Awaitable[None]],
        servers: Collection[str] = (),
        first_use: Callable[[ToolSpec], Sequence[str]] = lambda tool: (),
    ) -> None:
        self._run = run
        self._request = request
        self._wording = Wording(request if words is None else words)
        self._rules = rules
        self._redact = redact
        self._holds_key = holds_key
        self._level = level
        self._tell = tell
        self._approver = approver or nobody
        self._durable = durable
        self._servers = servers
        self._first_use = first_use
        self._turn = asyncio.Lock()
        self._answers: dict[str, Denied | None] = {}
        self._inside: dict[_Call, _Inside] = {}
        self._plan = Plan.model_construct(steps=())
        self._round = 1
        self._difference: Sequence[str] = ()

    def enter(self, plan: Plan, number: int, difference: Sequence[str] = ()) -> None:
        """The calls that follow are those of this round's plan."""
        self._plan, self._round, self._difference = plan, number, difference

    async def admit(self, call: ToolCall) -> Denied | None:
        """None when the call may be made, else why not. Asks the approver where it must."""
        if destinations(call.tool) and self._leaks(call.params):
            return _leak(call.tool.name)
        judged = judge(call, self._wording, self._rules, self._level(), self._servers)
        asked = call.request_sha256()
        if call.context:  # what else the tool would see belongs to the question
            asked = digest([asked, [step for step, _, _ in call.context]])
        if call.approve and judged.answer == "allow":
            why = f"the plan asks before {call.tool.name} is called"
            judged = Judgement(answer="ask", why=why, doubtful=call.arguments, where=destinations(call.tool))
        if call.approve:  # each such step is a question of its own
            asked = digest([asked, call.step, call.item])
        denied = await self._settle(call, judged, asked)
        if denied is None:
            if new := self._first_use(call.tool):
                self._tell(Kind.STEP_PROGRESS, {"text": f"for the first time here: {', '.join(new)}"}, call.step)
            self._inside[_one(call)] = _Inside(call, reaches(call))
        return denied

    def leave(self, call: ToolCall, result: ToolResult) -> ToolResult:
        """The result with all that its call reached; one that failed for a no is told as denied."""
        inside = self._inside.pop(_one(call), None)
        if inside is None:
            return result
        if inside.denied is not None and result.status == "failed":
            result = replace(result, status="denied", error=inside.denied.message, hint=inside.denied.hint)
        return replace(result, reached=result.reached | reaches(call) | inside.received)

    def guard(self, name: str, service: Service, call: ToolCall) -> Service:
        """A host function of one call, judged when it is called and remembered for what it gives."""

        async def guarded(params: Mapping[str, Any]) -> Any:
            inside = self._inside.get(_one(call))
            if inside is None:
                raise Denied(f"{call.tool.name} is not running.")
            denied = await self._admit_service(inside, name, params)
            if denied is not None:
                inside.denied = denied
                raise denied
            try:
                return await service(params)
            finally:  # an error may say something too
                inside.received |= received_from(name, params)

        return guarded

    async def _admit_service(self, inside: _Inside, name: str, params: Mapping[str, Any]) -> Denied | None:
        call = inside.call
        if self._leaks(params):
            return _leak(call.tool.name)
        other = str(params.get("connection") or "") if name == "sql.open" else ""
        elsewhere = other in self._servers and other != call.params.get("connection")
        if stays(name) and not elsewhere:
            return None
        hosts = (host,) if name == "http" and (host := _host(params)) else ()
        if rule := self._rules.denies(call, hosts):
            return _denied(call, f'your settings deny "{rule}"', "policy")
        sources = inside.foreign(name, hosts)
        if not sources:
            return None
        said = {key: value for key, value in params.items() if key not in _STAYS_HERE}
        doubtful = [
            Argument(path=f"/{key}", value=value, sources=sources)
            for key, value in said.items()
            if elsewhere or not all(self._is_known(inside, leaf) for leaf in leaves(value))
        ]
        if not doubtful or self._rules.allows(call, doubtful, hosts):
            return None
        why = f"{call.tool.name} calls {name} after it received something that does not come from your request"
        judged = Judgement(answer="ask", why=why, doubtful=tuple(doubtful), where=hosts or (name,))
        return await self._settle(call, judged, digest([call.tool.version, name, params]))

    def _is_known(self, inside: _Inside, value: Any) -> bool:
        """Whether a value is the user's, was admitted as a parameter of the call, or stands in the tool's own file."""
        if value is None or isinstance(value, bool) or value in ("", {}, []):
            return True
        if self._wording.has(value, in_order=acts(inside.call.tool)):
            return True
        if inside.is_judged and value in inside.admitted:
            return True
        return isinstance(value, str) and json.dumps(value)[1:-1].encode() in inside.call.tool.source

    async def _settle(self, call: ToolCall, judged: Judgement, digest_of_call: str) -> Denied | None:
        if judged.answer == "allow":
            return None
        if judged.answer == "deny":
            return _denied(call, judged.why, "policy")
        # What is written once more is another effect: there a yes is for one step. A no is for all of them.
        this = digest([digest_of_call, call.step]) if call.tool.effect == "write" else digest_of_call
        async with self._turn:  # first come, first asked
            for known in (digest_of_call, this):
                if known in self._answers:
                    return self._answers[known]
            denied = await self._ask(call, judged, digest_of_call)
            self._answers[this if denied is None else digest_of_call] = denied
            return denied

    async def _ask(self, call: ToolCall, judged: Judgement, digest_of_call: str) -> Denied | None:
        await self._durable()
        about = AskedCall(
            step=call.step,
            tool=call.tool.name,
            version=call.tool.version,
            params_sha256=digest_of_call,
            effect=call.tool.effect,
            why=judged.why,
            where=judged.where,
            arguments=judged.doubtful,
        )
        asked = Asked(
            run=self._run,
            request=self._request,
            plan=self._plan,
            round=self._round,
            difference=self._difference,
            call=about,
        )
        decision = await self._approver(asked)
        self._tell(Kind.APPROVAL, self._said(about, decision), call.step)
        if decision.answer == "allow":
            return None
        return _denied(call, judged.why, decision.by, decision.reason)

    def _said(self, about: AskedCall, decision: Decision) -> dict[str, Any]:
        """The body of the event that keeps a decision."""
        return {
            "decision": decision.answer,
            "by": decision.by,
            "reason": decision.reason,
            "round": self._round,
            "tool": about.tool,
            "version": about.version,
            "params_sha256": about.params_sha256,
            "question": about.why,
            "where": list(about.where),
            "arguments": [
                {
                    "path": part.path,
                    "value": self._redact(shown(part.value))[:MAX_RECORDED],
                    "sources": to_json(part.sources),
                }
                for part in about.arguments
            ],
        }

    async def put(self, call: ToolCall, question: str, server: str, fields: Sequence[Field]) -> Decision:
        """What the person says to a question that a server asks while it serves a call. A value of a key that they
        filled in is not handed over."""
        await self._durable()
        about = AskedCall(
            step=call.step,
            tool=call.tool.name,
            version=call.tool.version,
            params_sha256=digest([question, [one.name for one in fields]]),
            effect=call.tool.effect,
            why=visible(question),
            where=(f"the MCP server {server}",),
            arguments=(),
        )
        asked = Asked(
            run=self._run, request=self._request, plan=self._plan, round=self._round, call=about, fields=fields
        )
        async with self._turn:
            decision = await self._approver(asked)
        if self._leaks(list(decision.filled.values())):
            decision = Decision(answer="deny", by="policy", reason="What was filled in holds the value of a key.")
        self._tell(Kind.APPROVAL, self._said(about, decision), call.step)
        return decision

    def refuse(self, call: ToolCall, why: str) -> None:
        """Put on record, and show at the step, that a server's question was not put to anybody."""
        line = self._redact(visible(why))
        body = {"decision": "deny", "by": "policy", "reason": line, "round": self._round, "tool": call.tool.name}
        self._tell(Kind.APPROVAL, body | {"version": call.tool.version, "question": line}, call.step)
        self._tell(Kind.STEP_PROGRESS, {"text": f"not answered: {line}"}, call.step)

    def _leaks(self, params: Any) -> bool:
        """Whether parameters hold the value of a secret, in any of its forms."""
        return any(self._holds_key(_text(value)) for value in leaves(params))


class _Inside:
    """A call while it runs: what its tool has received so far, and the last no that it heard."""

    def __init__(self, call: ToolCall, reached: Sources) -> None:
        self.call = call
        self.received = frozenset(source for source in reached if source.kind is not SourceKind.WEB)
        self.denied: Denied | None = None
        self.is_judged = bool(destinations(call.tool))
        self.admitted = [value for part in call.arguments for value in leaves(part.value)]

    def foreign(self, name: str, hosts: Sequence[str]) -> Sources:
        """What a call of a host function could carry away unseen: all that the tool has that was not admitted, but for
        what came from the very host that it goes to. The tool's own files were admitted with the tool."""
        heard = self.received - reaches(self.call) | {s for s in self.received if s.kind is SourceKind.WEB}
        if not self.is_judged or (name != "memory.write" and not leaves_machine(self.call.tool)):
            heard |= self.call.sources
        return frozenset(
            source for source in untrusted(heard) if not (source.kind is SourceKind.WEB and source.label in hosts)
        )


def received_from(service: str, params: Mapping[str, Any]) -> Sources:
    """What an answer of a host function is made of."""
    match service.partition(".")[0]:
        case "http":
            if service != "http":  # opening a door brings nothing; what comes through it is told as `http`
                return NONE
            kind, label = SourceKind.WEB, _host(params)
        case "memory":
            if service == "memory.write":
                return NONE
            kind, label = SourceKind.MEMORY, ""
        case "model" | "image" | "audio":
            kind, label = SourceKind.MODEL, str(params.get("model") or "")
        case "cache":  # what the same tool has kept of what it reached before
            kind, label = SourceKind.FILE, "cache"
        case "sql":
            kind, label = SourceKind.DATABASE, str(params.get("connection") or params.get("database") or "")
        case _:
            kind, label = SourceKind.TOOL, service
    return frozenset({Source(kind=kind, label=label)})


def _one(call: ToolCall) -> _Call:
    """What tells a call that is under way from every other of the run."""
    return call.step, call.item, call.attempt


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _host(params: Mapping[str, Any]) -> str:
    try:
        return (urlsplit(str(params.get("url", ""))).hostname or "").lower()
    except ValueError:
        return ""


def _denied(call: ToolCall, why: str, by: str, reason: str = "") -> Denied:
    if by == "policy":
        return Denied(f"{call.tool.name} was not called: {why}.", hint="No option changes this; your settings do.")
    rule = f'[policy] allow = ["tool:{call.tool.name}"] in your config.toml'
    if by == "headless":
        hint = (
            "--yes approves without asking."
            if call.approve
            else f"--yes approves without asking; {rule} allows it for good."
        )
        return Denied(f"nobody is there to be asked: {why}.", hint=hint)
    return Denied(f"{call.tool.name} was not approved. {reason}".strip(), hint=f"Ask again, or see {rule}.")


def _leak(tool: str) -> Denied:
    return Denied(f"{tool} was not called: what it would be given holds the value of a key.", hint="Keys never leave.")
