"""Which model answers, from the settings alone."""

from __future__ import annotations

from workbench.core.settings import Settings
from workbench.models.openai import OpenAIModel

DEFAULT = "gpt-4o"


def choose(settings: Settings) -> OpenAIModel | None:
    """The model that the settings name; with a key alone `gpt-4o`; with a base URL alone the one that is served there.

    None when nothing is set, which means planning by grammar. Asks nobody: a model that is named but cannot be reached
    says so at its first call, because going on without it would not be what the user asked for.
    """
    key = settings.api_key if settings.api_key and settings.api_key.get_secret_value().strip() else None
    if not (settings.model or settings.base_url or key):
        return None
    return OpenAIModel(
        settings.model or ("" if settings.base_url else DEFAULT),
        base_url=settings.base_url,
        api_key=key,
        timeout=settings.model_timeout,
        retries=settings.model_retries,
    )
