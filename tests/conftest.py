"""What every test gets without asking: no way to the outside, and a home of its own.

The network guard is an audit hook, so it also sees connections that are made in C or by a library that kept its own
reference to `socket`. A hook cannot be taken away again, therefore it asks a flag that only tests set.
"""

import ipaddress
import os
import shutil
import socket
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from workbench.sandbox import linux
from workbench.sandbox.course import imports
from workbench.sandbox.owned import shared

R = TypeVar("R", pytest.TestReport, pytest.CollectReport)
# Properties are judged by what they say, not by how long a busy machine takes to say it.
settings.register_profile("any machine", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parent.parent
NAME_LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
OUTGOING = {"socket.connect", "socket.sendto", "socket.sendmsg"}


class NetworkForbidden(RuntimeError):
    """A test reached for another machine. Not an OSError: code that shrugs off failing networks must not hide it."""


class NetworkGuard:
    """Forbids all but loopback addresses and unix sockets while a test runs; `attempts` holds what was refused."""

    def __init__(self) -> None:
        self.active = False
        self.attempts: list[str] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.active or not event.startswith("socket."):
            return
        if event in NAME_LOOKUPS:
            host = arguments[0]
        elif event in OUTGOING and isinstance(arguments[0], socket.socket):
            if arguments[0].family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(arguments[1], tuple):
                return
            host = arguments[1][0]
        else:
            return
        if not is_this_machine(host):
            self.attempts.append(f"{event} {host!r}")
            raise NetworkForbidden(f"a test may only reach this machine, not {host!r} ({event})")


def is_this_machine(host: object) -> bool:
    """True for loopback addresses and `localhost`; None and "" are "this machine" to `getaddrinfo`."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost", "ip6-localhost", "ip6-loopback"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


GUARD = NetworkGuard()
sys.addaudithook(GUARD)


@pytest.fixture(autouse=True)
def network_guard() -> Iterator[NetworkGuard]:
    """Refuse other machines, and fail the test even when the code under test swallowed the refusal."""
    GUARD.attempts.clear()
    GUARD.active = True
    yield GUARD
    GUARD.active = False
    if GUARD.attempts:
        pytest.fail(f"the test reached for the network: {', '.join(GUARD.attempts)}")


@pytest.fixture(scope="session", autouse=True)
def warm_server() -> Iterator[None]:
    """Keep this process's fork server from one test to the next: each start of one imports pandas and DuckDB."""
    if linux.supported():
        yield
        return
    server = shared(imports(ROOT))
    yield
    server.end()


@pytest.fixture
def level() -> str:
    """The level of isolation that this machine must give."""
    return "process" if linux.supported() else "kernel"


@pytest.fixture(scope="session")
def shared_caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Caches that are slow to fill and safe to share, such as matplotlib's list of fonts."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, shared_caches: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test and its processes folders of their own and no key of the developer's. Returns the home."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "TAVILY_", "WORKBENCH_", "XDG_", "JUPYTER_", "IPYTHON")) or name.endswith(
            "_API_KEY"
        ):
            monkeypatch.delenv(name)
    folders = {
        "HOME": home,
        "WORKBENCH_HOME": home / "workbench",
        "WORKBENCH_CONFIG": home / "config",
        "IPYTHONDIR": home / "ipython",
        "JUPYTER_CONFIG_DIR": home / "jupyter" / "config",
        "JUPYTER_DATA_DIR": home / "jupyter" / "data",
        "JUPYTER_RUNTIME_DIR": home / "jupyter" / "runtime",
        "MPLCONFIGDIR": shared_caches,
    }
    for name, folder in folders.items():
        monkeypatch.setenv(name, str(folder))
    return home


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The questions, attacks and look-alike sentences that releases are measured on."""
    return ROOT / "tests" / "corpus"


@pytest.fixture(scope="session")
def samples() -> Path:
    """The small data sets that are shipped with the repository."""
    return ROOT / "data" / "samples"


def never_skipped(report: R) -> R:
    """Turn a skip into a failure where CI=true: a component that is missing there is a hole in the proof."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"with CI=true nothing is skipped: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return never_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return never_skipped((yield))


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the distribution's chromium; without one the test is skipped, or fails where CI=true."""
    return shutil.which("chromium") or pytest.skip("chromium is not installed (Debian: apt-get install chromium)")


@pytest.fixture(scope="session")
def aimock_program() -> Path:
    """aimock's program, installed by npm once and kept beside the environment; else as `chromium`."""
    from tests.planners import aimock

    return aimock.installed() or pytest.skip("npm is not there to install aimock with")


@pytest.fixture(autouse=True)
def own_workbench(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test makes this process's workbench is no other test's."""
    import workbench.workbench as root
    from workbench.bridge import wait

    monkeypatch.setattr(root, "_current", None)
    yield
    if root._current is not None:
        wait(root._current.close())
