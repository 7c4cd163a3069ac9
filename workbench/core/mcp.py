"""An MCP server, as the user's own config.toml or a project's `.mcp.json` declares it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

_NEAR = ("localhost", "127.0.0.1", "::1")
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]


class McpServer(BaseModel):
    """A program that speaks MCP over its stdin and stdout (`command`), or a server at an address (`url`).

    Of the environment it gets PATH, HOME, the language and the time zone, and what `env` names; `set` gives variables
    their values. `secret` names the token for an address. The values of named variables never stand in a file of ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str = Field("", max_length=4000, description="The program.")
    args: tuple[str, ...] = Field((), max_length=200)
    env: tuple[Name, ...] = Field((), max_length=100, description="Names of variables that it gets.")
    set: Mapping[Name, str] = Field({}, max_length=100, description="Variables with their values.")
    url: str = Field("", max_length=4000, description="The address of a server that speaks streamable HTTP.")
    secret: str = Field("", pattern=r"^([A-Za-z_][A-Za-z0-9_]{0,99})?$", description="Name of the token's secret.")
    timeout: Annotated[float, Field(gt=0, le=3600)] = Field(60.0, description="Seconds for one call.")
    parallel: Annotated[int, Field(ge=1, le=64)] = Field(8, description="Calls that are under way at it at once.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError("needs either command or url")
        if "\0" in "".join([self.command, *self.args, *self.set.values()]):
            raise ValueError("holds a NUL character")
        if self.url:
            if self.args or self.env or self.set:
                raise ValueError("has a url, and so no args, env or set")
            parts = urlsplit(self.url)
            if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.password:
                raise ValueError("url must be an https address without a user name")
            if parts.scheme == "http" and parts.hostname not in _NEAR:
                raise ValueError("url must be https, except on this machine")
        elif self.secret:
            raise ValueError("is a command: name what it needs in env, not in secret")
        return self

    @property
    def identity(self) -> str:
        """The sha256 of what it is: command, arguments, names and set values of variables, address."""
        facts = self.model_dump(mode="json", exclude={"timeout", "parallel"})
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def said(self) -> str:
        """What it is, in words."""
        if self.url:
            return f"{self.url} with the token {self.secret}" if self.secret else self.url
        words = " ".join([self.command, *self.args])
        given = [*self.env, *(f"{name}={value}" for name, value in self.set.items())]
        return f"{words} (gets {', '.join(given)})" if given else words
