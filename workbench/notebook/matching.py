"""Tells IPython of our completions: by a matcher where it knows them (IPython 8.6 and newer), else by its older hook.

A matcher whose list stands alone: names of the namespace do not stand between the options. Neither raises anything, and
nothing of it is imported before somebody presses Tab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.notebook.completion import Offered, Sources

_COMMAND = r"%{1,2}(?:agent|workbench)\b"
_sources: list[Sources] = []


def install(shell: Any) -> None:
    """Complete the lines of our magics in this shell; a second time changes nothing."""
    uninstall(shell)
    from IPython.core import completer

    decorate: Any = getattr(completer, "context_matcher", None)
    if decorate is None or not hasattr(getattr(shell, "Completer", None), "custom_matchers"):
        shell.set_hook("complete_command", _hook, re_key=_COMMAND)
        return

    def workbench_matcher(context: Any) -> Any:
        before = context.full_text.split("\n")[: context.cursor_line]
        return result(_offered("\n".join([*before, context.text_until_cursor]), shell))

    shell.Completer.custom_matchers.append(decorate(identifier="workbench", priority=1000)(workbench_matcher))


def uninstall(shell: Any) -> None:
    """Complete them no longer."""
    matchers = getattr(getattr(shell, "Completer", None), "custom_matchers", [])
    matchers[:] = [one for one in matchers if getattr(one, "matcher_identifier", "") != "workbench"]


def result(offered: Offered | None) -> Any:
    """What is offered in the words of IPython."""
    from IPython.core.completer import SimpleCompletion

    if offered is None:
        return {"completions": [], "suppress": False}
    found = [SimpleCompletion(one.text, type=one.what or "value") for one in offered.found]
    return {"completions": found, "matched_fragment": offered.typed, "suppress": True, "ordered": True}


def _hook(shell: Any, event: Any) -> list[str]:
    """As an IPython without matchers asks: the texts from where the word begins that it has found itself."""
    offered = _offered(event.text_until_cursor, shell)
    if offered is None:
        return []
    before = max(0, len(offered.typed) - len(event.symbol))
    return [one.text[before:] for one in offered.found]


def _offered(text: str, shell: Any) -> Offered | None:
    try:
        from workbench.notebook.completion import Sources, completions

        if not _sources:
            _sources.append(Sources())
        return completions(text, getattr(shell, "user_ns", None) or {}, _sources[0])
    except Exception:  # noqa: BLE001 - the user is typing: nothing that goes wrong here is theirs to read
        return None
