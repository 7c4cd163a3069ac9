"""The host functions that a tool may call: the project's memory, and the one way out to the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import SecretStr

from workbench.calls import Tell
from workbench.core.request import Scope
from workbench.core.tools import ToolCall
from workbench.memory.remember import Note, Remembering
from workbench.policy.egress import http_service
from workbench.sandbox.base import Service
from workbench.sandbox.doors import Doors


def host_services(
    memory: Remembering, scope: Scope, secrets: Mapping[str, SecretStr], bases: Mapping[str, str], tell: Tell
) -> Callable[[ToolCall, Doors], Mapping[str, Service]]:
    """For each call the host functions by name; the sandbox holds the tool to those that its USES declare.

    `secrets` and `bases` as in `policy.egress`; `tell` reports events of the run.
    """

    def services(call: ToolCall, doors: Doors) -> Mapping[str, Service]:
        async def write(params: Mapping[str, Any]) -> Any:
            note = Note(
                text=str(params["text"]),
                kind=str(params.get("kind", "fact")),
                scope=scope,
                source=f"{call.run}/{call.step}",
                by="tool",
            )
            kept = await memory.remember(note, lambda kind, body: tell(kind, body, call.step), run=call.run)
            return {
                "id": kept.id,
                "text": kept.text,
                "became": kept.became,
                "closed": [hit.text for hit in kept.closed],
            }

        async def recall(params: Mapping[str, Any]) -> Any:
            limit = int(params.get("limit", 5))
            hits = await memory.recall(str(params["question"]), scope, limit, run=call.run)
            return [asdict(hit) for hit in hits]

        http = http_service(call.tool.permissions, secrets, bases)
        return {"memory.write": write, "memory.recall": recall, "http": http}

    return services
