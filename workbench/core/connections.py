"""Named database connections, as the user's own config.toml declares them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["duckdb", "sqlite", "postgresql"]
_FILES = ("duckdb", "sqlite")
_OF_A_SERVER = ("host", "dbname", "user")


class Connection(BaseModel):
    """A database that tools may read by its name.

    A file (`duckdb`, `sqlite`) has a `path`; a server (`postgresql`) a `host` (a name, an address, or the folder of a
    unix socket), `dbname`, `user`, and in `secret` the name of its password in the environment or the keyring. The
    password itself never stands in the file, a plan or a log.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    path: Path | None = Field(None, description="The database file, absolute.")
    host: str = Field("", max_length=255, description="Name or address of the server.")
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    dbname: str = Field("", max_length=63)
    user: str = Field("", max_length=63, description="A role that may only read.")
    secret: str = Field("", pattern=r"^([A-Za-z_][A-Za-z0-9_]{0,99})?$", description="Name of the password's secret.")
    tls: Literal["verify", "off"] | None = Field(None, description="Unset: off on this machine, else verify.")
    ca: Path | None = Field(None, description="Certificates to verify by; unset: those of the system.")
    tables: tuple[str, ...] | None = Field(None, description="The only tables that may be read; unset: all.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.is_file:
            wrong = [name for name in (*_OF_A_SERVER, "secret", "tls", "ca") if getattr(self, name)]
            if wrong:
                raise ValueError(f"{self.kind} is a file and has no {', '.join(wrong)}")
            if self.path is None or not self.path.is_absolute():
                raise ValueError(f"{self.kind} needs path, the database file with its whole path")
        else:
            if self.path is not None:
                raise ValueError("postgresql is a server and has no path")
            missing = [name for name in _OF_A_SERVER if not getattr(self, name)]
            if missing:
                raise ValueError(f"postgresql needs {', '.join(missing)}")
        return self

    @property
    def is_file(self) -> bool:
        return self.kind in _FILES

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, so that what is said to it stays there."""
        return self.host.startswith("/") or self.host in ("localhost", "127.0.0.1", "::1")

    @property
    def is_encrypted(self) -> bool:
        return self.tls == "verify" or (self.tls is None and not self.is_local)
