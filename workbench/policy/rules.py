"""What the user's settings always allow, ask about, or deny: per tool, host, path, effect and parameter.

    [policy]
    deny  = ["effect:write", "path:private/*"]
    ask   = ["host:*.example.com"]
    allow = ["tool:web_search argument:query", "host:api.open-meteo.com"]

A rule is one or more `subject:pattern`; all of them must hold. `*` stands for any text. Deny goes before ask, and ask
before allow. A project's committed file may add to deny and ask, never to allow.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from workbench.core.provenance import Argument
from workbench.core.settings import Policy
from workbench.core.tools import ToolCall
from workbench.policy.hosts import hosts_of

_PATHS = ("path", "file", "filename", "folder", "directory")
"""A parameter whose name is or ends in one of these names a path."""


class Rules:
    """The rules in force. `project` is its absolute path: paths below it match relative to it as well."""

    def __init__(self, policy: Policy, project: str = "") -> None:
        self._policy = policy
        self._project = project

    def denies(self, call: ToolCall, hosts: Sequence[str] = ()) -> str:
        """The rule that forbids a call, "" when none does. `hosts`: where it really goes, besides what it declares."""
        return self._first(self._policy.deny, call, hosts)

    def asks(self, call: ToolCall) -> str:
        """The rule that has a call asked about, "" when none does."""
        return self._first(self._policy.ask, call, ())

    def allows(self, call: ToolCall, doubtful: Iterable[Argument], hosts: Sequence[str] = ()) -> bool:
        """Whether rules lift every doubt of a call: each doubtful argument is covered, and so is each of its hosts.

        A rule about a host does not cover an effect: that takes one that names the tool or the effect.
        """
        hosts = hosts or hosts_of(call)

        def covered(argument: Argument, host: str) -> bool:
            return any(self._covers(rule, call, argument, host) for rule in self._policy.allow)

        return all(covered(argument, host) for argument in doubtful for host in (hosts or ("",)))

    def _covers(self, rule: str, call: ToolCall, argument: Argument, host: str) -> bool:
        parts = _parts(rule)
        named = {subject for subject, _ in parts}
        if call.tool.effect != "read" and not named & {"tool", "effect"}:
            return False
        if host and not named & {"tool", "host"}:
            return False
        return all(self._holds(subject, pattern, call, (host,), argument) for subject, pattern in parts)

    def _first(self, rules: Sequence[str], call: ToolCall, hosts: Sequence[str]) -> str:
        there = (*hosts_of(call), *hosts)
        for rule in rules:
            if all(self._holds(subject, pattern, call, there, None) for subject, pattern in _parts(rule)):
                return rule
        return ""

    def _holds(
        self, subject: str, pattern: str, call: ToolCall, hosts: Sequence[str], argument: Argument | None
    ) -> bool:
        match subject:
            case "tool":
                values: Iterable[str] = (call.tool.name,)
            case "effect":
                values = (call.tool.effect,)
            case "host":
                values, pattern = (
                    [host.partition(":")[0].lower().rstrip(".") for host in hosts if host],
                    pattern.lower(),
                )
            case "argument":
                values = (argument.name,) if argument is not None else call.params
            case _:
                return any(self._reaches(path, pattern, argument is None) for path in self._paths(call))
        return any(fnmatchcase(value, pattern) for value in values)

    def _reaches(self, path: PurePosixPath, pattern: str, inside: bool) -> bool:
        """Whether a path is one that a pattern means. `inside`: also when it is a folder that such paths lie in, so
        that a tool which may read all of a folder does not slip past a rule about a part of it."""
        names = [str(path)]
        if self._project and path.is_relative_to(self._project):
            names.append(str(path.relative_to(self._project)))
        if any(fnmatchcase(name, pattern) for name in names):
            return True
        fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        return inside and self._absolute(fixed).is_relative_to(path)

    def _absolute(self, path: str) -> PurePosixPath:
        return PurePosixPath(posixpath.normpath(posixpath.join(self._project or "/", path)))

    def _paths(self, call: ToolCall) -> Iterator[PurePosixPath]:
        """Each path that a call names or was granted, absolute."""
        granted = call.tool.permissions
        named = [
            str(value)
            for name, value in call.params.items()
            if isinstance(value, str) and name.lower().split("_")[-1] in _PATHS
        ]
        for path in (*granted.read, *granted.write, *call.reads, *named):
            yield self._absolute(path)


def _parts(rule: str) -> list[tuple[str, str]]:
    pairs = (part.partition(":") for part in rule.split())
    return [(subject, pattern) for subject, _, pattern in pairs]
