import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from workbench import toolkit

ROOT = Path(__file__).resolve().parents[2]


def load(name: str) -> ModuleType:
    """A shipped tool as a module, for its functions to be called here."""
    spec = importlib.util.spec_from_file_location(f"tool_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Host:
    """Stands where the worker stands: answers host functions, hears sources, knows the project."""

    def __init__(self) -> None:
        self.services: dict[str, Callable[[Mapping[str, Any]], Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.sources: list[dict[str, str]] = []
        self.context: list[dict[str, Any]] = []

    def call(self, service: str, params: Mapping[str, Any]) -> Any:
        self.calls.append((service, dict(params)))
        return self.services[service](params)

    def be_patient(self, seconds: float) -> None:
        """Let the call have so many seconds for one answer."""
        toolkit._Host.patience = seconds

    def tell(self, kind: str, body: Mapping[str, Any]) -> None:
        if kind == "source":
            self.sources.append(dict(body))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host, real = Host(), toolkit._Host
    before, patience = (real.call, real.tell, real.context, real.project), real.patience
    real.call, real.tell, real.context, real.project = host.call, host.tell, lambda: host.context, tmp_path
    yield host
    real.call, real.tell, real.context, real.project = before
    real.patience = patience
