"""The door into Jupyter: `%load_ext workbench`. Loading is silent and light; the rest comes with the first request."""

from __future__ import annotations

from typing import Any


def load_ipython_extension(ipython: Any) -> None:
    """Give the kernel `%agent` and `%workbench`. Loading again changes nothing."""
    from workbench.notebook.magic import AgentMagics
    from workbench.notebook.panels import frozen

    if "agent" not in ipython.magics_manager.magics["line"]:
        ipython.register_magics(AgentMagics)
        frozen.register(ipython)
        ipython.set_hook("complete_command", _options, re_key=r"%{1,2}(?:agent|workbench)\b")


def unload_ipython_extension(ipython: Any) -> None:
    """Take the magics away again."""
    from workbench.notebook.panels import frozen

    frozen.unregister(ipython)
    for kind in ("line", "cell"):
        for name in ("agent", "workbench"):
            ipython.magics_manager.magics[kind].pop(name, None)


def _options(ipython: Any, event: Any) -> list[str]:
    from workbench.notebook.line import OPTIONS, VERBS

    return (
        [form.split()[0] for form in VERBS]
        if event.command.endswith("workbench")
        else [f"--{name}" for name in OPTIONS]
    )
