"""Model servers of others that the planners' tests speak with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.planners import aimock
from tests.planners import llama as llama_server


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of llama.cpp's server."""
    pytest.importorskip("xllamacpp")
    with llama_server.serving(tmp_path_factory.mktemp("llama")) as url:
        yield url


@pytest.fixture(scope="session")
def aimock_program() -> Path:
    """aimock's program, installed by npm once and kept beside the environment."""
    program = aimock.installed()
    if program is None:
        pytest.skip("npm is not there to install aimock with")
    return program
