"""Model servers of others that the planners' tests speak with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.planners import llama as llama_server


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of llama.cpp's server."""
    pytest.importorskip("xllamacpp")
    with llama_server.serving(tmp_path_factory.mktemp("llama")) as url:
        yield url
