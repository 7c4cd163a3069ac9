"""Which embedder compares meanings at recall: an endpoint's when one is set, else MiniLM if installed, else letters."""

from __future__ import annotations

from pathlib import Path

from workbench.core.settings import Settings
from workbench.memory.embed import Embedder, Hashing
from workbench.memory.minilm import MiniLM
from workbench.models.embeddings import Embeddings


def choose(settings: Settings) -> Embedder:
    """The best embedder that these settings allow. Opens nothing and loads nothing."""
    if settings.embed_model:
        # A key goes to the endpoint that it was given for and to no other.
        same = not settings.embed_base_url or settings.embed_base_url == settings.base_url
        key = settings.embed_api_key or (settings.api_key if same else None)
        return Embeddings(settings.embed_model, base_url=settings.embed_base_url or settings.base_url, api_key=key)
    folder = minilm_folder(settings)
    return MiniLM(folder) if (folder / "model.safetensors").is_file() else Hashing()


def minilm_folder(settings: Settings) -> Path:
    """Where `workbench embed install` puts the model: among the user's own files, for all their projects."""
    return settings.config / "models" / "all-MiniLM-L6-v2"
