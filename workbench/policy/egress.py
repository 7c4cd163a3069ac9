"""The host function `http`: what a tool asks for by hand, answered as JSON or text."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from workbench.core.errors import ToolFailed
from workbench.policy.messages import Answered
from workbench.sandbox.base import Service

_RETURNED = ("content-type", "date", "etag", "last-modified", "link", "location", "retry-after")


def http_service(send: Service) -> Service:
    """The host function on a way out (`WayOut.send`, with the policy around it).

    Takes `{method, url, headers, json | body, auth, cut, raw}` and answers `{status, headers, retry_after, cut}` with
    `json` when the answer says it is JSON, else `text`; with `raw` only `body`, its bytes in base64. Raises as `send`
    does.
    """

    async def http(params: Mapping[str, Any]) -> dict[str, Any]:
        headers = {str(name).lower(): value for name, value in (params.get("headers") or {}).items()}
        headers = {"accept": "application/json, text/*", **headers}
        return _answer(await send({**params, "headers": headers}), raw=params.get("raw") is True)

    return http


def _answer(answered: Answered, *, raw: bool = False) -> dict[str, Any]:
    headers = {name: value for name in _RETURNED if (value := answered.header(name))}
    answer: dict[str, Any] = {
        "status": answered.status,
        "headers": headers,
        "retry_after": retry_after(headers.get("retry-after", ""), datetime.now(UTC)),
    }
    if answered.cut:
        answer["cut"] = True
    if raw:
        return answer | {"body": base64.b64encode(answered.content).decode("ascii")}
    text = answered.content.decode("utf-8", "replace")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return answer | {"text": text}
    try:
        return answer | {"json": json.loads(text)}
    except (ValueError, RecursionError):
        if 200 <= answered.status < 300:
            raise ToolFailed("The answer says that it is JSON and cannot be read.") from None
        return answer | {"text": text}


def retry_after(value: str, now: datetime) -> float | None:
    """The seconds that a Retry-After header asks for, in either of its forms; None when it does not say."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None
