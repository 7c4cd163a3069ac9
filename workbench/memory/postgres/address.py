"""Where a memory's PostgreSQL is, as `WORKBENCH_MEMORY` says it, and how to speak of it without its password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from workbench.core.errors import Unavailable

SCHEMES = ("postgresql", "postgres")
_SECRET_OPTIONS = ("password", "sslpassword", "oauth_client_secret")
_HERE = ("", "localhost", "127.0.0.1", "::1")
_TLS = {"sslmode": "verify-full", "sslrootcert": "system"}
_DEFAULTS = {
    "application_name": "agent-workbench",
    "client_encoding": "UTF8",
    "connect_timeout": "5",
    "keepalives_idle": "30",
}


@dataclass(frozen=True, slots=True)
class Address:
    """One database of one server. `dsn` is as the user wrote it, and hidden from `repr`; `place` names it for people;
    `passwords` are the secrets in it."""

    dsn: str = field(repr=False)
    place: str
    passwords: tuple[str, ...] = field(repr=False)
    is_local: bool

    def conninfo(self) -> str:
        """What libpq connects with: the DSN, and where it says nothing, our own: TLS is verified on the way to another
        machine. Holds the password. Raises Unavailable when libpq cannot read the DSN. Imports psycopg."""
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        try:
            given = conninfo_to_dict(self.dsn)
        except ProgrammingError:
            # Not `from error`: its text holds the address.
            raise _unreadable() from None
        options = _DEFAULTS | ({} if self.is_local or "sslmode" in given else _TLS)
        return make_conninfo(self.dsn, **{name: value for name, value in options.items() if name not in given})

    def clean(self, text: str) -> str:
        """The text without the address's secrets, for errors of the driver."""
        for secret in self.passwords:
            text = text.replace(secret, "[redacted]")
        return text


def read(dsn: str) -> Address:
    """The address in a `postgresql://…`. Raises Unavailable, in words that do not repeat it."""
    try:
        parts = urlsplit(dsn.strip())
        options = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        raise _unreadable() from None
    if parts.scheme not in SCHEMES:
        raise _unreadable()
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    given = dict(options)
    hosts = [_name(part) for part in host.split(",")] if host else [given.get("host", "")]
    place = f"{unquote(host) or given.get('host', '') or 'this machine'}{unquote(parts.path)}"
    user = unquote(user) or given.get("user", "")
    secrets = [password, unquote(password), *(value for name, value in options if name in _SECRET_OPTIONS)]
    return Address(
        dsn=dsn.strip(),
        place=f"PostgreSQL {user + '@' if user else ''}{place}",
        passwords=tuple(sorted({secret for secret in secrets if secret}, key=len, reverse=True)),
        is_local=all(name in _HERE or name.startswith(("/", "@")) for name in [*hosts, *_hostaddr(given)]),
    )


def passwords(dsn: str) -> tuple[str, ...]:
    """The secrets in a DSN, as they stand there and as they are; none when it cannot be read."""
    try:
        return read(dsn).passwords
    except Unavailable:
        return ()


def _name(host: str) -> str:
    """A host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return unquote(host.partition(":")[0])


def _hostaddr(given: Mapping[str, str]) -> list[str]:
    return [part for name in ("host", "hostaddr") if name in given for part in given[name].split(",")]


def _unreadable() -> Unavailable:
    return Unavailable(
        "WORKBENCH_MEMORY is no address of a PostgreSQL.",
        hint="Write postgresql://USER:PASSWORD@HOST/DATABASE, or leave it unset for the memory in WORKBENCH_HOME.",
    )
