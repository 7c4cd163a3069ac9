import base64
import json
import socket
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from tests.web import Reply, Server, serving
from workbench.core.errors import Denied, ToolFailed, TransientError
from workbench.core.tools import Permissions
from workbench.policy.addresses import is_public
from workbench.policy.egress import http_service, retry_after
from workbench.policy.outgoing import WayOut
from workbench.policy.secrets import Secrets

KEY = "tvly-0123456789abcdef"
HOST = "api.example.com"
ASK: dict[str, Any] = {"method": "POST", "url": f"https://{HOST}/search?a=1", "json": {"q": "x"}}
ALLOWED = Permissions(network=(HOST,), secrets=("KEY",))


@pytest.fixture
def server():
    with serving() as server:
        yield server


def service(server: Server | None = None, *, key: str | None = KEY, **options: Any) -> Any:
    secrets = {"KEY": SecretStr(key), "OTHER": SecretStr("other-secret-value")} if key is not None else {}
    return http_service(WayOut(ALLOWED, Secrets(secrets), {HOST: server.url} if server else {}, **options).send)


async def test_a_declared_host_answers_with_json(server):
    server.replies = [Reply(body={"ok": [1]}, headers={"X-Internal": "no"})]
    answer = await service(server)(ASK)
    assert answer["status"] == 200
    assert answer["json"] == {"ok": [1]}
    assert answer["headers"] == {"content-type": "application/json"}
    assert server.heard[0].line == "POST /search?a=1 HTTP/1.1"
    assert server.heard[0].json == {"q": "x"}


async def test_the_key_is_added_on_the_way_out_only_when_named(server):
    await service(server)(ASK)
    await service(server)({**ASK, "auth": {"bearer": "KEY"}})
    assert "authorization" not in server.heard[0].headers
    assert server.heard[1].headers["authorization"] == f"Bearer {KEY}"


async def test_a_base_with_a_path_keeps_it(server):
    await http_service(WayOut(ALLOWED, Secrets({}), {HOST: server.url + "/proxy/"}).send)(ASK)
    assert server.heard[0].line == "POST /proxy/search?a=1 HTTP/1.1"


@pytest.mark.parametrize(
    "echo",
    [KEY, f"Bearer {KEY}", base64.b64encode(f"user:{KEY}".encode()).decode(), KEY.encode().hex()],
    ids=["plain", "header", "base64", "hex"],
)
async def test_a_key_that_the_server_echoes_does_not_reach_the_tool(server, echo):
    server.replies = [Reply(body={"you": {"said": echo}}, headers={"Location": f"/x?k={KEY}"})]
    answer = await service(server)({**ASK, "auth": {"bearer": "KEY"}})
    assert "[redacted]" in answer["json"]["you"]["said"]
    assert KEY not in json.dumps(answer)
    assert echo not in json.dumps(answer)


async def test_a_key_that_is_echoed_in_escapes_of_json_does_not_reach_the_tool(server):
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
    server.replies = [Reply(body=f'{{"said": "{escaped}"}}', headers={"Content-Type": "application/json"})]
    answer = await service(server)({**ASK, "auth": {"bearer": "KEY"}})
    assert answer["json"] == {"said": "[redacted]"}


@pytest.mark.parametrize("name", ["OTHER", "TAVILY_API_KEY", ""])
async def test_a_secret_that_is_not_declared_is_denied(server, name):
    with pytest.raises(Denied, match="does not declare the secret"):
        await service(server)({**ASK, "auth": {"bearer": name}})
    assert not server.heard


@pytest.mark.parametrize("key", [None, "", "  "])
async def test_a_missing_key_is_one_line_with_the_tools_own_hint(server, key):
    with pytest.raises(ToolFailed, match=r"KEY is not set\.") as caught:
        await service(server, key=key)({**ASK, "auth": {"bearer": "KEY", "hint": "Get one at example.com."}})
    assert caught.value.hint == "Get one at example.com."


async def test_a_key_with_a_line_break_is_refused_and_not_shown(server):
    with pytest.raises(ToolFailed) as caught:
        await service(server, key="abc\r\nX-Evil: 1")({**ASK, "auth": {"bearer": "KEY"}})
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("name", ["Authorization", "HOST", "cookie", "Proxy-Authorization", "Transfer-Encoding"])
async def test_a_tool_may_not_set_headers_that_carry_keys_or_change_the_way(server, name):
    with pytest.raises(Denied, match=name.lower()):
        await service(server)({**ASK, "headers": {name: "x"}})


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}/",
        f"https://{HOST}:8443/",
        f"https://evil@{HOST}/",
        "https://evil.example.com/",
        f"https://{HOST}.evil.com/",
        f"https://sub.{HOST}/",
        f"https://evil.com/?{HOST}",
        f"https://evil.com#@{HOST}/",
        f"https://{HOST}\\@evil.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "file:///etc/passwd",
        "ftp://" + HOST,
        "",
    ],
)
async def test_only_plain_https_to_declared_hosts(server, url):
    with pytest.raises((Denied, ToolFailed)):
        await service(server)({**ASK, "url": url})
    assert not server.heard


PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "224.0.0.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001::1",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b:1::7f00:1",
    "fec0::1",
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_that_leads_inside_is_denied(address):
    async def resolve(host: str) -> list[str]:
        return ["93.184.216.34", address]

    with pytest.raises(Denied, match="not a public address"):
        await service(resolve=resolve, transport=httpx2.MockTransport(lambda request: pytest.fail("connected")))(ASK)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_addresses_of_the_open_internet_are_public(address):
    assert is_public(address)


async def test_the_connection_goes_to_the_address_that_was_checked():
    seen: list[httpx2.Request] = []

    async def resolve(host: str) -> list[str]:
        return ["93.184.216.34", "2606:4700::1111"]

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={})

    await service(resolve=resolve, transport=httpx2.MockTransport(answer))(ASK)
    assert seen[0].url.host == "93.184.216.34"
    assert seen[0].headers["host"] == HOST
    assert seen[0].extensions["sni_hostname"] == HOST


async def test_a_name_without_an_address_may_be_tried_again():
    async def resolve(host: str) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(TransientError, match="cannot be looked up"):
        await service(resolve=resolve)(ASK)


async def test_redirects_are_not_followed(server):
    server.replies = [Reply(302, headers={"Location": server.url + "/elsewhere"})]
    answer = await service(server)(ASK)
    assert answer["status"] == 302
    assert len(server.heard) == 1


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
async def test_an_error_status_is_an_answer(server, status):
    server.replies = [Reply(status, {"detail": "why"}, {"Retry-After": "7"})]
    answer = await service(server)(ASK)
    assert (answer["status"], answer["json"], answer["retry_after"]) == (status, {"detail": "why"}, 7.0)


async def test_a_page_is_text_and_no_json(server):
    server.replies = [Reply(body="<html>hello", headers={"Content-Type": "text/html"})]
    answer = await service(server)(ASK)
    assert answer["text"] == "<html>hello"
    assert "json" not in answer


async def test_json_that_is_none_fails_for_good_and_with_an_error_status_is_text(server):
    kind = {"Content-Type": "application/json; charset=utf-8"}
    server.replies = [Reply(body="{oh", headers=kind), Reply(502, "{oh", kind)]
    with pytest.raises(ToolFailed, match="cannot be read"):
        await service(server)(ASK)
    assert (await service(server)(ASK))["text"] == "{oh"


async def test_a_cut_answer_may_be_tried_again(server):
    server.replies = [Reply(body={"results": []}, declared=1000)]
    with pytest.raises(TransientError, match="cut short"):
        await service(server)(ASK)


async def test_a_dead_endpoint_may_be_tried_again():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(TransientError, match="cannot be reached") as caught:
        await http_service(WayOut(ALLOWED, Secrets({}), {HOST: base}).send)(ASK)
    assert base in str(caught.value)


async def test_a_slow_answer_may_be_tried_again_and_is_not_waited_for(server):
    server.replies = [Reply(wait=3)]
    with pytest.raises(TransientError, match=r"within 0\.2 seconds"):
        await service(server, timeout=0.2)(ASK)


async def test_large_answers_and_requests_are_refused(server):
    server.replies = [Reply(body=b"x" * 2000)]
    with pytest.raises(ToolFailed, match="larger than 1,000 bytes"):
        await service(server, max_bytes=1000)(ASK)
    with pytest.raises(ToolFailed, match="at most 1,000 are sent"):
        await service(server, max_bytes=1000)({**ASK, "json": {"q": "x" * 2000}})


async def test_a_compressed_answer_is_refused(server):
    server.replies = [Reply(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})]
    with pytest.raises(ToolFailed, match="compressed"):
        await service(server)(ASK)
    assert server.heard[0].headers["accept-encoding"] == "identity"


async def test_proxies_in_the_environment_are_not_asked(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert (await service(server)(ASK))["status"] == 200


def test_nothing_heavy_is_imported_for_a_tool_that_makes_no_request():
    import subprocess
    import sys

    code = "import sys, workbench.policy.egress as e, workbench.policy.outgoing as o\n"
    code += "from workbench.core.tools import Permissions as P\nfrom workbench.policy.secrets import Secrets as S\n"
    code += "e.http_service(o.WayOut(P(), S({}), {}).send); print('httpx2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value, seconds):
    assert retry_after(value, datetime(2026, 11, 23, 12, tzinfo=UTC)) == seconds
