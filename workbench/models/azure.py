"""Azure's OpenAI service: the same chat completions behind another kind of address and another header for the key.

Both of its addresses go into OPENAI_BASE_URL as they are:

    https://NAME.openai.azure.com/openai/v1                              the model's name is that of the deployment
    https://NAME.openai.azure.com/openai?api-version=2025-04-01-preview  the older one, a version with every request
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

if TYPE_CHECKING:
    import httpx2
    import openai

_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com", ".azure-api.net")


def is_azure(base_url: str) -> bool:
    """Whether the address is one of Azure's, or asks for Azure's manner by naming an API version."""
    try:
        parts = urlsplit(base_url)
    except ValueError:
        return False
    return (parts.hostname or "").endswith(_HOSTS) or "api-version" in parse_qs(parts.query)


def client(base_url: str, key: str, http_client: httpx2.AsyncClient, **options: Any) -> openai.AsyncOpenAI:
    """The SDK's client for an address of Azure's, over `http_client`. `options` as for any other."""
    import openai

    parts = urlsplit(base_url)
    version = parse_qs(parts.query).get("api-version", [""])[0]
    bare = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    if version:
        return openai.AsyncAzureOpenAI(
            base_url=bare, api_key=key or "none", api_version=version, http_client=http_client, **options
        )
    headers = {**options.pop("default_headers", {}), "api-key": key}
    http_client.event_hooks = {**http_client.event_hooks, "request": [_without_bearer]}
    return openai.AsyncOpenAI(
        base_url=bare, api_key=key or "none", default_headers=headers, http_client=http_client, **options
    )


async def _without_bearer(request: httpx2.Request) -> None:
    # A bearer there is a token of Entra's: a key in that place may be refused although the right header has it too.
    request.headers.pop("Authorization", None)
