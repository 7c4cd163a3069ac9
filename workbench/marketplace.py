"""An index of plug-ins, and one of them fetched: what it is, what it may do, and that it is the file that was meant.

    {"packages": [{"name": "acme-greet", "summary": "…", "version": "1.0", "file": "acme_greet-1.0-py3-none-any.whl",
                   "sha256": "…", "permissions": ["network api.acme.example", "secrets ACME_API_KEY"]}]}

The index lies where the user's own settings say: a file, or an https address. `file` is relative to it, or an https
address itself. Nothing is installed whose sha256 is another, and what is installed is not trusted yet: its tools wait
for that one by one, as those of a project do.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated
from urllib.parse import urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.core.errors import Refused, Unavailable

MAX_INDEX = 2_000_000
MAX_FILE = 50_000_000
_NEAR = ("127.0.0.1", "localhost", "::1")


class Package(BaseModel):
    """One package of an index. `permissions`: all that its tools ask for, as `workbench tools` says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?$")]
    version: str = Field("", max_length=60)
    summary: str = Field("", max_length=300)
    file: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\.whl$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    permissions: tuple[Annotated[str, Field(max_length=300)], ...] = Field((), max_length=200)


class _Index(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    packages: tuple[Package, ...] = Field(max_length=10_000)


def packages(place: str) -> tuple[Package, ...]:
    """The packages of an index, by name. Raises Refused when no index is set, Unavailable when it cannot be read."""
    if not place:
        raise Refused("No marketplace is set.", hint="Set WORKBENCH_MARKETPLACE to a file or an https address.")
    try:
        found = _Index.model_validate(json.loads(_read(place, MAX_INDEX)))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Unavailable(f"The marketplace {place} is not one: {where}: {first['msg']}.") from error
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"The marketplace {place} is no JSON: {error}.") from error
    return tuple(sorted(found.packages, key=lambda package: package.name))


def fetched(place: str, package: Package, folder: Path) -> Path:
    """The package's file, put into `folder` under its own name. Raises Unavailable, also when its hash is another."""
    remote = _is_address(package.file) or _is_address(place)
    there = urljoin(place, package.file) if remote else str(Path(place).expanduser().absolute().parent / package.file)
    data = _read(there, MAX_FILE)
    if (is_ := hashlib.sha256(data).hexdigest()) != package.sha256:
        raise Unavailable(
            f"{package.name} is not the file that the marketplace names: its sha256 is {is_[:12]}…, "
            f"not {package.sha256[:12]}….",
            hint="Nothing was installed.",
        )
    path = folder / Path(urlsplit(there).path if remote else there).name
    path.write_bytes(data)
    return path


def _is_address(text: str) -> bool:
    return "://" in text


def _read(place: str, most: int) -> bytes:
    if not _is_address(place):
        try:
            with Path(place).expanduser().open("rb") as file:
                data = file.read(most + 1)
        except OSError as error:
            raise Unavailable(f"{place} cannot be read: {error.strerror or error}.") from error
    else:
        data = _download(place, most)
    if len(data) > most:
        raise Unavailable(f"{place} has more than {most:,} bytes.")
    return data


def _download(url: str, most: int) -> bytes:
    import httpx2

    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _NEAR):
        raise Unavailable(f"{url} is no https address.")
    data = b""
    try:
        with httpx2.Client(timeout=30.0, trust_env=False) as client, client.stream("GET", url) as answer:
            if answer.status_code != 200:
                raise Unavailable(f"{url} answers {answer.status_code}.")
            for piece in answer.iter_raw():
                data += piece
                if len(data) > most:
                    break
    except httpx2.HTTPError as error:
        raise Unavailable(f"{url} cannot be reached: {error}.") from error
    return data
