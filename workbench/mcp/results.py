"""What an MCP tool gave, as the result of a step: text, structure, pictures. Nothing of it is believed."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core import artifacts as handles
from workbench.core.artifacts import Artifact
from workbench.core.errors import WorkbenchError
from workbench.core.tools import ToolCall, ToolResult
from workbench.sandbox.files import Outputs
from workbench.sandbox.limits import Limits
from workbench.sandbox.values import NotPlain, plain

if TYPE_CHECKING:
    import mcp_types as types

MAX_ERROR = 4000
"""Characters of an error that a server reports."""


def result(given: types.CallToolResult, what: ToolCall, folder: Path, limits: Limits | None = None) -> ToolResult:
    """The result of a call. Pictures become files of the run; what is of another kind is named as left out."""
    limits = limits or Limits()
    texts = [block.text for block in given.content if block.type == "text"]
    if given.is_error:
        return failed("\n".join(texts)[:MAX_ERROR].strip() or "It failed and did not say why.")
    left: list[str] = []
    with Outputs(folder, what.run, what.step, limits) as outputs:
        pictures = list(_pictures(given, outputs, left))
        texts += [line for block in given.content for line in _other(block, left)]
        try:
            value = plain(_value(given.structured_content, "\n".join(texts), pictures), _kept)
        except NotPlain as error:
            return failed(str(error))
        size = len(json.dumps(handles.to_json(value)))
        if size > limits.result:
            return failed(f"The result is {size:,} bytes of JSON; the limit is {limits.result:,}.")
        return ToolResult(
            status="ok",
            value=value,
            text=f"Left out: {', '.join(left)}." if left else "",
            artifacts=tuple(handles.find(value)),
            isolation="none",
        )


def failed(error: str, hint: str = "") -> ToolResult:
    return ToolResult(status="failed", error=error, hint=hint, isolation="none")


def _value(structure: Any, text: str, pictures: list[Artifact]) -> Any:
    """Structure where there is some, else text; beside pictures both under their names."""
    said = structure if structure is not None else text
    if not pictures:
        return said
    named = {"text": text} if structure is None else {"value": structure}
    return {**({} if said in ("", None) else named), "images": pictures}


def _kept(item: Any) -> Artifact | None:
    return item if isinstance(item, Artifact) else None


def _pictures(given: types.CallToolResult, outputs: Outputs, left: list[str]) -> Iterator[Artifact]:
    for block in given.content:
        if block.type != "image":
            continue
        try:
            data = base64.b64decode(block.data, validate=True)
            number, fd = outputs.open("image")
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            yield outputs.settle(number)
        except (binascii.Error, ValueError):
            left.append("a picture that is not base64")
        except WorkbenchError as error:
            left.append(f"a picture ({block.mime_type[:40]}): {error.message}")


def _other(block: Any, left: list[str]) -> Iterator[str]:
    match block.type:
        case "resource_link":
            yield f"{block.name}: {block.uri}"
        case "resource" if hasattr(block.resource, "text"):
            yield str(block.resource.text)
        case "resource":
            left.append(f"a file ({str(block.resource.mime_type)[:40]})")
        case "audio":
            left.append(f"sound ({block.mime_type[:40]})")
