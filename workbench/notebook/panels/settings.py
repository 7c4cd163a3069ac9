"""The settings panel: what is in force, where each value comes from, and what may be other for this kernel alone.

Nothing that is changed here is written anywhere: files, variables and other kernels stay as they are. What requests are
asked with is the same that `%config Workbench` shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from workbench.configuration import origins
from workbench.core.errors import Refused, WorkbenchError
from workbench.core.settings import Policy, Settings
from workbench.notebook import config, kernel
from workbench.notebook.panels import widget
from workbench.notebook.panels.messages import LINE, Verb
from workbench.notebook.panels.parts import script, style
from workbench.render import clean_text

if TYPE_CHECKING:
    from workbench.workbench import Workbench

ABOUT = "A panel that showed the settings. workbench.panel('settings') shows them again; so does %workbench."
RULES = ("allow", "ask", "deny")
KERNEL = "this kernel"
ASKED = {
    "model": "The model that plans and answers.",
    "persona": "In whose manner requests are served.",
    "budget": "What one run may use, such as usd=0.5,calls=20.",
    "replay": "What is on record: off, auto (use it), strict (only that).",
}
"""What requests are asked with, and can be other for this kernel; `notebook.config` has them."""
NUMBERS = {"parallel": "Steps that run at once in one run.", "rounds": "Rounds of steps that one request may take."}


@cache
def panel_class() -> type[Any]:
    """The widget's class."""

    class SettingsPanel(widget.panel_class()):  # type: ignore[misc]  # made at run time
        """The settings."""

        _esm = script("asks", "list", "settings")
        _css = style("desk")

        def __init__(self, workbench: Workbench) -> None:
            super().__init__(about=ABOUT, verbs=Board(workbench).verbs(), on_bug=workbench.log.bug)

    return SettingsPanel


class Board:
    """What the panel's page may ask."""

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self._usual = usual()
        self._own: dict[str, Any] = {}
        """What was changed here of the workbench's settings."""
        self._rules: set[tuple[str, str]] = set()

    def verbs(self) -> dict[str, Verb]:
        kind = {"type": "string", "enum": list(RULES)}
        return {
            "show": Verb(do=self._show),
            "set": Verb(do=self._set, takes={"name": LINE, "value": LINE}),
            "add": Verb(do=self._add, takes={"kind": kind, "rule": LINE}),
            "remove": Verb(do=self._remove, takes={"kind": kind, "rule": LINE}),
        }

    async def _show(self) -> Mapping[str, Any]:
        with suppress(WorkbenchError):  # then what is in force says why
            await self._workbench.sandbox.prepare()
        return await asyncio.to_thread(self._shown)

    def _shown(self) -> Mapping[str, Any]:
        settings, found = self._workbench.settings, origins(self._workbench.settings)
        found |= dict.fromkeys(self._own, KERNEL)
        return {
            "changeable": [*self._asked(settings, found), *self._numbers(settings, found)],
            "rules": [
                {
                    "kind": kind,
                    "rule": clean_text(rule),
                    "from": KERNEL if (kind, rule) in self._rules else found["policy"].replace(KERNEL, "config.toml"),
                    "own": (kind, rule) in self._rules,
                }
                for kind in reversed(RULES)
                for rule in getattr(settings.policy, kind)
            ],
            "force": [{"name": name, "value": clean_text(value)} for name, value in self._workbench.status().items()],
            "settings": [
                {
                    "name": name,
                    "value": in_words(getattr(settings, name)),
                    "from": found[name],
                    "what": clean_text(field.description or ""),
                }
                for name, field in Settings.model_fields.items()
                if name != "policy"
            ],
        }

    def _asked(self, settings: Settings, found: Mapping[str, str]) -> list[dict[str, str]]:
        named = self._workbench.status()["model"].partition(",")[0]
        there = {"model": named, "persona": "none", "budget": in_words(settings.budget), "replay": settings.replay}
        return [
            {
                "name": name,
                "what": what,
                "value": clean_text(getattr(self._usual, name)),
                "else": clean_text(there[name] or "as the record has it"),
                "from": KERNEL if getattr(self._usual, name) else found.get(name, "default"),
                "kind": "text",
            }
            for name, what in ASKED.items()
        ]

    def _numbers(self, settings: Settings, found: Mapping[str, str]) -> list[dict[str, str]]:
        return [
            {
                "name": name,
                "what": what,
                "value": str(getattr(settings, name)) if name in self._own else "",
                "else": str(getattr(settings, name)),
                "from": found[name],
                "kind": "number",
            }
            for name, what in NUMBERS.items()
        ]

    async def _set(self, name: str, value: str) -> Mapping[str, str]:
        """Another value for this kernel; an empty one gives back what is in force without it."""
        if name in ASKED:
            await asyncio.to_thread(self._set_asked, name, value.strip())
        elif name in NUMBERS:
            self._set_number(name, value.strip())
        else:
            raise Refused(f"{clean_text(name)[:60]} cannot be changed here.", hint="Change it in config.toml.")
        said = f"{name} is {clean_text(value)[:100]}" if value.strip() else f"{name} is as your settings say"
        return {"said": f"{said}, for this kernel only."}

    def _set_asked(self, name: str, value: str) -> None:
        from traitlets import TraitError

        try:
            setattr(self._usual, name, value)
        except TraitError as error:
            line = " ".join(str(error).split()).removeprefix(f"Workbench.{name}: ")
            raise Refused(clean_text(line)[:300], hint="Nothing was changed.") from None

    def _set_number(self, name: str, value: str) -> None:
        if not value:
            before = self._own.pop(name, None)
            self._workbench.adjust(**({name: before} if before is not None else {}))
            return
        if not value.isascii() or not value.isdigit():
            raise Refused(f"{name} takes a whole number.", hint="Nothing was changed.")
        before = getattr(self._workbench.settings, name)
        self._workbench.adjust(**{name: int(value)})
        self._own.setdefault(name, before)

    async def _add(self, kind: str, rule: str) -> Mapping[str, str]:
        """One more rule, for this kernel."""
        policy = self._workbench.settings.policy
        words = " ".join(rule.split())
        if words in getattr(policy, kind):
            raise Refused(f"There is a rule {kind} {clean_text(words)[:100]} already.", hint="Nothing was changed.")
        self._workbench.adjust(policy={**policy.model_dump(), kind: (*getattr(policy, kind), words)})
        self._rules.add((kind, words))
        return {"said": f"{kind} {clean_text(words)[:100]}: in force for this kernel only."}

    async def _remove(self, kind: str, rule: str) -> Mapping[str, str]:
        """Take a rule back that was added here; those of files stay."""
        if (kind, rule) not in self._rules:
            raise Refused("This rule was not made here.", hint="Change it in the file that it comes from.")
        policy = self._workbench.settings.policy
        kept = tuple(one for one in getattr(policy, kind) if one != rule)
        self._workbench.adjust(policy=Policy.model_validate({**policy.model_dump(), kind: kept}))
        self._rules.discard((kind, rule))
        return {"said": f"{kind} {clean_text(rule)[:100]}: no longer in force."}


def usual() -> config.Workbench:
    """What requests of this kernel are asked with, kept where `%config` looks."""
    shell = kernel.shell()
    if shell is None:
        return config.of(None)
    if not any(isinstance(one, config.Workbench) for one in shell.configurables):
        config.install(shell)
    return config.of(shell)


def in_words(value: Any) -> str:
    """A setting's value; of a secret only whether it is set."""
    match value:
        case None | "":
            return "–"
        case SecretStr():
            return "set (not shown)"
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return clean_text(", ".join(value)) or "–"
        case _:
            return clean_text(str(value))
