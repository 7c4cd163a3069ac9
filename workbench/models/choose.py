"""Which model answers, makes pictures, speaks and listens, from the settings alone."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from workbench.core.settings import Settings
from workbench.models.address import CHAT, Names
from workbench.models.audio import Speech, Transcription
from workbench.models.diffusion import PREFIX, Diffusion
from workbench.models.images import ImageModel, OpenAIImages
from workbench.models.openai import OpenAIModel
from workbench.models.remote import Remote

DEFAULT = "gpt-4o"
SLOW = {"IMAGE": 300.0, "SPEECH": 300.0, "TRANSCRIPTION": 600.0}
"""Seconds that a try has at least, whatever a model for words may take: OpenAI's own say two minutes for one picture,
and of several, or a long recording, nobody says it."""


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


def choose_images(settings: Settings) -> ImageModel | None:
    """The model for pictures that the settings name, None when they name none: there is no default, since the names of
    such models change within a year."""
    if not settings.image_model:
        return None
    if settings.image_model.startswith(PREFIX):
        return Diffusion(Path(settings.image_model.removeprefix(PREFIX)).expanduser().absolute())
    own = settings.image_base_url, settings.image_api_key
    return OpenAIImages(_remote(settings, settings.image_model, "IMAGE", *own, key_name="WORKBENCH_IMAGE_API_KEY"))


def choose_speech(settings: Settings) -> Speech | None:
    """The model that reads aloud, None when the settings name none."""
    if not settings.speech_model:
        return None
    own = settings.speech_base_url, settings.audio_api_key
    return Speech(_remote(settings, settings.speech_model, "SPEECH", *own), settings.speech_voice)


def choose_transcription(settings: Settings) -> Transcription | None:
    """The model that writes down speech, None when the settings name none."""
    if not settings.transcription_model:
        return None
    own = settings.transcription_base_url, settings.audio_api_key
    return Transcription(_remote(settings, settings.transcription_model, "TRANSCRIPTION", *own))


def _remote(
    settings: Settings,
    name: str,
    which: str,
    base_url: str,
    key: SecretStr | None,
    key_name: str = "WORKBENCH_AUDIO_API_KEY",
) -> Remote:
    return Remote(
        name,
        base_url=base_url or settings.base_url,
        api_key=_key(settings, base_url, key),
        timeout=max(settings.model_timeout, SLOW[which]),
        retries=settings.model_retries,
        model=f"WORKBENCH_{which}_MODEL",
        names=Names(
            base_url=f"WORKBENCH_{which}_BASE_URL" if base_url else CHAT.base_url,
            key=key_name if base_url or key else CHAT.key,
        ),
    )


def _key(settings: Settings, base_url: str, own: SecretStr | None) -> SecretStr | None:
    """A key goes to the endpoint that it was given for and to no other."""
    same = not base_url or base_url == settings.base_url
    return own or (settings.api_key if same else None)
