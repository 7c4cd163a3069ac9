"""Finds the personas: Markdown files with front matter, of ours, of plug-ins, of the user and of the project.

    ---
    summary: Answers with figures first.
    tools: query_data, plot, time.*       names or patterns; without this line all
    model: gpt-4o-mini                    not in a file of a project
    memory: own                           shared (as without a persona), own, none
    budget: usd=0.5, calls=20             what one request may use
    ---
    Give the number first, then how it was found.

One of the user stands in for a shipped one of its name. One of the project only narrows: it takes away from the one of
its name, or from what there is, may not choose a model, and does nothing before the user has trusted it.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from workbench.core import budget
from workbench.core.errors import Refused, Unavailable, Untrusted
from workbench.core.persona import MemoryScope, Persona
from workbench.registry.plugged import files, plain_files
from workbench.registry.trust import Trust

Origin = Literal["shipped", "plug-in", "user", "project"]
MAX_BYTES = 100_000
SHIPPED = Path(__file__).parent / "shipped_personas"
_KEYS = ("summary", "tools", "model", "memory", "budget")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_LINE = re.compile(r"([A-Za-z_]+)[ \t]*:(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPersonas:
    """`personas` may be used. `untrusted`: name → file of the project that waits for trust. `problems` are lines."""

    personas: Mapping[str, Persona]
    untrusted: Mapping[str, Path]
    problems: tuple[str, ...] = ()

    def get(self, name: str) -> Persona:
        """The persona of that name. Raises Untrusted when the project has a say in it that nobody has read, else
        Refused."""
        if name in self.untrusted:
            path = self.untrusted[name]
            raise Untrusted(f"The persona {name} of this project is not trusted.", hint=_trust_hint(path))
        if name in self.personas:
            return self.personas[name]
        near = difflib.get_close_matches(name, list(self.personas), n=1)
        said = f"; did you mean {near[0]}?" if near else f". There are: {', '.join(self.personas) or 'none'}."
        told = next((line for line in self.problems if f"/{name}.md" in line), "`workbench personas` lists them.")
        raise Refused(f"There is no persona {name}{said}", hint=told)


def find(project: Path, config: Path, shipped: Path = SHIPPED) -> FoundPersonas:
    """Every persona there is for a project. Never raises for what lies in the folders."""
    problems: list[str] = []
    personas: dict[str, Persona] = {}
    nearer: tuple[tuple[Origin, Iterator[Path]], ...] = (
        ("shipped", plain_files(shipped, ".md")),
        ("plug-in", files("workbench.personas", ".md", problems)),
        ("user", plain_files(config / "personas", ".md")),
    )
    for origin, paths in nearer:
        personas |= {persona.name: persona for _, persona, _ in _readable(paths, origin, problems)}
    trust = Trust(config, project)
    untrusted: dict[str, Path] = {}
    for path, persona, sha256 in _readable(plain_files(project / "personas", ".md"), "project", problems):
        if not _is_pinned(trust, persona.name, sha256, problems):
            untrusted[persona.name] = path
        else:
            base = personas.get(persona.name)
            personas[persona.name] = base.narrowed(persona) if base else persona
    return FoundPersonas(
        personas=dict(sorted(personas.items())), untrusted=untrusted, problems=tuple(dict.fromkeys(problems))
    )


def _is_pinned(trust: Trust, name: str, sha256: str, problems: list[str]) -> bool:
    try:
        return trust.is_pinned(f"persona {name}", sha256)
    except Unavailable as error:
        problems.append(str(error))
        return False


def _trust_hint(path: Path) -> str:
    return f"Read it, then: workbench trust {path}"


def _readable(paths: Iterator[Path], origin: Origin, problems: list[str]) -> Iterator[tuple[Path, Persona, str]]:
    for path in paths:
        try:
            persona, sha256 = load(path, origin)
        except Refused as error:
            problems.append(str(error))
        else:
            yield path, persona, sha256


def load(path: Path, origin: Origin) -> tuple[Persona, str]:
    """The persona in a file, and the sha256 of its bytes. Raises Refused in one line that names the file and what is
    wrong there."""
    where = f"{path.parent.name}/{path.name}"
    try:
        if not path.is_file():
            raise Refused(f"{where}: not a plain file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise Refused(f"{where}: a persona has at most {MAX_BYTES:,} bytes")
        return read(data.decode("utf-8"), path.stem, origin, where), hashlib.sha256(data).hexdigest()
    except UnicodeDecodeError as error:
        raise Refused(f"{where}: not UTF-8 text") from error
    except OSError as error:
        raise Refused(f"{where}: cannot be read ({error.strerror or error})") from error


def read(text: str, name: str, origin: Origin, where: str = "") -> Persona:
    """The persona that a text spells. Raises Refused naming the line."""
    where = where or name
    if not _NAME.fullmatch(name):
        raise Refused(f"{where}: {name!r} is no name for a persona", hint="Use letters, digits, - and _.")
    fields, body = _parted(text, where)
    if not body.strip():
        raise Refused(f"{where}: it has no instructions", hint="Write them below the second line of dashes.")
    if origin == "project" and "model" in fields:
        raise Refused(f"{where}: a project's persona may not choose a model", hint="Remove the line; --model does.")
    memory: Any = fields.get("memory", "shared")
    if memory not in get_args(MemoryScope):
        raise Refused(f"{where}: memory is {memory!r}", hint=f"It may be {', '.join(get_args(MemoryScope))}.")
    try:
        allowed = budget.read(fields.get("budget"))
    except Refused as error:
        raise Refused(f"{where}: budget: {error.message}", hint=error.hint) from None
    tools = _names(fields["tools"]) if "tools" in fields else None
    return Persona(
        name=name,
        summary=fields.get("summary", ""),
        instructions={origin: body.strip()},
        tools=() if tools is None else (tools,),
        model=fields.get("model", ""),
        memory=memory,
        budget=allowed,
    )


def _parted(text: str, where: str) -> tuple[dict[str, str], str]:
    """Front matter and body. A text without front matter is all body."""
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != "---":
        return {}, text
    end = next((at for at, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if end is None:
        raise Refused(f"{where} line 1: the front matter has no end", hint="Close it with a line of three dashes.")
    fields: dict[str, str] = {}
    for number, line in enumerate(lines[1:end], 2):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise Refused(f"{where} line {number}: not `key: value`", hint=f"There are: {', '.join(_KEYS)}.")
        key, value = found[1], found[2].strip().strip("\"'")
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            said = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(_KEYS)}."
            raise Refused(f"{where} line {number}: there is no key {key}", hint=said)
        if key in fields:
            raise Refused(f"{where} line {number}: {key} is there twice", hint="Keep one of them.")
        if not value:
            raise Refused(f"{where} line {number}: {key} has no value", hint="Write one, or remove the line.")
        fields[key] = value
    return fields, "\n".join(lines[end + 1 :])


def _names(text: str) -> tuple[str, ...]:
    """`a, b` or `[a, b]`."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    return tuple(name for word in inner.split(",") if (name := word.strip().strip("\"'")))
