"""Settings: who wins, and that a committed file can only narrow."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.configuration import load_settings, project_root
from workbench.core.errors import Unavailable


def load(tmp_path: Path, env: dict[str, str] | None = None, **arguments: object) -> object:
    config = tmp_path / "config"
    return load_settings({"WORKBENCH_CONFIG": str(config)} | (env or {}), tmp_path / "project", **arguments)


@pytest.fixture(autouse=True)
def _project(tmp_path: Path) -> None:
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "config").mkdir()


def test_the_home_lies_at_the_projects_root(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "a" / "b"
    inner.mkdir(parents=True)
    assert project_root(inner) == tmp_path / "project"
    assert load(tmp_path).home == tmp_path / "project" / ".workbench"  # type: ignore[attr-defined]  # Settings


def test_arguments_win_over_environment_and_environment_over_the_users_file(tmp_path: Path) -> None:
    (tmp_path / "config" / "config.toml").write_text('model = "from-file"\nparallel = 2\nuser = "file"\n')
    settings = load(tmp_path, {"WORKBENCH_MODEL": "from-env", "WORKBENCH_PARALLEL": "3"}, parallel=5)
    assert (settings.model, settings.parallel) == ("from-env", 5)  # type: ignore[attr-defined]  # Settings


def test_a_committed_file_lowers_limits_and_never_raises_them(tmp_path: Path) -> None:
    (tmp_path / "project" / "workbench.toml").write_text("parallel = 60\nrequests_per_minute = 7\n")
    settings = load(tmp_path)
    assert (settings.parallel, settings.requests_per_minute) == (4, 7)  # type: ignore[attr-defined]  # Settings


@pytest.mark.parametrize("line", ['base_url = "http://evil.example"', 'home = "/tmp"', 'model = "x"', 'api_key = "k"'])
def test_a_committed_file_cannot_choose_an_endpoint_a_key_or_a_folder(tmp_path: Path, line: str) -> None:
    (tmp_path / "project" / "workbench.toml").write_text(line + "\n")
    with pytest.raises(Unavailable, match=r"workbench\.toml may not set"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("env", "word"),
    [({"WORKBENCH_PARALLEL": "many"}, "WORKBENCH_PARALLEL"), ({"WORKBENCH_MODEL_TIMEOUT": "-1"}, "model_timeout")],
)
def test_a_wrong_value_gives_one_line_that_names_it(tmp_path: Path, env: dict[str, str], word: str) -> None:
    with pytest.raises(Unavailable) as caught:
        load(tmp_path, env)
    assert word in str(caught.value)
    assert len(caught.value.lines()) <= 2


def test_a_broken_file_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "project" / "workbench.toml").write_text("parallel = = 3")
    with pytest.raises(Unavailable, match="cannot be read"):
        load(tmp_path)


def test_keys_do_not_show_when_settings_are_printed(tmp_path: Path) -> None:
    settings = load(tmp_path, {"OPENAI_API_KEY": "sk-canary", "TAVILY_API_KEY": "tvly-canary"})
    assert "canary" not in repr(settings)
    assert "canary" not in str(settings)
