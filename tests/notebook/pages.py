"""A page that shows a panel, without a browser: it sends what a person clicks and keeps what it hears."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from typing import Any

import comm
from comm.base_comm import BaseComm


class HeardComm(BaseComm):
    """A comm whose messages are kept."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.heard: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self.state: dict[str, Any] = {}
        super().__init__(*args, **kwargs)

    def publish_msg(self, msg_type: str, data: Any = None, *args: Any, **keys: Any) -> None:
        if data and data.get("method") in ("update", None):
            self.state |= data.get("state", {})
        self.heard.put(data or {})


def listening(monkeypatch: Any) -> None:
    """Give every widget that is made now a comm that is kept."""
    import ipywidgets  # noqa: F401 - it chooses a comm of its own when it is imported first

    monkeypatch.setattr(comm, "create_comm", HeardComm)


class Page:
    """The page of one panel."""

    def __init__(self, panel: Any) -> None:
        self.panel = panel
        self._number = 0
        self._answers: dict[int, Mapping[str, Any]] = {}

    @property
    def state(self) -> Mapping[str, Any]:
        """What the page knows of the panel's values."""
        return dict(self.panel.comm.state)

    def send(self, content: Any) -> None:
        """Send a message as it is."""
        message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
        self.panel.comm.handle_msg(message)

    def ask(self, content: Mapping[str, Any], seconds: float = 30) -> Mapping[str, Any]:
        """Send a message and give its answer."""
        self._number += 1
        self.send({**content, "ask": self._number})
        return self.answer(self._number, seconds)

    def answer(self, number: int, seconds: float = 30) -> Mapping[str, Any]:
        """The answer under a number."""
        self._wait(lambda: number in self._answers, seconds)
        return self._answers.pop(number)

    def until(self, happened: Callable[[Mapping[str, Any]], Any], seconds: float = 60) -> Mapping[str, Any]:
        """What the panel shows, as soon as it is so."""
        self._wait(lambda: happened(self.state.get("view", {})), seconds)
        found: Mapping[str, Any] = self.state["view"]
        return found

    def _wait(self, done: Callable[[], Any], seconds: float) -> None:
        while not done():
            heard = self.panel.comm.heard.get(timeout=seconds)
            content = heard.get("content")
            if heard.get("method") == "custom" and "answer" in content:
                self._answers[content["answer"]] = content
