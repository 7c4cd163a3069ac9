"""`%config Workbench.model = "…"`: what every `%agent` of this kernel is asked with, unless its line says otherwise.

The same can stand in `ipython_config.py` as `c.Workbench.model = "…"`. What wins, first to last: the line, this, the
environment, the files of settings.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from traitlets import Bool, Enum, Float, TraitError, Unicode, validate
from traitlets.config import Config, Configurable

from workbench.notebook.line import MODES, Line

_ONE_OF = ("yes", "deny")


class Workbench(Configurable):
    """What requests are asked with. Named as it is written behind `%config`."""

    model = Unicode("", help="The model that plans and answers. Empty: the one of the settings.").tag(config=True)
    persona = Unicode("", help="In whose manner to work: analyst, engineer, designer, or your own.").tag(config=True)
    budget = Unicode("", help="What a run may use, such as usd=0.5,calls=20.").tag(config=True)
    replay = Enum(
        ("", *MODES), "", help="strict: only what is on record. auto: that, and the rest anew. off: all anew."
    ).tag(config=True)
    timeout = Float(None, allow_none=True, help="Seconds that a question waits for its answer.").tag(config=True)
    memory = Bool(False, help="Show the model what you asked to be remembered, also headless.").tag(config=True)
    reuse = Bool(False, help="Take over results of earlier runs for steps that are the same.").tag(config=True)
    ask = Bool(False, help="Show the steps and ask before they run.").tag(config=True)
    yes = Bool(False, help="Answer every question with yes.").tag(config=True)
    deny = Bool(False, help="Answer every question with no.").tag(config=True)

    @validate("budget")
    def _budget(self, proposal: Any) -> str:
        from workbench.core.budget import read
        from workbench.core.errors import WorkbenchError

        try:
            read(proposal["value"])
        except WorkbenchError as error:
            raise TraitError(f"Workbench.budget: {error.message} {error.hint}".strip()) from None
        return str(proposal["value"])

    @validate("persona")
    def _persona(self, proposal: Any) -> str:
        from workbench.configuration import load_settings
        from workbench.core.errors import WorkbenchError
        from workbench.registry.personas import find

        if name := str(proposal["value"]):
            try:
                settings = load_settings()
                find(settings.project, settings.config).get(name)
            except WorkbenchError as error:
                raise TraitError(f"Workbench.persona: {error.message} {error.hint}".strip()) from None
        return name

    @validate("timeout")
    def _timeout(self, proposal: Any) -> float | None:
        if proposal["value"] is not None and not 0 < proposal["value"] < 1e6:
            raise TraitError("Workbench.timeout: it is seconds, more than 0 and less than a million; None for no end.")
        return None if proposal["value"] is None else float(proposal["value"])

    @validate(*_ONE_OF)
    def _one_answer(self, proposal: Any) -> bool:
        other = _ONE_OF[proposal["trait"].name == "yes"]
        if proposal["value"] and getattr(self, other):
            raise TraitError(f"Workbench.yes and Workbench.deny exclude each other: set {other} to False first.")
        return bool(proposal["value"])

    def changed(self) -> dict[str, Any]:
        """What is set, by name."""
        defaults = {name: trait.default() for name, trait in self.traits(config=True).items()}
        return {name: getattr(self, name) for name, default in defaults.items() if getattr(self, name) != default}


def install(shell: Any) -> None:
    """Let `%config` know of it. A wrong value in `ipython_config.py` is told in one line, and none of it counts."""
    try:
        made = Workbench(config=shell.config)
    except TraitError as error:
        print(f"ipython_config.py: {error}", file=sys.stderr)  # noqa: T201 - loading says nothing else
        made = Workbench(config=Config())
    shell.configurables.append(made)


def uninstall(shell: Any) -> None:
    """Let `%config` forget it."""
    shell.configurables[:] = [one for one in shell.configurables if not isinstance(one, Workbench)]


def of(shell: Any) -> Workbench:
    """What is set in this shell."""
    found = (one for one in getattr(shell, "configurables", ()) if isinstance(one, Workbench))
    return next(found, None) or Workbench(config=Config())


def applied(line: Line, config: Workbench) -> Line:
    """The line with what it leaves open as it is set."""
    answered = line.yes or line.deny
    return replace(
        line,
        model=line.model or config.model or None,
        persona=line.persona or config.persona,
        budget=line.budget or config.budget or None,
        replay=line.replay or next((mode for mode in MODES if mode == config.replay), None),
        timeout=line.timeout if line.timeout is not None else config.timeout,
        memory=line.memory or config.memory,
        reuse=line.reuse or config.reuse,
        ask=line.ask or config.ask,
        yes=line.yes or (config.yes and not answered),
        deny=line.deny or (config.deny and not answered),
    )
