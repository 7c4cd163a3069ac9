"""Where a model is served, and the key for it: what both have to be before anybody is asked."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from workbench.core.errors import Unavailable
from workbench.models.prices import OPENAI


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The settings that say where a server is, and its key: what errors speak of."""

    base_url: str
    key: str


CHAT = Names(base_url="OPENAI_BASE_URL", key="OPENAI_API_KEY")


def host(url: str) -> str:
    """The host of an http address, "" for any other text."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def usable_key(model: str, base_url: str, key: SecretStr | None, names: Names = CHAT) -> str:
    """The key to send for `model` at `base_url`, "" where none is needed. Raises Unavailable, with the setting to look
    at, when that is no address, or the key is missing or none."""
    value = key.get_secret_value().strip() if key else ""
    if not host(base_url):
        raise Unavailable(
            "The base URL of the model is not an http address.", hint=f"Write {names.base_url} as http://host:port/v1."
        )
    if base_url == OPENAI and not value:
        hint = f"Set {names.key}, or {names.base_url} for a server of your own."
        raise Unavailable(f"{model} needs a key.", hint=hint)
    if not value.isascii() or not value.isprintable():
        raise Unavailable("The model's key holds characters that no key has.", hint=f"Set {names.key} again.")
    return value
