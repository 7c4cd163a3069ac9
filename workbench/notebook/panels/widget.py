"""What the panels that stand by themselves share: one widget model, messages that are checked, and what stands in their
place without a kernel."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from functools import cache
from typing import Any

from workbench import bridge
from workbench.core.errors import WorkbenchError
from workbench.notebook import kernel
from workbench.notebook.panels.messages import Verb, begun, number, said
from workbench.render import escape


@cache
def panel_class() -> type[Any]:
    """The widget's class; made at the first use, since anywidget takes a while to import."""
    import anywidget
    import traitlets

    class Panel(anywidget.AnyWidget):
        """A panel. `about` says what it is where it cannot be shown; `verbs` are what its page may ask; `on_bug` hears
        of errors that are none of ours. `view` is what it shows, as plain JSON; `waits`: whether a busy cell keeps
        clicks waiting."""

        view = traitlets.Dict().tag(sync=True)
        waits = traitlets.Bool(True).tag(sync=True)

        def __init__(self, *, about: str, verbs: Mapping[str, Verb], on_bug: Any, **values: Any) -> None:
            super().__init__(**values)
            self._about, self._verbs, self._on_bug = about, verbs, on_bug
            self.on_msg(self._heard)
            self.waits = not kernel.route_clicks(kernel.shell(), self.comm)

        def set_state(self, sync_data: Any) -> None:
            """A page changes nothing by itself: what it wants it says in a message, which is checked."""

        def _heard(self, widget: Any, content: Any, buffers: Any) -> None:
            try:
                work = begun(content, self._verbs)
            except Exception as error:  # noqa: BLE001 - told to the page, and to the log below
                work = _failed(error)
            bridge.submit(self._answered(number(content), work))

        async def _answered(self, asked: int, work: Coroutine[Any, Any, Any]) -> None:
            try:
                reply = {"value": await work}
            except Exception as error:  # noqa: BLE001 - a panel outlives what goes wrong in it
                if not isinstance(error, WorkbenchError):
                    self._on_bug(error)
                reply = dict(said(error))
            self.send({"answer": asked, **reply})

        def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
            data, metadata = super()._repr_mimebundle_(**options) or ({}, {})
            # What stands there without widgets, and for good when the kernel has died.
            return {**data, "text/plain": self._about, "text/html": f"<p>{escape(self._about)}</p>"}, metadata

    return Panel


async def _failed(error: Exception) -> Any:
    raise error
