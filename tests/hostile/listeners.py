"""Everything on this machine that an attack could talk to. What arrives is kept, with the name of where it arrived."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

OTHER_MACHINE, METADATA, SECOND_LOOPBACK = "10.1.2.3", "169.254.169.254", "127.0.0.2"


class Listeners:
    """Serves in a thread of its own; `heard` is what has arrived so far, connections as empty bytes."""

    def __init__(self, folder: Path) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._selector = selectors.DefaultSelector()
        self._names: dict[str, str] = {}
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        tcp = self._listen("tcp", socket.AF_INET, ("127.0.0.1", 0))
        self._listen("tcp on 127.0.0.2", socket.AF_INET, (SECOND_LOOPBACK, tcp))
        self._listen("tcp on another machine", socket.AF_INET, (OTHER_MACHINE, tcp))
        self._listen("metadata service", socket.AF_INET, (METADATA, 80))
        tcp6 = self._listen("tcp6", socket.AF_INET6, ("::1", 0))
        udp = self._datagrams("udp", socket.AF_INET, ("127.0.0.1", 0))
        udp6 = self._datagrams("udp6", socket.AF_INET6, ("::1", 0))
        self._datagrams("udp on another machine", socket.AF_INET, (OTHER_MACHINE, udp))
        self._datagrams("name server", socket.AF_INET, ("127.0.0.1", 53))
        self._listen("unix", socket.AF_UNIX, str(folder / "agent.sock"))
        self._datagrams("unix datagrams", socket.AF_UNIX, str(folder / "log.sock"))
        abstract = f"hostile-{os.getpid()}"
        self._listen("abstract unix", socket.AF_UNIX, f"\0{abstract}")
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self._slave = slave
        os.set_blocking(self._master, False)
        self._selector.register(self._master, selectors.EVENT_READ, self._read_terminal)
        self._names |= {
            "@TCP@": str(tcp),
            "@TCP6@": str(tcp6),
            "@UDP@": str(udp),
            "@UDP6@": str(udp6),
            "@UNIX@": str(folder / "agent.sock"),
            "@UNIXDGRAM@": str(folder / "log.sock"),
            "@ABSTRACT@": abstract,
            "@TTY@": os.ttyname(slave),
            "@OTHER@": OTHER_MACHINE,
        }
        self._stop, stopped = os.pipe()
        self._selector.register(stopped, selectors.EVENT_READ, None)
        self._stopped = stopped
        knocked, self._knock = os.pipe()
        self._knocked = knocked
        self._asked, self._quiet = False, threading.Event()
        self._selector.register(knocked, selectors.EVENT_READ, self._ask)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def names(self) -> dict[str, str]:
        """What the placeholders for addresses stand for."""
        return dict(self._names)

    def take(self) -> list[tuple[str, bytes]]:
        """What arrived since the last time; what has been sent by now has arrived."""
        self._quiet.clear()
        os.write(self._knock, b"?")
        self._quiet.wait(10)
        with self._lock:
            taken, self.heard = self.heard, []
        return taken

    def _listen(self, name: str, family: int, address: object) -> int:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # takes data with the first packet, where the system can
            listener.setsockopt(socket.IPPROTO_TCP, 23, 16)
        listener.bind(address)  # type: ignore[arg-type]  # each family has its own kind of address
        listener.listen(64)
        return self._keep(listener, lambda: self._accept(name, listener))

    def _datagrams(self, name: str, family: int, address: object) -> int:
        receiver = socket.socket(family, socket.SOCK_DGRAM)
        receiver.bind(address)  # type: ignore[arg-type]  # each family has its own kind of address
        return self._keep(receiver, lambda: self._hear(name, receiver.recv(65536)))

    def _keep(self, one: socket.socket, ready: Callable[[], None]) -> int:
        one.setblocking(False)
        self._sockets.append(one)
        self._selector.register(one, selectors.EVENT_READ, ready)
        address = one.getsockname()
        return int(address[1]) if isinstance(address, tuple) else 0

    def _accept(self, name: str, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self._hear(name, b"")
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._receive(name, connection))

    def _receive(self, name: str, connection: socket.socket) -> None:
        data = b""
        with suppress(ConnectionError):
            data = connection.recv(65536)
        if data:
            self._hear(name, data)
        else:
            self._selector.unregister(connection)
            connection.close()

    def _read_terminal(self) -> None:
        self._hear("terminal", os.read(self._master, 65536))

    def _hear(self, name: str, data: bytes) -> None:
        with self._lock:
            self.heard.append((name, data))

    def _ask(self) -> None:
        os.read(self._knocked, 1)
        self._asked = True

    def _serve(self) -> None:
        while True:
            ready = self._selector.select(0 if self._asked else None)
            if not ready:  # only when somebody has asked
                self._asked = False
                self._quiet.set()
            for key, _ in ready:
                if key.data is None:
                    return
                with suppress(OSError):
                    key.data()

    def close(self) -> None:
        os.close(self._stop)
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        for fd in (self._master, self._slave, self._stopped, self._knock, self._knocked):
            os.close(fd)
