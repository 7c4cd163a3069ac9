"""Whether a call may be made as it is: what it does, where its arguments come from, and what the rules say.

A call that changes nothing and tells nobody is free, whatever it is made of. One that has an effect, or sends something
off this machine, is free as long as each argument is the user's: made of the words of their request, or planned from
the request alone. What was planned after a stranger's text was read, and what a step brought from elsewhere, is not.
An effect that was planned after that asks even when its arguments are the user's words: a file they named and a word
they wrote are enough to overwrite the one with the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from workbench.core.artifacts import Artifact
from workbench.core.provenance import Argument, Source, SourceKind, Sources, untrusted
from workbench.core.tools import ANY_HOST, ToolCall, ToolSpec
from workbench.policy.hosts import hosts_of
from workbench.policy.rules import Rules
from workbench.policy.words import Wording
from workbench.sandbox.base import Level

_LOCAL = frozenset({"model", "model.complete", "memory", "memory.recall", "http.door"})
_ROWS = frozenset({SourceKind.USER, SourceKind.FRAME, SourceKind.DESCRIPTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is to be done with a call. `why` is a line for the person; `doubtful` are the arguments that are not theirs;
    `where` is where those go or what they do."""

    answer: Literal["allow", "ask", "deny"]
    why: str = ""
    doubtful: tuple[Argument, ...] = ()
    where: tuple[str, ...] = ()


FREE = Judgement(answer="allow")


def judge(call: ToolCall, wording: Wording, rules: Rules, level: Level, servers: Collection[str] = ()) -> Judgement:
    """What is to be done with a tool call whose references are resolved, at the isolation in force. `servers`: named
    connections that lead to another machine.

    A tool that runs what it is told, and therefore needs the level `kernel`, can do anything where the user has it run
    below: there it has an effect, whatever it declares.
    """
    unconfined = call.tool.isolation == "kernel" and level not in ("kernel", "namespace")
    if unconfined:
        call = replace(call, tool=replace(call.tool, effect="write"))
    if rule := rules.denies(call):
        return Judgement(answer="deny", why=f'your settings deny "{rule}"')
    server = _server(call, servers)
    where = (*_where(call), *([f"the database {server}"] if server else []))
    if rule := rules.asks(call):
        return Judgement(answer="ask", why=f'your settings ask about "{rule}"', doubtful=call.arguments, where=where)
    if not where:
        return FREE
    doubtful = tuple(_doubts(call, wording, server if not destinations(call.tool) else ""))
    if not doubtful or rules.allows(call, doubtful):
        return FREE
    why = _why(call.tool)
    if unconfined:
        why = f"{call.tool.name} runs what it is told and nothing confines it (isolation {level}); this is not yours"
    return Judgement(answer="ask", why=why, doubtful=doubtful, where=where)


def stays(service: str) -> bool:
    """Whether a host function sends nothing to a place of the tool's choice: text goes to the user's own model
    endpoint, SQL to the databases that they named, a cache stays on this machine, and opening a door sends nothing yet.
    What these give is a stranger's all the same. Every other function, and every new one, is judged."""
    return service.partition(".")[0] in ("sql", "cache") or service in _LOCAL


def destinations(tool: ToolSpec) -> tuple[str, ...]:
    """Where arguments of a tool go and what it changes, in words; empty when it tells nobody and changes nothing."""
    if tool.runs == "server":
        return (f"the server {tool.path}, which nothing confines",)
    found = ["any public host" if host == ANY_HOST else host for host in tool.permissions.network] or [
        f"the host function {service}" for service in _away(tool)
    ]
    if tool.permissions.secrets and not found:
        found.append(f"what {', '.join(tool.permissions.secrets)} opens")
    if "memory.write" in tool.uses or ("memory" in tool.uses and tool.effect != "read"):
        found.append("the memory")
    found += [f"files in {folder}" for folder in tool.permissions.write]
    if tool.effect != "read" and not found:
        found.append("this kernel, where nothing confines it" if tool.runs == "kernel" else "this machine")
    return tuple(found)


def _where(call: ToolCall) -> tuple[str, ...]:
    """The same for one call: of a tool that may reach any host, those that this call names."""
    named = replace(call.tool.permissions, network=hosts_of(call))
    return destinations(replace(call.tool, permissions=named))


def leaves_machine(tool: ToolSpec) -> bool:
    """Whether a tool can send something off this machine."""
    return tool.runs == "server" or bool(tool.permissions.network or tool.permissions.secrets or _away(tool))


def _away(tool: ToolSpec) -> list[str]:
    return [service for service in tool.uses if not stays(service) and service != "memory.write"]


def acts(tool: ToolSpec) -> bool:
    """Whether a tool changes something, if only what is remembered."""
    return tool.effect != "read" or "memory.write" in tool.uses or bool(tool.permissions.write)


def reaches(call: ToolCall) -> Sources:
    """Where a tool gets something from by what it declares, beyond its parameters and host functions."""
    tool = call.tool
    found = {Source(kind=SourceKind.WEB, label=host) for host in hosts_of(call)}
    files = (*tool.permissions.read, *tool.permissions.write, *call.reads)
    found |= {Source(kind=SourceKind.FILE, label=path) for path in files}
    if any(service.partition(".")[0] == "sql" for service in tool.uses):
        found.add(Source(kind=SourceKind.DATABASE, label=str(call.params.get("connection") or "")))
    if tool.origin != "shipped":
        found.add(Source(kind=SourceKind.TOOL, label=tool.name))
    return frozenset(found)


def _why(tool: ToolSpec) -> str:
    if not leaves_machine(tool):
        return f"{tool.name} changes something, and this does not come from your request"
    effect = " and changes something" if acts(tool) else ""
    return f"{tool.name} sends this off this machine{effect}, and it does not come from your request"


def _server(call: ToolCall, servers: Collection[str]) -> str:
    """The connection to another machine that a call is for, "" when it is for none."""
    name = str(call.params.get("connection") or "")
    return name if name in servers and any(service.partition(".")[0] == "sql" for service in call.tool.uses) else ""


def _foreign(argument: Argument, server: str) -> list[Source]:
    """The sources of an argument that it may not carry along. To the user's own database `server` goes what came from
    there, and what was written knowing their tables; what came from elsewhere is not carried there unseen."""
    found = untrusted(argument.sources)
    if not server:
        return found
    found = [source for source in found if (source.kind, source.label) != (SourceKind.DATABASE, server)]
    return found if argument.refs else [source for source in found if source.kind not in _ROWS]


def _doubts(call: ToolCall, wording: Wording, server: str) -> Iterator[Argument]:
    """The arguments that are not the user's; where none is a sign of their will, the step itself."""
    signs = False
    for argument in call.arguments:
        if _is_default(argument, call.tool) or _is_choice(argument, call.tool) or argument.value is None:
            continue
        if not _foreign(argument, server) or (
            wording.has(argument.value, in_order=acts(call.tool)) and _may_be_worded(argument, call.tool)
        ):
            signs = True
        elif _is_rows(argument, call.tool):
            signs = signs or any(wording.has(ref, in_order=True) for ref in argument.refs if ref.startswith("@"))
        else:
            signs = True  # asked about anyway
            yield argument
    if call.context:
        steps = ", ".join(name for name, _, _ in call.context)
        yield Argument(path="/", value=f"(the results of {steps})", sources=call.sources, refs=("context",))
    if acts(call.tool) and not signs and untrusted(call.sources):
        yield Argument(path="/", value="(the step itself)", sources=call.sources)


def _may_be_worded(argument: Argument, tool: ToolSpec) -> bool:
    """Whether the user's words make an argument theirs. For an effect they do while the planner has seen no more than
    the request, their tables and what tools say of themselves."""
    return not acts(tool) or all(source.kind in _ROWS for source in argument.sources)


def _is_default(argument: Argument, tool: ToolSpec) -> bool:
    """Whether a parameter has the value that it has when it is left out."""
    declared = tool.params.get("properties", {}).get(argument.name, {})
    return argument.path.count("/") == 1 and "default" in declared and _same(declared["default"], argument.value)


def _is_choice(argument: Argument, tool: ToolSpec) -> bool:
    """Whether a parameter of a shipped tool has one of the few values that the tool knows: all of them are meant well,
    and none says more than its number. Another's tool may have a choice between reading and deleting."""
    declared = tool.params.get("properties", {}).get(argument.name, {})
    return tool.origin == "shipped" and argument.path.count("/") == 1 and argument.value in declared.get("enum", ())


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _is_rows(argument: Argument, tool: ToolSpec) -> bool:
    """Whether an argument is a table, a picture or a number made of the user's own rows, for a tool that keeps it on
    this machine. Text is not: what a cell says may be meant to be obeyed, and a memory is read by later plans."""
    if leaves_machine(tool) or "the memory" in destinations(tool):
        return False
    own = all(source.kind in _ROWS for source in argument.sources)
    number = isinstance(argument.value, int | float) and not isinstance(argument.value, bool)
    return bool(argument.refs) and own and (number or isinstance(argument.value, Artifact))
