"""What a front end may say to a panel, and what it hears back.

A message is `{"do": VERB, "ask": NUMBER, …}`. It comes from a page, so it may be anything: it is held to the verb's
schema before a line of ours sees it. Each is answered once, as `{"answer": NUMBER, "value": …}`, or with `problem`, a
line, and `hint`, what to do. Nothing else that a page sends changes a panel.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.core import schema
from workbench.core.errors import Refused, WorkbenchError
from workbench.render import clean_text

MAX_TEXT = 250_000
"""Characters of a text that a message may carry; a request has a limit of its own below this."""
MAX_NUMBER = 2**53

TEXT: Mapping[str, Any] = {"type": "string", "maxLength": MAX_TEXT}
LINE: Mapping[str, Any] = {"type": "string", "maxLength": 2000}
FLAG: Mapping[str, Any] = {"type": "boolean"}
COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0, "maximum": 1_000_000_000}
JSON: Mapping[str, Any] = {}

_HINT = "Show the panel anew: workbench.panel()."


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """Something that a page may ask of a panel. `do` takes the message's fields by name and is called where the message
    arrives, in a thread of the kernel that must not wait; what it gives is awaited on the loop. `takes`: the schema of
    each field, those of `may` need not be there."""

    do: Callable[..., Coroutine[Any, Any, Any]]
    takes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    may: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def problems(self, fields: Mapping[str, Any], name: str) -> list[str]:
        """What is wrong with the fields of a message."""
        wanted = {
            "type": "object",
            "properties": {**self.takes, **self.may},
            "required": list(self.takes),
            "additionalProperties": False,
        }
        return list(schema.check(fields, wanted, name, resolved=True))


def begun(content: Any, verbs: Mapping[str, Verb]) -> Coroutine[Any, Any, Any]:
    """What a message asks for, begun. Raises Refused in one line for what is no message of ours."""
    if not isinstance(content, Mapping) or not isinstance(content.get("do"), str):
        raise Refused("The page sent this panel something that is no message of it.", hint=_HINT)
    name = content["do"]
    if name not in verbs:
        raise Refused(f"This panel does not know {clean_text(name)[:40]!r}.", hint=_HINT)
    fields = {key: value for key, value in content.items() if key not in ("do", "ask")}
    if problems := verbs[name].problems(fields, name):
        raise Refused(f"This panel cannot read what the page sent: {clean_text(problems[0])[:200]}.", hint=_HINT)
    return verbs[name].do(**fields)


def number(content: Any) -> int:
    """The number under which a message wants its answer; 0 when it has none that can be one."""
    asked = content.get("ask") if isinstance(content, Mapping) else None
    return asked if isinstance(asked, int) and not isinstance(asked, bool) and 0 < asked <= MAX_NUMBER else 0


def said(error: Exception) -> dict[str, str]:
    """What went wrong, in a line and a hint. What is no error of ours is a bug, and is in the log."""
    if isinstance(error, WorkbenchError):
        return {
            "problem": clean_text(f"{type(error).__name__}: {error.message}"),
            "hint": clean_text(error.hint),
        }
    return {
        "problem": f"Something in the workbench is broken ({type(error).__name__}); the rest of this panel goes on.",
        "hint": "The log has all of it: `workbench.current().settings.log` is the file.",
    }
