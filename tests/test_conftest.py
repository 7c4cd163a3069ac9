import asyncio
import contextlib
import os
import socket
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import NetworkForbidden, NetworkGuard

pytest_plugins = ["pytester"]

OUTSIDE = "192.0.2.1"  # TEST-NET-1: belongs to nobody, so even a broken guard disturbs no one


@pytest.fixture
def refused(network_guard: NetworkGuard):
    """The attempts of a test that makes them on purpose."""
    yield network_guard.attempts
    network_guard.attempts.clear()


def test_another_machine_cannot_be_connected_to(refused):
    with socket.socket() as sock, pytest.raises(NetworkForbidden, match=OUTSIDE):
        sock.connect((OUTSIDE, 80))
    assert len(refused) == 1


def test_a_name_cannot_be_looked_up(refused):
    with pytest.raises(NetworkForbidden, match=r"example\.org"):
        socket.getaddrinfo("example.org", 443)
    assert len(refused) == 1


def test_a_datagram_cannot_leave(refused):
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(NetworkForbidden):
        sock.sendto(b"hello", (OUTSIDE, 53))
    assert len(refused) == 1


async def test_asyncio_cannot_leave_either(refused):
    with pytest.raises(NetworkForbidden):
        await asyncio.open_connection(OUTSIDE, 80)
    assert len(refused) == 1


def test_an_attempt_is_known_even_when_the_code_swallows_the_refusal(refused):
    with contextlib.suppress(Exception):
        urllib.request.urlopen("http://example.org/")
    assert refused


async def test_this_machine_can_be_reached():
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()


def test_unix_sockets_are_open():
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"hello")
        assert right.recv(5) == b"hello"


def test_each_test_has_a_home_of_its_own(own_home: Path):
    assert Path.home() == own_home
    assert Path(os.environ["WORKBENCH_HOME"]).is_relative_to(own_home)
    assert not any(own_home.iterdir())


def test_no_key_of_the_developer_is_visible():
    assert not [name for name in os.environ if name.startswith(("OPENAI_", "TAVILY_"))]


SKIPS = """
import pytest

def test_with_a_missing_part():
    pytest.skip("no chromium here")

@pytest.mark.skipif(True, reason="no llama here")
def test_with_another():
    pass

@pytest.mark.xfail
def test_known_to_fail():
    assert False
"""


@pytest.mark.parametrize(
    ("ci", "outcomes"),
    [("true", {"failed": 1, "errors": 2, "xfailed": 1}), ("", {"skipped": 3, "xfailed": 1})],
)
def test_a_skip_is_a_failure_where_ci_says_so(
    pytester: pytest.Pytester, monkeypatch, ci: str, outcomes: dict[str, int]
):
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest("from tests.conftest import pytest_make_collect_report, pytest_runtest_makereport")
    pytester.makepyfile(test_parts=SKIPS, test_whole_module="import pytest\npytest.importorskip('no_such_module')\n")
    options = ["-p", "no:asyncio", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    pytester.runpytest_inprocess(*options).assert_outcomes(**outcomes)
