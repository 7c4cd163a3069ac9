"""What a call may open: the visible files that were granted, and never what is hidden or the workbench's own."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import Denied
from workbench.core.tools import Permissions, ToolCall, ToolSpec
from workbench.sandbox import grants
from workbench.sandbox.grants import Grants, granted


def call(*, read: tuple[str, ...] = (), write: tuple[str, ...] = (), reads: tuple[str, ...] = ()) -> ToolCall:
    permissions = Permissions(read=read, write=write)
    tool = ToolSpec(name="t", summary="", params={}, version="", source=b"", permissions=permissions)
    return ToolCall(run="r", step="s", tool=tool, params={}, timeout=1.0, reads=reads)


def of_call(found: Grants) -> Grants:
    """Without what Python needs."""
    system = granted(call(), Path("/nowhere"), [], ()).reads
    return Grants(tuple(path for path in found.reads if path not in system), found.lists, found.writes)


def files(project: Path, *names: str) -> None:
    for name in names:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(name)


def test_a_folder_without_anything_hidden_is_granted_as_a_whole(tmp_path: Path):
    files(tmp_path, "data/a.csv", "data/deep/b.csv", "data/.gitkeep", "other/c.csv")
    found = of_call(granted(call(read=("data",)), tmp_path, [], ()))
    assert found == Grants((str(tmp_path / "data"),), (), ())


def test_beside_something_hidden_only_the_visible_children_are_granted(tmp_path: Path):
    files(tmp_path, "a.csv", ".env", ".git/config", "deep/b.csv", "deep/.ssh/key", "home/run/x", "plain/c.csv")
    found = of_call(granted(call(read=(".",)), tmp_path, [], (tmp_path / "home",)))
    assert set(found.reads) == {str(tmp_path / name) for name in ("a.csv", "deep/b.csv", "plain")}
    assert set(found.lists) == {str(tmp_path), str(tmp_path / "deep")}


def test_a_link_grants_nothing_by_itself_and_one_that_leads_out_is_denied(tmp_path: Path):
    project, outside = tmp_path / "project", tmp_path / "outside"
    files(outside, "secret")
    files(project, "data/.hidden", "data/a.csv")
    (project / "data" / "link").symlink_to(outside)
    (project / "out").symlink_to(outside)
    found = of_call(granted(call(read=("data",)), project, [], ()))
    assert found.reads == (str(project / "data" / "a.csv"),)
    with pytest.raises(Denied, match="out leads out of the project"):
        granted(call(read=("out",)), project, [], ())
    with pytest.raises(Denied, match="leads out"):
        granted(call(write=("out",)), project, [], ())


@pytest.mark.parametrize("name", [".git", "data/.ssh", "home", "home/run"])
def test_a_hidden_folder_or_one_of_the_workbench_is_denied_by_name(tmp_path: Path, name: str):
    files(tmp_path, f"{name}/x")
    for wanted in (call(read=(name,)), call(write=(name,))):
        with pytest.raises(Denied, match=name):
            granted(wanted, tmp_path, [], (tmp_path / "home",))


def test_a_folder_to_write_is_made_and_must_hold_nothing_hidden(tmp_path: Path):
    assert granted(call(write=("out/deep",)), tmp_path, [], ()).writes == (str(tmp_path / "out" / "deep"),)
    assert (tmp_path / "out" / "deep").is_dir()
    files(tmp_path, "out/deep/.env")
    with pytest.raises(Denied, match=r"hidden \(\.env\)"):
        granted(call(write=("out",)), tmp_path, [], ())
    with pytest.raises(Denied, match="hidden"):
        granted(call(write=(".",)), tmp_path, [], (tmp_path / "home",))


def test_a_file_that_the_host_names_is_granted_and_nothing_beside_it(tmp_path: Path):
    files(tmp_path, "db/one.sqlite", "db/two.sqlite", "db/.pgpass")
    one = str(tmp_path / "db" / "one.sqlite")
    assert of_call(granted(call(reads=(one,)), tmp_path / "project", [], ())).reads == (one,)
    folder = of_call(granted(call(reads=(str(tmp_path / "db"),)), tmp_path / "project", [], ()))
    assert set(folder.reads) == {one, str(tmp_path / "db" / "two.sqlite")}


def test_the_users_home_on_the_path_is_not_granted_and_a_folder_of_packages_is(tmp_path: Path):
    home = Path("~").expanduser()
    files(tmp_path, "lib/module.py", "lib/.env", "site-packages/pkg/__init__.py", "holds/project/x")
    places = [str(home), str(home.parent), *(str(tmp_path / name) for name in ("lib", "site-packages", "holds"))]
    reads = set(granted(call(), tmp_path / "holds" / "project", places, ()).reads)
    assert {str(tmp_path / "lib" / "module.py"), str(tmp_path / "site-packages")} <= reads
    closed = (home, home.parent, tmp_path / "lib", tmp_path / "holds")
    assert reads.isdisjoint(map(str, closed))


def test_a_folder_that_is_too_large_to_look_through_is_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grants, "MAX_ENTRIES", 5)
    files(tmp_path, *(f"data/{n}" for n in range(6)))
    with pytest.raises(Denied, match="too large"):
        granted(call(read=("data",)), tmp_path, [], ())


parts = st.text(string.ascii_lowercase[:3], min_size=1, max_size=2)
names = st.builds(lambda hidden, text: ("." if hidden else "") + text, st.booleans(), parts)


@given(st.lists(st.lists(names, min_size=1, max_size=4), max_size=12))
def test_nothing_hidden_is_ever_below_a_grant_and_everything_visible_is(tmp_path_factory, trees):
    project = tmp_path_factory.mktemp("tree").resolve()
    made = set()
    for tree in trees:
        path = project.joinpath(*tree)
        if not path.exists() and not any(parent.is_file() for parent in path.parents):
            files(project, str(path.relative_to(project)))
            made.add(path)
    reads = [Path(path) for path in of_call(granted(call(read=(".",)), project, [], ())).reads]
    for path in made:
        visible = not any(part.startswith(".") for part in path.relative_to(project).parts)
        assert visible == any(path.is_relative_to(grant) for grant in reads), (path, reads)
