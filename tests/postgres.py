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
from importlib.util import find_spec
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
def running(
    folder: Path, settings: Mapping[str, str], user: str, *, port: int = 0, bin_: Path | None = None
) -> Iterator[int]:
    """A server in `folder`, ready to accept connections: its port. It has ended afterwards, and what it holds is there
    for the next one in the same folder. `bin_`: its programs, when they are not the distribution's."""
    bin_ = bin_ or programs()
    secret = folder / "password"
    secret.write_text(PASSWORD)
    shutil.chown(secret, user)
    run: dict[str, Any] = {"cwd": folder, "env": {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, "text": True}
    if user != getpass.getuser():
        run |= {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    data = folder / "data"
    if not data.exists():
        made = [bin_ / "initdb", "-D", data, "-U", "admin", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync"]
        subprocess.run([*map(str, made), "--locale=C.UTF-8", "-E", "UTF8"], check=True, capture_output=True, **run)
    if not port:
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


SMALL = {"max_connections": "40", "shared_buffers": "32MB", "autovacuum": "off"}


def user() -> str:
    """Whom a server runs as: PostgreSQL refuses root, so as root it is the package's own user."""
    return "postgres" if os.geteuid() == 0 else getpass.getuser()


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder that a server can use."""
    folder = Path(tempfile.mkdtemp(prefix="workbench-pg-"))
    folder.chmod(0o755)
    shutil.chown(folder, user())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server of this session's own."""
    programs()
    with a_folder() as folder, running(folder, SMALL, user()) as port:
        yield Server(port, folder)


@pytest.fixture(scope="session")
def postgres_with_vectors() -> Iterator[Server]:
    """A PostgreSQL 16 with pgvector, which Debian has not: that of the wheel `pgserver`."""
    programs()  # with the package comes the user
    # Found and not imported: the package wants folders of its own when it is.
    if (wheel := find_spec("pgserver")) is None or wheel.origin is None:
        pytest.skip("pgserver is not installed; it has no wheels for Python 3.13 and newer")
    package = Path(wheel.origin).parent
    with a_folder() as folder:
        # Its own folder may be closed to the server's user. The programs find their libraries from where they lie.
        for part in ("pgserver/pginstall", "pgserver.libs"):
            shutil.copytree(package.parent / part, folder / part)
        for path in (folder / "pgserver").rglob("*"):
            path.chmod(0o755)
        with running(folder, SMALL, user(), bin_=folder / "pgserver/pginstall/bin") as port:
            yield Server(port, folder)
