"""Named connections: where they are declared, what a call is granted, and that no worker learns a password."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from workbench.configuration import load_secrets, load_settings
from workbench.core.connections import Connection
from workbench.core.errors import Refused, ToolFailed, Unavailable
from workbench.core.tools import ToolCall, ToolSpec
from workbench.memory.volatile import InMemoryMemory
from workbench.models.testing import TestModel
from workbench.policy.connections import connection_services, granting
from workbench.policy.scram import Scram
from workbench.sandbox.doors import Doors
from workbench.workbench import Workbench

SERVER: dict[str, Any] = {"kind": "postgresql", "host": "db.example", "dbname": "d", "user": "u", "secret": "SHOP_DB"}
TOML = """
[connections.shop]
kind = "duckdb"
path = "~/shop.duckdb"

[connections.orders]
kind = "postgresql"
host = "db.example"
dbname = "orders"
user = "reader"
secret = "ORDERS_PASSWORD"
tables = ["orders"]
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(TOML)
    return {"WORKBENCH_CONFIG": str(tmp_path / "config"), "HOME": str(tmp_path), "ORDERS_PASSWORD": "canary-0123"}


def call(uses: tuple[str, ...] = ("sql",), **params: Any) -> ToolCall:
    tool = ToolSpec(name="t", summary="", params={}, version="0", source=b"", uses=uses)
    return ToolCall(run="r", step="s", tool=tool, params=params, timeout=5)


def test_the_users_own_file_declares_connections(env: dict[str, str], tmp_path: Path):
    settings = load_settings(env, tmp_path / "project")
    assert settings.connections["shop"].path == tmp_path / "shop.duckdb"
    assert settings.connections["orders"].tables == ("orders",)
    assert settings.connections["orders"].is_encrypted
    assert load_secrets(settings, env)["ORDERS_PASSWORD"].get_secret_value() == "canary-0123"
    assert "canary" not in repr(settings)
    assert "canary" not in settings.model_dump_json()


def test_a_committed_file_adds_none(env: dict[str, str], tmp_path: Path):
    (tmp_path / "project" / "workbench.toml").write_text('[connections.evil]\nkind = "sqlite"\npath = "/etc/x"\n')
    with pytest.raises(Unavailable, match=r"workbench\.toml may not set connections"):
        load_settings(env, tmp_path / "project")


def test_the_environment_adds_none(env: dict[str, str], tmp_path: Path):
    settings = load_settings(env | {"WORKBENCH_CONNECTIONS": "{}"}, tmp_path / "project")
    assert set(settings.connections) == {"shop", "orders"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[connections.x]\nkind = "oracle"', "connections.x.kind"),
        ('[connections.x]\nkind = "sqlite"\npath = "shop.db"', "whole path"),
        ('[connections.x]\nkind = "sqlite"\npath = "/a"\nhost = "h"', "has no host"),
        ('[connections.x]\nkind = "postgresql"\nhost = "h"', "needs dbname, user"),
        ('[connections.x]\nkind = "postgresql"\npassword = "hunter2"', "password"),
        ('[connections."../x"]\nkind = "sqlite"\npath = "/a"', "no name for a connection"),
        ("connections = 3", "connections"),
        ("[connections]\nx = 3", "connections.x"),
    ],
)
def test_a_wrong_connection_is_one_line_that_names_it(env: dict[str, str], tmp_path: Path, text: str, word: str):
    (tmp_path / "config" / "config.toml").write_text(text)
    with pytest.raises(Unavailable) as caught:
        load_settings(env, tmp_path / "project")
    assert word in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert len(caught.value.lines()) <= 2


def test_a_file_is_granted_to_the_call_that_names_it_and_to_no_other(tmp_path: Path):
    path = tmp_path / "shop.sqlite"
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").touch()
    there = {"shop": Connection(kind="sqlite", path=path)}
    assert granting(there, call(connection="shop")).reads == (str(path), f"{path}-wal", f"{path}-shm")
    for other in (call(connection="other"), call(), call(uses=("http",), connection="shop"), call(sql="shop")):
        assert granting(there, other).reads == ()


async def test_the_worker_is_told_where_to_go_and_no_more():
    doors = Doors()
    doors.listening = True
    secrets = {"SHOP_DB": SecretStr("canary")}
    services = connection_services({"shop": Connection(**SERVER)}, secrets, call(connection="shop"), doors)
    assert await services["sql.connections"]({}) == [{"name": "shop", "kind": "postgresql"}]
    told = await services["sql.open"]({"connection": "shop"})
    assert set(told) == {"kind", "tables", "host", "port", "dbname", "user"}
    assert (told["host"], "canary" in str(told)) == ("127.0.0.1", False)
    with pytest.raises(ToolFailed, match="no connection 'nope'") as caught:
        await services["sql.open"]({"connection": "nope"})
    assert "shop" in caught.value.hint
    await doors.close()


async def test_a_file_that_was_not_granted_is_not_opened(tmp_path: Path):
    there = {"shop": Connection(kind="sqlite", path=tmp_path / "x.db")}
    services = connection_services(there, {}, call(connection="shop"), Doors())
    with pytest.raises(ToolFailed, match="not there or not granted"):
        await services["sql.open"]({"connection": "shop"})


def test_a_password_is_proven_as_the_standard_says():
    """The example of RFC 7677."""
    scram = Scram("pencil", user="user", nonce="rOprNGfwEbeRWgbNEkqO")
    assert scram.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    proof = scram.answer(f"r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode())
    assert proof == f"c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()
    scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert scram.proven


@pytest.mark.parametrize(
    "challenge",
    [b"", b"r=abc,s=AA==,i=1", b"r=MEINS,s=AA==,i=1", b"r=MEINSx,s=!,i=1", b"r=MEINSx,s=AA==,i=99999999999", b"\xff"],
)
def test_a_challenge_that_no_honest_server_sends_is_refused(challenge: bytes):
    with pytest.raises(Unavailable):
        Scram("p", nonce="MEINS").answer(challenge)


def test_a_last_word_that_proves_nothing_is_refused():
    scram = Scram("p", nonce="MEINS")
    with pytest.raises(Unavailable):
        scram.check(b"v=")
    scram.answer(b"r=MEINSx,s=AA==,i=1")
    for word in (b"v=", b"v=AAAA", b"e=other-error"):
        with pytest.raises(Unavailable):
            scram.check(word)


def test_a_connection_is_whole_or_refused():
    with pytest.raises(ValidationError):
        Connection(kind="duckdb")
    assert not Connection(**{**SERVER, "host": "/run/postgresql"}).is_encrypted
    assert not Connection(**{**SERVER, "tls": "off"}).is_encrypted


async def test_a_model_learns_names_and_kinds_of_databases_and_nothing_else(env: dict[str, str], tmp_path: Path):
    settings = load_settings(env, tmp_path / "project")
    model = TestModel([{"refusal": "no", "steps": []}])
    bench = Workbench(settings, model=model, memory=InMemoryMemory())
    with pytest.raises(Refused):
        await bench.ask("how many orders are there?")
    said = "\n".join(message.content for message in model.calls[0].messages)
    assert "# databases\norders: postgresql\nshop: duckdb\n" in said
    assert not [word for word in ("db.example", "reader", "ORDERS_PASSWORD", "canary", "shop.duckdb") if word in said]
    await bench.close()
