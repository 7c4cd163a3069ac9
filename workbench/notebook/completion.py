"""What may follow where the cursor stands, in `%agent`, `%%agent` and `%workbench`, also behind `x =`.

The forms of `line.VERBS` are the grammar of the verbs: RUN stands for a run, RUN[.STEP] also for a step of it, ID for a
memory, FILE.wbz for such a file, a word in small letters for itself, and every `--option` that is named there may be
given. So a verb that is added there completes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.notebook import known, mentions
from workbench.notebook import line as lines
from workbench.notebook.known import Lately, Names

_LINE = re.compile(r"\s*(?:[^\n%=]*=\s*)?%(?P<magic>agent|workbench)(?P<rest>\s.*)\Z", re.DOTALL)
_CELL = re.compile(r"%%agent\b")
_OPTION = re.compile(r"\s*--(?P<name>[A-Za-z][\w-]*)(?:=(?P<value>\S*)|(?=\s))(?P<end>\s|\Z)?")
_TYPING = re.compile(r"\s*(?P<typed>--?[\w-]*|)\Z")
_VALUE = re.compile(r"\s*--(?P<name>[A-Za-z][\w-]*)[= ](?P<typed>\S*)\Z")
_NAME = re.compile(r"(?<![\w.@/])@(?P<typed>[\w.\[\]-]*)\Z")
_WORDS = re.compile(r"--[a-z][a-z-]*")
_ENDINGS = (".wbz", ".cassette", ".ipynb")
_FILES = 50
"""Names of files that are offered at most."""


@dataclass(frozen=True, slots=True)
class Completion:
    """`text` takes the place of what was typed; `what` says beside it what that is."""

    text: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class Offered:
    """What may stand in the place of `typed`, which ends at the cursor."""

    typed: str
    found: tuple[Completion, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where names come from; each is quick and raises nothing."""

    models: Callable[[], Names] = field(default_factory=lambda: Lately(known.models))
    personas: Callable[[], Names] = field(default_factory=lambda: Lately(known.personas))
    tools: Callable[[], Names] = field(default_factory=lambda: Lately(known.tools))
    runs: Callable[[], Names] = field(default_factory=lambda: Lately(known.runs))
    memories: Callable[[], Names] = field(default_factory=lambda: Lately(known.memories))
    steps: Callable[[str], Names] = lambda run: Lately(lambda: known.steps(run))()


def completions(text: str, scope: Mapping[str, Any], sources: Sources) -> Offered | None:
    """What may stand at the end of `text`, which is a cell up to the cursor; None where it is no line of ours."""
    if _CELL.match(text):
        first, newline, body = text.partition("\n")
        if newline:
            return named(body, scope, sources)
        return _request(first.removeprefix("%%agent"), scope, sources)
    found = _LINE.match(text.rpartition("\n")[2])
    if found is None:
        return None
    complete = _request if found["magic"] == "agent" else _verbs
    return complete(found["rest"], scope, sources)


def named(text: str, scope: Mapping[str, Any], sources: Sources) -> Offered | None:
    """What `@…` at the end of a request may name; None where no name begins."""
    found = _NAME.search(text)
    if found is None:
        return None
    typed = found["typed"]
    run, dot, _ = typed.partition(".")
    if not dot:
        return _offered(f"@{typed}", ((f"@{name}", what) for name, what in _names(scope, typed, sources)))
    if mentions.kind_of(run, scope.get(run)) == "run":
        found_steps: Iterable[tuple[str, str]] = mentions.steps(scope[run])
    else:
        found_steps = sources.steps(run).items() if run[:8].isdigit() else ()
    return _offered(f"@{typed}", ((f"@{run}.{step}", what) for step, what in found_steps))


def _names(scope: Mapping[str, Any], typed: str, sources: Sources) -> Iterator[tuple[str, str]]:
    yield from mentions.names(scope)
    yield "cell[-1]", "the cell before, with what it printed"
    yield mentions.PREVIOUS, "the last table that was made here"
    if typed[:1].isdigit():
        yield from sources.runs().items()


def _request(rest: str, scope: Mapping[str, Any], sources: Sources) -> Offered | None:
    """Of an `%agent`: options and their values first, then a request."""
    given: set[str] = set()
    while True:
        if (value := _VALUE.fullmatch(rest)) is not None and (value["name"] in lines.VALUED or "=" in value[0]):
            return _value(value["name"], value["typed"], sources)
        if (typing := _TYPING.fullmatch(rest)) is not None:
            options = {f"--{name}": text for name, text in lines.OPTIONS.items() if name not in given}
            found = _offered(typing["typed"], options.items())
            more = named(rest + "@", scope, sources) if not typing["typed"] and rest else None
            return Offered("", (*found.found, *more.found)) if found and more else found
        option = _OPTION.match(rest)
        if option is None or option["name"] not in lines.OPTIONS:
            return named(rest, scope, sources)
        given.add(option["name"])
        rest = rest[option.end() :]
        if option["name"] in lines.VALUED and option["value"] is None:
            rest = re.sub(r"\A\s*\S+", "", rest)


def _value(name: str, typed: str, sources: Sources) -> Offered | None:
    """Of an option with a value."""
    match name:
        case "model":
            return _offered(typed, sources.models().items())
        case "persona":
            return _offered(typed, sources.personas().items())
        case "replay":
            return _offered(typed, ((mode, "") for mode in lines.MODES))
        case "budget":
            from workbench.core.budget import LIMITED

            return _offered(typed.rpartition(",")[2], ((f"{limit}=", "") for limit in LIMITED))
        case "run":
            return _offered(typed, sources.runs().items())
        case "memory" | "replaces":
            return _offered(typed, sources.memories().items())
        case _:
            return None


def _verbs(rest: str, scope: Mapping[str, Any], sources: Sources) -> Offered | None:
    """Of a `%workbench`: a verb, then what its form takes."""
    verb, blank, after = rest.lstrip().partition(" ")
    if not blank:
        forms = {form.split()[0]: text for form, text in lines.VERBS.items()}
        return _offered(verb, forms.items())
    form = next((form for form in lines.VERBS if form.split()[0] == verb), None)
    if form is None:
        return None
    if (value := re.search(r"--([a-z][a-z-]*)[= ](\S*)\Z", after)) is not None:
        return _value(value[1], value[2], sources)
    typed = after.rpartition(" ")[2]
    options = dict.fromkeys(_WORDS.findall(f"{form} {lines.VERBS[form]}"), "")
    takes = form.partition(" ")[2]
    if typed.startswith("-") or (takes.startswith("--") and not typed):
        return _offered(typed, options.items())
    if after.strip() != typed:  # not the first argument
        return _offered(typed, _files(typed)) if "FILE" in takes else None
    return _argument(takes, typed, sources)


def _argument(form: str, typed: str, sources: Sources) -> Offered | None:
    """The first argument of a verb that takes `form`."""
    run, dot, _ = typed.partition(".")
    if dot and "RUN[" in form:
        return _offered(typed, ((f"{run}.{step}", what) for step, what in sources.steps(run).items()))
    found: dict[str, str] = {}
    for number, word in enumerate(filter(None, re.split(r"[\[\]|\s]+", form))):
        match word:
            case "RUN":
                found |= sources.runs()
            case "ID":
                found |= sources.memories()
            case "TOOL":
                found |= sources.tools()
            case "FILE" | "FILE.wbz" if number == 0 or "|" in form:
                found |= dict(_files(typed))
            case _ if re.fullmatch("[a-z]+", word):
                found[word] = ""
    return _offered(typed, found.items())


def _files(typed: str) -> Iterator[tuple[str, str]]:
    """Recordings, runs in files and notebooks, below the working folder or where the path that is typed leads."""
    folder, slash, name = typed.rpartition("/")
    with suppress(OSError, ValueError):
        there = (path for path in sorted(Path(f"{folder}{slash}" or ".").iterdir()) if path.name[:1] != ".")
        wanted = (path for path in there if path.name.startswith(name) and (path.suffix in _ENDINGS or path.is_dir()))
        for path in islice(wanted, _FILES):
            yield f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}", ""


def _offered(typed: str, known: Iterable[tuple[str, str]]) -> Offered | None:
    found = tuple(Completion(text, what) for text, what in known if text.startswith(typed))
    return Offered(typed, found) if found else None
