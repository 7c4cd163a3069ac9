"""Secrets in the operating system's keyring, by the `keyring` package where the user has installed it.

A keyring may ask for a password, or wait for a service that is not there. So it is asked only for names that the user
has put there by `workbench secret set`: the list of those names, and nothing else, stands in `keyring.json` in the
user's own folder.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused, Unavailable

SERVICE = "agent-workbench"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class Keychain:
    """The secrets that this user has put into the keyring. `config` is the user's own folder."""

    def __init__(self, config: Path) -> None:
        self._list = config / "keyring.json"

    def names(self) -> list[str]:
        """The names that were put there, sorted. Raises Unavailable when the list cannot be read."""
        try:
            found = json.loads(self._list.read_text("utf-8"))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise Unavailable(f"{self._list} cannot be read: {error}", hint="Mend or remove the file.") from None
        return sorted({name for name in found if isinstance(name, str)}) if isinstance(found, list) else []

    def get(self, name: str) -> str | None:
        """The value kept under a name, None when there is none. Raises Unavailable when the keyring does not answer."""
        if name not in self.names():
            return None
        return self._asked("read", lambda keyring: keyring.get_password(SERVICE, name)) or None

    def keep(self, name: str, value: str) -> None:
        """Keep a value. Raises Refused for a name or a value that is none, Unavailable when the keyring will not."""
        self.check(name)
        if not value.strip():
            raise Refused("The secret is empty.", hint="Type or paste its value.")
        self._asked("keep", lambda keyring: keyring.set_password(SERVICE, name, value.strip()))
        self._write({*self.names(), name})

    def check(self, name: str) -> None:
        """Raises Refused when a secret cannot be called so."""
        if _NAME.fullmatch(name) is None:
            raise Refused(f"{name[:100]!r} is no name of a secret.", hint="For example TAVILY_API_KEY.")

    def forget(self, name: str) -> None:
        """Remove a value. Raises Refused when there is none of that name."""
        if name not in self.names():
            raise Refused(
                f"The keyring holds no {name[:100]!r} of ours.", hint="`workbench secret list` shows the names."
            )

        def remove(keyring: Any) -> None:
            if keyring.get_password(SERVICE, name) is not None:
                keyring.delete_password(SERVICE, name)

        self._asked("remove", remove)
        self._write({*self.names()} - {name})

    def _asked(self, verb: str, work: Callable[[Any], Any]) -> Any:
        try:
            import keyring
        except ImportError:
            raise Unavailable(
                "The package keyring is not installed.", hint="pip install keyring, or set the secret as a variable."
            ) from None
        try:
            return work(keyring)
        except Exception as error:  # noqa: BLE001 - backends raise what they like, and may put the value into it
            raise Unavailable(
                f"The keyring did not {verb} the secret ({type(error).__name__}).",
                hint="Is it unlocked? `python -m keyring --list-backends` shows which there are.",
            ) from None

    def _write(self, names: set[str]) -> None:
        self._list.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._list.with_name(f".{self._list.name}-{os.getpid()}")
        part.write_text(json.dumps(sorted(names)), "utf-8")
        part.replace(self._list)
