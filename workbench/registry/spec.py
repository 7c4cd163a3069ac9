"""What a tool file says about itself, read from its syntax tree. Nothing of the file ever runs here.

    PERMISSIONS = {"network": ["api.open-meteo.com"], "secrets": ["NAME"], "read": ["data"]}     needed, may be empty
    USES, EFFECT, TIMEOUT, EXAMPLES, ISOLATION                                                   literals, optional
    def run(city: str, days: int = 1) -> dict: ...                                               needed
    def check(key: str): ...                                                                     optional

`read` and `write` name folders of the project. The module's docstring gives summary and description, `run`'s
docstring what each parameter means. `check` tells what an earlier call with this `toolkit.key()` gave, None or False
when there was none; a function of that name with other parameters is the author's own affair. A file without both
PERMISSIONS and `run` is not a tool. TIMEOUT is in seconds; without it a tool has a minute, ten where it asks a model.
The bytes that are read here are the bytes that a worker compiles later.
"""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from workbench.core.errors import Refused
from workbench.core.tools import ANY_HOST, QUICK, SLOW, Permissions, ToolSpec
from workbench.registry.signature import BadSignature, constants, parameters

MAX_BYTES = 1_000_000
MAX_TIMEOUT = 3600.0
SERVICES = ("audio", "cache", "http", "image", "memory", "model", "sql")
"""The host functions there are; a name in USES may go on after a dot (`memory.recall`)."""

Origin = Literal["project", "user", "plug-in", "shipped", "cell"]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


def describe(source: bytes, path: Path, origin: Origin) -> ToolSpec | None:
    """The tool in a file's bytes, None when the file is not a tool.

    Raises Refused naming the file, the line and what is wrong there; nothing else, whatever the bytes.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        return _describe(source, path, origin)
    except BadSignature as error:
        raise Refused(f"{where}{_line(error.line)}: {error}", hint=error.hint, path=str(path)) from None
    except SyntaxError as error:
        raise Refused(f"{where}{_line(error.lineno)}: {clean(error.msg)}", path=str(path)) from None
    except (RecursionError, MemoryError):
        raise Refused(f"{where}: nested too deep to be read", path=str(path)) from None
    except ValueError as error:  # NUL bytes, before Python 3.12
        raise Refused(f"{where}: {clean(str(error))}", path=str(path)) from None


def _describe(source: bytes, path: Path, origin: Origin) -> ToolSpec | None:
    if len(source) > MAX_BYTES:
        raise BadSignature(f"{len(source):,} bytes; a tool file has at most {MAX_BYTES:,}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a doubtful escape in a string is the author's business
        module = ast.parse(source, str(path))
    run = next((node for node in reversed(module.body) if getattr(node, "name", None) == "run"), None)
    literals = {name: node for name, node in constants(module).items() if name in _DECLARED}
    if run is None or "PERMISSIONS" not in literals:
        return None
    if not isinstance(run, ast.FunctionDef):
        raise BadSignature("run must be a plain function (def run)", line=run.lineno)
    if not _NAME.fullmatch(path.stem):
        raise BadSignature(f"{path.stem!r} is no name for a tool", hint="Use letters, digits and underscores.")
    said = {name: _read(name, node) for name, node in literals.items()}
    summary, description = _documentation(module, run, path.stem)
    return ToolSpec(
        name=path.stem,
        summary=summary,
        description=description,
        params=parameters(run, constants(module)),
        version=hashlib.sha256(source).hexdigest(),
        source=source,
        origin=origin,
        path=str(path),
        permissions=said["PERMISSIONS"],
        uses=said.get("USES", ()),
        effect=said.get("EFFECT", "read"),
        timeout=said.get("TIMEOUT", usual_timeout(said.get("USES", ()))),
        examples=said.get("EXAMPLES", ()),
        isolation=said.get("ISOLATION", ""),
        checks=any(_is_check(node) for node in module.body),
    )


def usual_timeout(uses: Iterable[str]) -> float:
    """The seconds of a tool that declares none."""
    return SLOW if any(name.partition(".")[0] in ("audio", "image", "model") for name in uses) else QUICK


def _is_check(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef) or node.name != "check":
        return False
    taken = [*node.args.posonlyargs, *node.args.args]
    needed = len(taken) - len(node.args.defaults)
    return [argument.arg for argument in taken[:1]] == ["key"] and needed == 1 and None not in node.args.kw_defaults


def _read(name: str, node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        raise BadSignature(
            f"{name} must be written out as a literal, without names or calls", line=node.lineno
        ) from None
    try:
        return _DECLARED[name](value)
    except ValueError as error:
        raise BadSignature(f"{name} {error}", line=node.lineno) from None


def _permissions(value: Any) -> Permissions:
    if not isinstance(value, dict):
        raise ValueError('must be a dict, for example {"network": []}')
    rules: Mapping[str, Callable[[str], bool]] = {
        "network": lambda text: text == ANY_HOST or bool(_HOST.fullmatch(text)),
        "secrets": lambda text: bool(_SECRET.fullmatch(text)),
        "read": _inside,
        "write": _inside,
    }
    granted = {}
    for key, items in value.items():
        if key not in rules:
            raise ValueError(f"has an unknown key {key!r} (there are: {', '.join(rules)})")
        granted[key] = _texts(items, f"[{key!r}]")
        for text in granted[key]:
            if not rules[key](text):
                raise ValueError(f"[{key!r}] holds {text!r}, which is no {_NOUNS[key]}")
    return Permissions(**granted)


_FOLDER = "folder inside the project"
_NOUNS = {
    "network": "host name (no scheme, no port: only https on 443 is spoken), nor *",
    "secrets": "name of a secret",
    "read": _FOLDER,
    "write": _FOLDER,
}


def _inside(text: str) -> bool:
    path = PurePosixPath(text)
    return bool(text) and not path.is_absolute() and ".." not in path.parts and "\\" not in text and "\0" not in text


def _uses(value: Any) -> tuple[str, ...]:
    for text in (names := _texts(value)):
        if text.partition(".")[0] not in SERVICES or not re.fullmatch(r"[a-z]+(\.[a-z_]+)?", text):
            raise ValueError(f"holds {text!r}, which is no host function (there are: {', '.join(SERVICES)})")
    return names


def _effect(value: Any) -> str:
    if value not in ("read", "idempotent", "write"):
        raise ValueError("must be 'read', 'idempotent' or 'write'")
    return str(value)


def _isolation(value: Any) -> str:
    if value not in ("process", "kernel"):
        raise ValueError("must be 'process' or 'kernel'")
    return str(value)


def _timeout(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_TIMEOUT:
        raise ValueError(f"must be seconds, more than 0 and at most {MAX_TIMEOUT:g}")
    return float(value)


def _texts(value: Any, where: str = "") -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{where} must be a list of texts".strip())
    return tuple(clean(item) for item in value)


_DECLARED: Mapping[str, Callable[[Any], Any]] = {
    "PERMISSIONS": _permissions,
    "USES": _uses,
    "EFFECT": _effect,
    "TIMEOUT": _timeout,
    "EXAMPLES": _texts,
    "ISOLATION": _isolation,
}


def _documentation(module: ast.Module, run: ast.FunctionDef, name: str) -> tuple[str, str]:
    """Summary and description: of the module, else of `run`, else the name in words."""
    text = clean(ast.get_docstring(module) or "")
    if not text.strip():
        text = re.split(r"(?m)^\s*(?:Args:|Parameters:|:param )", clean(ast.get_docstring(run) or ""), maxsplit=1)[0]
    first, _, rest = text.strip().partition("\n")
    return first.strip()[:300] or name.replace("_", " "), rest.strip()[:8000]


def named(text: str) -> bool:
    """Whether a text will do as the name of a tool."""
    return bool(_NAME.fullmatch(text))


def clean(text: str) -> str:
    """The text without lone surrogates, which a string literal may hold and no file takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _line(number: int | None) -> str:
    return f" line {number}" if number else ""
