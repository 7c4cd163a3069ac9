"""Loads the settings, once, at the edge: nothing else in the workbench reads the environment.

What wins, first to last: arguments, environment, the user's own `config.toml`, the project's `workbench.toml`. The last
is committed with a project that may have come from anywhere, so it may only lower limits, ask and deny: a cloned
repository never chooses an endpoint, a key or a folder, and never allows anything.
"""

from __future__ import annotations

import getpass
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from workbench.core.errors import Unavailable
from workbench.core.settings import Settings
from workbench.memory.postgres.address import passwords
from workbench.policy.keychain import Keychain
from workbench.policy.secrets import Secrets

_OTHER_NAMES = {
    "base_url": "OPENAI_BASE_URL",
    "api_key": "OPENAI_API_KEY",
    "tavily_api_key": "TAVILY_API_KEY",
    "tavily_base_url": "TAVILY_BASE_URL",
}
_BUDGETS = frozenset(name for name in Settings.model_fields if name.endswith(("_per_day", "_per_month")))
_LIMITS = _BUDGETS | {"parallel", "rounds", "requests_per_minute", "calls_per_minute", "model_timeout", "model_retries"}
_VARIABLES = tuple(name for name in Settings.model_fields if name not in ("connections", "mcp", "policy"))
_CONNECTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM")
_MARKS = (".workbench", ".git", "pyproject.toml")


def load_settings(env: Mapping[str, str] | None = None, folder: Path | None = None, **arguments: Any) -> Settings:
    """The settings in force for a process that works in `folder` (default: the working directory).

    Raises Unavailable in one line that names the file or variable and what is wrong with it.
    """
    env = os.environ if env is None else env
    project = project_root(folder or Path.cwd())
    config = _config_folder(env)
    values: dict[str, Any] = {
        "home": Path(env["WORKBENCH_HOME"]).expanduser() if env.get("WORKBENCH_HOME") else project / ".workbench",
        "project": project,
        "config": config,
        "user": env.get("WORKBENCH_USER") or _login(),
    }
    values |= _read(config / "config.toml", allowed=frozenset(Settings.model_fields) - {"config", "project"})
    _check_names(values.get("mcp", {}))
    values["connections"] = _connections(values.get("connections", {}), env)
    values |= {name: env[key] for name in _VARIABLES if env.get(key := _variable(name))}
    values |= {name: value for name, value in arguments.items() if value is not None}
    keychain = Keychain(config)
    for name in ("api_key", "tavily_api_key", "memory"):
        if name not in values and (kept := keychain.get(_variable(name))) is not None:
            values[name] = kept
    settings = _settings(values)
    committed = _read(project / "workbench.toml", allowed=_LIMITS | {"policy", "budget"})
    if isinstance(committed.get("policy"), dict) and committed["policy"].get("allow"):
        raise Unavailable("workbench.toml may not set policy.allow.", hint="Put it into your own config.toml.")
    narrower = _settings(values | committed)
    lowered: dict[str, Any] = {name: _lower(getattr(settings, name), getattr(narrower, name)) for name in _LIMITS}
    if "budget" in committed:
        lowered["budget"] = narrower.budget and narrower.budget.narrowed(settings.budget)
    if "policy" in committed:
        lowered["policy"] = settings.policy.narrowed(narrower.policy)
    return settings.model_copy(update=lowered | {"home": settings.home.absolute()})


def origins(settings: Settings, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Where each setting in force comes from: the name of a variable, a file or the keyring; "default" where nobody has
    said anything, "code" where a program has set it. Raises Unavailable as `load_settings` does."""
    env = os.environ if env is None else env
    loaded = load_settings(env, settings.project)
    own = _read(settings.config / "config.toml", allowed=frozenset(Settings.model_fields))
    committed = _read(settings.project / "workbench.toml", allowed=frozenset(Settings.model_fields))
    keychain = Keychain(settings.config)
    found = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if name in committed and value == getattr(loaded, name):
            parts = ["config.toml"] if name in own and name in ("policy", "budget") else []
            lowered = name in ("policy", "budget") or value == committed[name]
            found[name] = " and ".join([*parts, "workbench.toml"]) if lowered else ""
        if found.get(name):
            continue
        if value != getattr(loaded, name):
            found[name] = "code"
        elif name in _VARIABLES and env.get(_variable(name)):
            found[name] = _variable(name)
        elif name in own:
            found[name] = "config.toml"
        elif name in ("api_key", "tavily_api_key", "memory") and keychain.get(_variable(name)) is not None:
            found[name] = "keyring"
        else:
            found[name] = "default"
    return found


def load_secrets(settings: Settings, env: Mapping[str, str] | None = None) -> Secrets:
    """The secrets of this user: those of the settings, and any other by its name from the environment, else from the
    keyring, where `workbench secret set` has put it. No file of a project has a say in where a secret comes from."""
    env = os.environ if env is None else env
    known = {"OPENAI_API_KEY": settings.api_key, "TAVILY_API_KEY": settings.tavily_api_key}
    known["WORKBENCH_EMBED_API_KEY"] = settings.embed_api_key
    known["WORKBENCH_IMAGE_API_KEY"] = settings.image_api_key
    known["WORKBENCH_AUDIO_API_KEY"] = settings.audio_api_key
    known["WORKBENCH_MEMORY"] = settings.memory
    if settings.memory is not None:
        address = settings.memory.get_secret_value()
        for number, password in enumerate(passwords(address)):
            known[f"WORKBENCH_MEMORY, password {number + 1}"] = SecretStr(password)

    def look(name: str) -> SecretStr | None:
        value = env.get(name) or Keychain(settings.config).get(name)
        return SecretStr(value) if value else None

    secrets = Secrets({name: secret for name, secret in known.items() if secret is not None}, look)
    if settings.memory is not None:
        secrets.read(["PGPASSWORD"])  # the driver takes it when the address has none
    secrets.read(sorted({there.secret for there in settings.connections.values() if there.secret}))
    return secrets


def server_environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """What an MCP server gets of this process's environment without being named: where programs and the user's files
    are, language and time zone. No key is among them."""
    env = os.environ if env is None else env
    return {name: env[name] for name in _PASSED_ON if name in env}


def project_root(folder: Path) -> Path:
    """The nearest folder upwards that holds `.workbench`, `.git` or `pyproject.toml`, else the folder itself."""
    folder = folder.absolute()
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in _MARKS):
            return candidate
    return folder


def _lower(one: float | None, other: float | None) -> float | None:
    """The lower of two limits; None is no limit."""
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _variable(name: str) -> str:
    return _OTHER_NAMES.get(name, f"WORKBENCH_{name.upper()}")


def _config_folder(env: Mapping[str, str]) -> Path:
    if env.get("WORKBENCH_CONFIG"):
        return Path(env["WORKBENCH_CONFIG"]).expanduser().absolute()
    base = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME") or "~").expanduser() / ".config")
    return Path(base) / "agent-workbench"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        return "local"


def _read(path: Path, *, allowed: frozenset[str]) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Unavailable(f"{path.name} cannot be read: {error}", hint="Mend or remove the file.") from error
    unknown = sorted(set(values) - allowed)
    if unknown:
        raise Unavailable(
            f"{path.name} may not set {', '.join(unknown)}.", hint=f"It may set: {', '.join(sorted(allowed))}."
        )
    return values


def _connections(declared: Any, env: Mapping[str, str]) -> Any:
    """The connections with `~` in their paths written out, as this user's home."""
    if not isinstance(declared, dict):
        return declared
    for name, facts in declared.items():
        if not _CONNECTION.fullmatch(name):
            raise Unavailable(
                f"config.toml: {name!r} is no name for a connection.", hint="Use letters, digits, - and underscores."
            )
        for key in ("path", "ca"):
            if isinstance(facts, dict) and str(facts.get(key, "")).startswith("~/") and env.get("HOME"):
                facts[key] = f"{env['HOME']}{facts[key][1:]}"
    return declared


def _check_names(servers: Any) -> None:
    for name in servers if isinstance(servers, dict) else ():
        if not _CONNECTION.fullmatch(name):
            raise Unavailable(
                f"config.toml: {name!r} is no name for an MCP server.", hint="Use letters, digits, - and underscores."
            )


def _settings(values: Mapping[str, Any]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise Unavailable(
            f"The setting {name} is not valid: {first['msg']}.",
            hint="See config.toml." if name.startswith(("connections", "mcp")) else f"See {_variable(name)}.",
        ) from error
