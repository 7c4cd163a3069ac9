"""Secrets in the system's keyring: put there by the user, found by name, and never asked for otherwise."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend

from workbench.cli import main
from workbench.configuration import load_secrets, load_settings
from workbench.core.errors import Refused, Unavailable
from workbench.policy.keychain import Keychain

KEY = "kept-0123456789"


class Box(KeyringBackend):
    """A keyring in memory that remembers what it was asked for."""

    priority: Any = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring leaves this one untyped
        self.kept: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []
        self.broken = False

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append(username)
        if self.broken:
            raise RuntimeError(f"locked, and it held {KEY}")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def box() -> Iterator[Box]:
    before = keyring.get_keyring()
    made = Box()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_a_kept_secret_is_found_by_settings_and_by_tools(box, tmp_path):
    env = {"WORKBENCH_CONFIG": str(tmp_path), "HOME": str(tmp_path)}
    for name in ("OPENAI_API_KEY", "OTHER_KEY"):
        Keychain(tmp_path).keep(name, KEY)
    settings = load_settings(env, tmp_path)
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == KEY
    secrets = load_secrets(settings, env)
    secrets.read(["OTHER_KEY", "NOT_KEPT"])
    assert secrets["OTHER_KEY"].get_secret_value() == KEY
    assert "NOT_KEPT" not in secrets


def test_the_environment_comes_first_and_the_keyring_is_asked_for_no_other_name(box, tmp_path):
    env = {"WORKBENCH_CONFIG": str(tmp_path), "HOME": str(tmp_path), "A_KEY": "from-the-environment"}
    Keychain(tmp_path).keep("A_KEY", KEY)
    box.asked.clear()
    secrets = load_secrets(load_settings(env, tmp_path), env)
    secrets.read(["A_KEY", "B_KEY"])
    assert secrets["A_KEY"].get_secret_value() == "from-the-environment"
    assert box.asked == []


def test_a_file_of_a_project_cannot_say_where_a_secret_comes_from(tmp_path):
    env = {"WORKBENCH_CONFIG": str(tmp_path / "config"), "HOME": str(tmp_path)}
    for line in ('api_key = "sk-of-a-stranger"', 'secrets = "env:AWS_SECRET_ACCESS_KEY"', "[secrets]"):
        (tmp_path / "workbench.toml").write_text(line)
        with pytest.raises(Unavailable, match="may not set"):
            load_settings(env, tmp_path)


def test_the_list_holds_names_and_no_values(box, tmp_path):
    Keychain(tmp_path).keep("A_KEY", KEY)
    assert [path.name for path in tmp_path.iterdir()] == ["keyring.json"]
    assert KEY not in (tmp_path / "keyring.json").read_text()


def test_a_keyring_that_fails_says_so_without_its_words(box, tmp_path):
    Keychain(tmp_path).keep("A_KEY", KEY)
    box.broken = True
    with pytest.raises(Unavailable) as caught:
        Keychain(tmp_path).get("A_KEY")
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("name", "value"), [("no name", KEY), ("", KEY), ("a" * 200, KEY), ("A_KEY", " \n")])
def test_what_is_no_name_and_no_value_is_refused(box, tmp_path, name, value):
    with pytest.raises(Refused):
        Keychain(tmp_path).keep(name, value)
    assert box.kept == {}


def test_the_command_line_keeps_lists_and_forgets(box, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{KEY}\n"))
    assert main(["secret", "set", "A_KEY"]) == 0
    assert main(["secret", "list"]) == 0
    assert box.kept == {("agent-workbench", "A_KEY"): KEY}
    assert main(["secret", "forget", "A_KEY"]) == 0
    assert box.kept == {}
    assert main(["secret", "forget", "A_KEY"]) == 1
    streams = capsys.readouterr()
    assert "A_KEY" in streams.out
    assert KEY not in streams.out + streams.err


WITHOUT = """
import sys
sys.modules["keyring"] = None  # as if it were not installed
from workbench.cli import main
sys.exit(main(["secret", "set", "A_KEY"]))
"""


def test_without_the_package_the_environment_alone_is_used(own_home: Path):
    done = subprocess.run([sys.executable, "-c", WITHOUT], input=KEY, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install keyring" in done.stderr
    assert KEY not in done.stderr


def test_nothing_of_the_keyring_is_imported_until_a_secret_was_kept():
    code = "import sys, workbench.workbench as w; w.Workbench(); print('keyring' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
