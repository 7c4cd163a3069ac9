"""Databases for memories, on the servers of `tests.postgres`."""

import itertools
from urllib.parse import quote

from tests.postgres import PASSWORD, Server

_names = itertools.count()


def address(server: Server, name: str, user: str = "", password: str = PASSWORD, options: str = "") -> str:
    """What a user writes into WORKBENCH_MEMORY for this database."""
    login = f"{user or server.admin}:{quote(password, safe='')}"
    return f"postgresql://{login}@127.0.0.1:{server.port}/{name}{options}"


def database(server: Server) -> str:
    """The address of a new, empty database."""
    name = f"memory{next(_names)}"
    with server.connect() as connection:
        connection.execute(f"create database {name}")
    return address(server, name)
