"""The door into Jupyter: `%load_ext workbench`. Loading is silent and light; the rest comes with the first request."""

from __future__ import annotations

from typing import Any


def load_ipython_extension(ipython: Any) -> None:
    """Give the kernel `%agent` and `%workbench`. Loading again changes nothing."""
    from workbench.notebook import config, matching, questions
    from workbench.notebook.magic import AgentMagics
    from workbench.notebook.panels import frozen

    if "agent" not in ipython.magics_manager.magics["line"]:
        ipython.register_magics(AgentMagics)
        frozen.register(ipython)
        matching.install(ipython)
        config.install(ipython)
        questions.install(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take the magics away again."""
    from workbench.notebook import config, matching, questions
    from workbench.notebook.panels import frozen

    for kind in ("line", "cell"):
        for name in ("agent", "workbench"):
            ipython.magics_manager.magics[kind].pop(name, None)
    frozen.unregister(ipython)
    matching.uninstall(ipython)
    config.uninstall(ipython)
    questions.uninstall(ipython)
