"""Reads what stands behind `%agent`: a few options, then the request, byte for byte.

Only leading words that begin with `--` are options. In the request `{{expression}}` becomes the text of its value, and
`@name` names what goes with it (`notebook.mentions`). Every other character stays as it was typed, so that JSON,
braces, quotes and `$` need no care. A `;` at the end shows nothing.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

OPTIONS: Mapping[str, str] = {
    "plan": "show the plan and run nothing",
    "bg": "run in the background: the cell is over at once, and gives a handle of the run",
    "ask": "show the steps and ask before they run",
    "yes": "answer every question with yes: the steps of --ask, and calls that the policy asks about",
    "deny": "answer the same questions with no",
    "timeout": "how many seconds a question waits for its answer; after that it is no",
    "model": "the model that plans and answers this request",
    "persona": "in whose manner to work: analyst, engineer, designer, or one of your own",
    "reuse": "take over results of an earlier run for steps that are the same",
    "budget": "what the run may use, of usd, tokens, steps, calls and seconds",
    "memory": "show the model what you asked to be remembered, also where nobody watches",
    "fresh": "follow nothing that was asked in this notebook before",
    "replay": "strict (when nothing is said): only what is on record; auto: that, and the rest anew; off: all anew",
    "help": "show this help",
}
VERBS: Mapping[str, str] = {
    "tools": "the tools that may be used",
    "tool TOOL key=value": "one tool, run once; --yes or --deny answers what would be asked",
    "plugins": "what installed plug-ins offer, and what each may do",
    "personas": "in whose manner requests can be served",
    "runs": "the newest runs",
    "show RUN": "one run again; one that goes on here, with what it asks",
    "apply RUN[.STEP]": "write the code of a run into the project",
    "undo RUN[.STEP]": "take it back: every file as it was",
    "cancel RUN": "stop a run that goes on in the background",
    "resume RUN": "go on with a run that stopped; --done STEP, --again STEP for writes in doubt, --changed-tools",
    "rerun RUN": "its plan again; --from STEP, --set s2.params.limit=5, --drop STEP: only what changes is run",
    "compare RUN RUN": "two runs side by side: plan, parameters, answer, tables, cost",
    "why RUN[.STEP]": "from a result back to the calls, plan, sources, hashes and cost",
    "seen RUN[.CALL]": "what the model saw: the messages of each call, byte for byte, and the reply",
    "notebook RUN [FILE]": "the run as a notebook of plain cells that work without the workbench",
    "sql QUERY": "the record: runs, steps, events, costs, failures, lineage, model_calls, tool_calls, service_calls, …",
    "recall QUESTION": "what is remembered about it, and why it was found",
    "remember TEXT": "keep it; --pin, --kind KIND, --replaces ID before the text",
    "conversation": "what a model is told of what was asked here before",
    "pin ID": "put a memory a little ahead of others",
    "unpin ID": "the memory stands among the others again",
    "forget ID": "hide a memory, at once",
    "memory [audit | compact | export DIR | import DIR]": "all that is remembered, or what is wrong with it; tidy up; "
    "write your whole record into a folder, or take one in",
    "erase --memory ID": "remove it for good, with every run that knows it; also --run ID, --text TEXT, --user NAME",
    "doctor": "check this installation",
    "audit": "check that the audit trail is whole",
    "cassette on|FILE|off": "record runs in a file beside the notebook and replay them from it",
    "export RUN FILE.wbz": "a run in one file, for another machine",
    "import FILE.wbz": "a run from such a file into your record",
}
"""What may stand behind `%workbench`, as it is typed, and what it gives; `notebook.verbs` has a function for each."""
MODES: tuple[Literal["strict", "auto", "off"], ...] = ("strict", "auto", "off")
"""What `--replay` may be; the first when it says nothing."""
VALUED: Mapping[str, str] = {
    "model": "NAME",
    "persona": "NAME",
    "timeout": "SECONDS",
    "budget": "usd=0.5,calls=20",
}
"""Options that take a value, and what it is."""
_EXAMPLES = {
    "model": "--model needs a name: --model gpt-4o",
    "persona": "--persona needs a name: --persona analyst",
    "timeout": "--timeout needs seconds: --timeout 60",
    "budget": "--budget needs limits: --budget usd=0.5,calls=20",
}
_WORD = re.compile(r"\s*(--?[A-Za-z][\w-]*)(?:=(\S*))?(?:\s|$)")
_CAPTURE = re.compile(r"\s*([^\W\d]\w*)\s*<<(?:\s|$)")
_SILENT = re.compile(r"\n[ \t]*;\s*\Z")
"""Of a cell: a line of its own, since what is pasted may end in one."""
_MAX_ENDS = 20
"""How many `}}` are tried as the end of one expression: a literal may hold some itself."""


class BadLine(Exception):
    """The line cannot be read; the message is one line that says what to type instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a line asks for. `capture` is the name that keeps the run, "" when there is none; `silent`: it ends in `;`,
    and shows nothing."""

    text: str
    plan: bool = False
    bg: bool = False
    ask: bool = False
    yes: bool = False
    deny: bool = False
    memory: bool = False
    reuse: bool = False
    fresh: bool = False
    replay: Literal["strict", "auto", "off"] | None = None
    timeout: float | None = None
    model: str | None = None
    persona: str = ""
    budget: str | None = None
    help: bool = False
    silent: bool = False
    capture: str = ""


def read(line: str, body: str | None = None) -> Line:
    """What `%agent line` or `%%agent line` over `body` asks for. Raises BadLine."""
    options: dict[str, Any] = {}
    rest = line
    while (found := _WORD.match(rest)) is not None and found[1].startswith("--"):
        name, value, rest = found[1][2:], found[2], rest[found.end() :]
        if name not in OPTIONS:
            raise BadLine(f"There is no option --{name}{near(name, OPTIONS, '--')}")
        if name == "replay":
            if value not in (None, *MODES):
                raise BadLine("--replay is strict, auto or off: --replay=auto")
            options[name] = value or MODES[0]
        elif name in VALUED:
            if value is None:
                value, _, rest = rest.strip().partition(" ")
            if not value:
                raise BadLine(_EXAMPLES[name])
            options[name] = _seconds(value) if name == "timeout" else value
        elif value is not None:
            raise BadLine(f"--{name} takes no value")
        else:
            options[name] = True
    if options.get("yes") and options.get("deny"):
        raise BadLine("--yes and --deny exclude each other")
    if (kept := _CAPTURE.match(rest)) is not None and not keyword.iskeyword(kept[1]):
        options["capture"], rest = kept[1], rest[kept.end() :]
    rest = rest.strip(" \t") if body is None else rest.strip()
    if body is None and rest.endswith(";"):
        options["silent"], rest = True, rest[:-1].rstrip()
    elif body is not None and (end := _SILENT.search(body)) is not None:
        options["silent"], body = True, body[: end.start() + 1]
    text = rest if body is None else f"{rest}\n{body}" if rest else body
    return Line(text=text, **options)


def _seconds(value: str) -> float:
    if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", value) or not float(value):
        raise BadLine(_EXAMPLES["timeout"])
    return float(value)


def expand(text: str, evaluate: Callable[[str], Any]) -> str:
    """The text with each `{{expression}}` replaced by `str` of its value. Raises BadLine naming one that fails."""

    parts: list[str] = []
    at = 0
    while (start := text.find("{{", at)) >= 0 and (end := _end(text, start + 2)) >= 0:
        code = text[start + 2 : end].strip()
        try:
            value = str(evaluate(code))
        except Exception as error:
            said = f"{{{{{_short(code)}}}}} failed: {_short(f'{type(error).__name__}: {error}')}"
            raise BadLine(f"{said}. To send braces as they are, put the text in a variable: {{{{name}}}}") from error
        parts += text[at:start], value
        at = end + 2
    return "".join(parts) + text[at:]


def _end(text: str, start: int) -> int:
    """Where the expression that begins at `start` ends: at the first `}}` that makes it whole, else at the first; -1
    when there is none."""
    first = end = text.find("}}", start)
    for _ in range(_MAX_ENDS):
        if end < 0:
            break
        try:
            ast.parse(text[start:end].strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            end = text.find("}}", end + 1)
        else:
            return end
    return first


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:99]}…"


def near(name: str, known: Iterable[str], mark: str) -> str:
    """How a line about an unknown name goes on: with the name that was meant, or those that there are."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {mark}{close[0]}?"
    return f". There are: {', '.join(mark + n for n in names[:10])}." if names else ". There are none here."
