"""A real PostgreSQL for tests: the distribution's server on 127.0.0.1, with a folder of its own, gone with the session.

`postgres` is a session fixture for any conftest; tests that use it carry the marker `peers`.
"""

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "pa'ss \\ wörd-0123456789"


@dataclass(frozen=True)
class Server:
    """`admin` is the superuser; both roles' password is `PASSWORD`. `folder` holds the data and the unix socket."""

    port: int
    folder: Path
    admin: str = "admin"

    def connect(self, dbname: str = "postgres", user: str = "", **options: Any) -> Any:
        """A plain psycopg connection, each statement committed by itself: what a gate stands in front of."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=user or self.admin,
            password=PASSWORD,
            dbname=dbname,
            autocommit=True,
            **options,
        )


def programs() -> Path:
    """The folder of the server's programs; without one the test is skipped, or fails where CI=true."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return found[-1].parent


@contextmanager
def running(folder: Path, settings: Mapping[str, str], user: str) -> Iterator[int]:
    """A new server in `folder`, ready to accept connections: its port. It has ended afterwards."""
    bin_ = programs()
    secret = folder / "password"
    secret.write_text(PASSWORD)
    shutil.chown(secret, user)
    run: dict[str, Any] = {"cwd": folder, "env": {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, "text": True}
    if user != getpass.getuser():
        run |= {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    data = folder / "data"
    made = [bin_ / "initdb", "-D", data, "-U", "admin", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync"]
    subprocess.run([*map(str, made), "--locale=C.UTF-8", "-E", "UTF8"], check=True, capture_output=True, **run)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(folder), "fsync": "off"} | dict(settings)
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [str(bin_ / "postgres"), "-D", str(data), "-p", str(port), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **run,
    )
    ready = threading.Event()
    said: deque[str] = deque(maxlen=50)

    def listen() -> None:
        assert server.stderr is not None
        for line in server.stderr:
            said.append(line)
            if "ready to accept connections" in line:
                ready.set()
        ready.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        ready.wait(60)
        if server.poll() is not None:
            raise RuntimeError("PostgreSQL did not start: " + "".join(said))
        yield port
    finally:
        server.send_signal(signal.SIGINT)  # the fast way down: connections end, nothing is left behind
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        listener.join()
        assert server.stderr is not None
        server.stderr.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server of this session's own. PostgreSQL refuses root: as root it runs as the package's own user."""
    programs()
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    folder = Path(tempfile.mkdtemp(prefix="workbench-pg-"))
    folder.chmod(0o755)
    shutil.chown(folder, user)
    try:
        with running(folder, {"max_connections": "40", "shared_buffers": "32MB", "autovacuum": "off"}, user) as port:
            yield Server(port, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
