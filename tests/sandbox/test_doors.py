"""Ports of one call: open while it lives, closed to everybody else, gone with it."""

import asyncio
import os
import socket
import subprocess
import sys

import pytest

from workbench.core.errors import ToolFailed
from workbench.sandbox.doors import MAX_CONNECTIONS, MAX_DOORS, Doors
from workbench.sandbox.peers import owner


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data.upper())
        await writer.drain()


def connects(port: int) -> bool:
    with socket.socket() as knocking:
        knocking.settimeout(2)
        return knocking.connect_ex(("127.0.0.1", port)) == 0


async def said(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, b"hello")
    return await loop.sock_recv(connection, 100)


async def test_a_door_that_is_entered_leads_to_what_is_behind_it_and_nobody_else_can_come_in():
    doors = Doors()
    port = await doors.open(echo)
    inside = await doors.enter(port)
    assert inside is not None
    assert await said(inside) == b"HELLO"
    assert not connects(port)
    assert await doors.enter(port + 1) is None
    await doors.close()
    assert await asyncio.get_running_loop().sock_recv(inside, 100) == b""
    assert await doors.enter(port) is None
    inside.close()


async def test_a_door_that_listens_is_a_port_until_it_is_closed():
    doors = Doors()
    doors.listening = True
    port = await doors.open(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    assert await reader.read(100) == b"HELLO"
    await doors.close()
    assert await reader.read(100) == b""
    writer.close()
    assert not connects(port)


async def test_a_connection_that_breaks_costs_nothing_else():
    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        raise RuntimeError

    doors = Doors()
    broken, whole = await doors.open(breaks), await doors.open(echo)
    for port, wanted in ((broken, b""), (whole, b"HELLO")):
        inside = await doors.enter(port)
        assert inside is not None
        assert await said(inside) == wanted
        inside.close()
    await doors.close()


async def test_a_call_has_only_so_many_doors_and_connections():
    doors = Doors()
    ports = [await doors.open(echo) for _ in range(MAX_DOORS)]
    with pytest.raises(ToolFailed, match="16 ports"):
        await doors.open(echo)
    inside = [await doors.enter(ports[0]) for _ in range(MAX_CONNECTIONS)]
    assert None not in inside
    assert await doors.enter(ports[0]) is None
    await doors.close()
    for connection in inside:
        if connection is not None:
            connection.close()


KNOCK = """
import encodings.idna, os, socket, sys  # what comes later cannot be read by everybody
os.setuid(int(sys.argv[2]))
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
try:
    connection.sendall(b"hello")
    print(connection.recv(100).decode())
except ConnectionError:
    print("refused")
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_of_the_machine_does_not_come_in():
    doors = Doors()
    doors.listening = True
    port = await doors.open(echo)

    def knock(user: int) -> str:
        python = [sys.executable, "-I", "-c", KNOCK, str(port), str(user)]
        return subprocess.run(python, capture_output=True, text=True, check=True, cwd="/").stdout.strip()

    assert await asyncio.to_thread(knock, os.getuid()) == "HELLO"
    assert await asyncio.to_thread(knock, 65534) in ("", "refused")
    await doors.close()


TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:C000 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0
   1: 0100007F:D431 0100007F:C000 01 00000000:00000000 00:00000000 00000000  1001        0 2 1 0
   2: 0100007F:C000 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 3 1 0
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is in the machine's own byte order")
def test_the_owner_is_that_of_the_other_end():
    assert owner(TABLE, ("127.0.0.1", 0xD431), ("127.0.0.1", 0xC000)) == 1001
    assert owner(TABLE, ("127.0.0.1", 0xD432), ("127.0.0.1", 0xC000)) is None
    assert owner("", ("127.0.0.1", 1), ("127.0.0.1", 2)) is None
