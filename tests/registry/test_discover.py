import os
import sys
from pathlib import Path

import pytest

from workbench.core.errors import Unavailable
from workbench.registry.discover import Found, discover
from workbench.registry.grants import asks_for, may
from workbench.registry.spec import describe
from workbench.registry.trust import Trust

TOOL = '"""{}"""\nPERMISSIONS = {{}}\ndef run(): return 1\n'


class House:
    """A project, a configuration folder and a folder of shipped tools."""

    def __init__(self, folder: Path) -> None:
        self.project, self.config, self.shipped = folder / "project", folder / "config", folder / "shipped"
        for place in (self.project / "tools", self.config / "tools", self.shipped):
            place.mkdir(parents=True)

    def find(self) -> Found:
        return discover(self.project, self.config, self.shipped)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(TOOL.format(text))
    return path


def test_shipped_and_own_tools_are_used_and_those_of_a_project_only_once_trusted(house: House):
    put(house.shipped, "plot", "Ours.")
    put(house.config / "tools", "mine", "My own.")
    path = put(house.project / "tools", "theirs", "The project's.")
    found = house.find()
    assert {name: spec.origin for name, spec in found.tools.items()} == {"mine": "user", "plot": "shipped"}
    assert list(found.untrusted) == ["theirs"]
    Trust(house.config, house.project).trust(found.untrusted["theirs"])
    assert house.find().tools["theirs"].origin == "project"
    path.write_text(TOOL.format("Changed."))
    assert list(house.find().untrusted) == ["theirs"]


def test_trust_is_for_one_project_and_one_name(house: House, tmp_path: Path):
    put(house.project / "tools", "one", "The same.")
    Trust(house.config, house.project).trust(house.find().untrusted["one"])
    other = tmp_path / "other"
    (other / "tools").mkdir(parents=True)
    put(other / "tools", "one", "The same.")
    put(house.project / "tools", "two", "The same.")
    assert list(discover(other, house.config, house.shipped).untrusted) == ["one"]
    assert list(house.find().untrusted) == ["two"]


def test_a_copy_of_a_shipped_tool_is_the_shipped_tool(house: House):
    put(house.shipped, "plot", "Ours.")
    put(house.project / "tools", "plot", "Ours.")
    found = house.find()
    assert (found.tools["plot"].origin, found.untrusted, found.shadowed) == ("shipped", {}, ())


def test_the_nearer_tool_wins_and_is_told(house: House):
    put(house.shipped, "plot", "Ours.")
    put(house.config / "tools", "plot", "My own.")
    found = house.find()
    assert found.tools["plot"].summary == "My own."
    assert found.shadowed == (f"plot: {house.config / 'tools' / 'plot.py'} (user) stands in for the shipped plot",)


def test_an_untrusted_tool_replaces_nothing_and_that_is_told(house: House):
    put(house.shipped, "plot", "Ours.")
    put(house.project / "tools", "plot", "Not ours.")
    found = house.find()
    assert (found.tools["plot"].summary, found.untrusted["plot"].summary) == ("Ours.", "Not ours.")
    assert "once it is trusted" in found.shadowed[0]
    Trust(house.config, house.project).trust(found.untrusted["plot"])
    assert house.find().tools["plot"].summary == "Not ours."


def test_one_broken_file_costs_nobody_else_anything(house: House):
    tools = house.project / "tools"
    (tools / "broken.py").write_text("def run(:")
    (tools / "helper.py").write_text("x = 1")
    (tools / "_hidden.py").write_text("def run(:")
    (tools / "notes.txt").write_text("def run(:")
    (tools / "folder.py").mkdir()
    (tools / "gone.py").symlink_to(tools / "nowhere")
    (tools / "huge.py").write_bytes(b"#" * 1_000_001)
    os.mkfifo(tools / "pipe.py")
    put(house.config / "tools", "fine", "Fine.")
    found = house.find()
    assert list(found.tools) == ["fine"]
    assert [problem.split(":")[0] for problem in found.problems] == [
        "tools/broken.py line 1",
        "tools/folder.py",
        "tools/gone.py",
        "tools/huge.py",
        "tools/pipe.py",
    ]


def test_a_change_is_seen_at_once(house: House):
    path = put(house.config / "tools", "mine", "A.")
    for text in "BCDEFGH":
        assert house.find().tools["mine"].summary != f"{text}."
        path.write_text(TOOL.format(f"{text}."))  # same size, and soon within one tick of the clock
        assert house.find().tools["mine"].summary == f"{text}."
    path.unlink()
    assert house.find().tools == {}


def test_a_file_that_did_not_change_is_not_described_again(house: House):
    for number in range(30):
        path = put(house.shipped, f"tool_{number}", "Ours.")
        os.utime(path, (1_000_000, 1_000_000))
    first = house.find()
    assert all(house.find().tools[name] is spec for name, spec in first.tools.items())


def test_folders_that_are_not_there_are_no_problem(tmp_path: Path):
    assert discover(tmp_path / "a", tmp_path / "b", tmp_path / "c") == Found(tools={}, untrusted={})


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where packages are installed: `acme`, which must not be imported."""
    site = tmp_path / "site"
    (site / "acme" / "more").mkdir(parents=True)
    (site / "acme" / "__init__.py").write_text("raise SystemExit('imported')")
    put(site / "acme", "tide", "Tides.")
    put(site / "acme" / "more", "moon", "The moon.")
    put(site / "acme" / "more", "stars", "Stars.")
    put(site, "single", "Alone.")
    monkeypatch.syspath_prepend(str(site))
    return site


def announce(site: Path, *lines: str) -> None:
    info = site / "acme-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[workbench.tools]\n" + "\n".join(lines))


def test_packages_offer_tools_without_being_imported(house: House, installed: Path):
    announce(installed, "a = acme.tide", "b = acme.more", "c = single")
    found = house.find()
    assert {name: spec.origin for name, spec in found.untrusted.items()} == dict.fromkeys(
        ["moon", "single", "stars", "tide"], "plug-in"
    )
    assert "acme" not in sys.modules
    Trust(house.config, house.project).trust(found.untrusted["tide"])
    assert list(house.find().tools) == ["tide"]


def test_an_entry_point_that_leads_nowhere_is_told(house: House, installed: Path):
    announce(installed, "a = acme.nothing", "b = nobody.here", "c = acme:more", "d = ..")
    found = house.find()
    assert list(found.untrusted) == ["moon", "stars"]
    assert [problem.split(" = ")[0] for problem in found.problems] == [
        "entry point a",
        "entry point b",
        "entry point d",
    ]


def test_pins_are_for_the_owners_eyes_and_written_whole(house: House):
    put(house.project / "tools", "one", "One.")
    trust = Trust(house.config, house.project)
    trust.trust(house.find().untrusted["one"])
    assert (house.config / "trust.json").stat().st_mode & 0o777 == 0o600
    assert not [path for path in house.config.iterdir() if path.name.startswith(".trust")]


def test_damaged_pins_trust_nobody_and_say_so(house: House):
    put(house.project / "tools", "one", "One.")
    put(house.config / "tools", "mine", "Mine.")
    spec = house.find().untrusted["one"]
    (house.config / "trust.json").write_text("{")
    found = house.find()
    assert (list(found.tools), list(found.untrusted)) == (["mine"], ["one"])
    assert "damaged" in found.problems[0]
    with pytest.raises(Unavailable, match="damaged"):
        Trust(house.config, house.project).trust(spec)
    assert (house.config / "trust.json").read_text() == "{"


@pytest.mark.parametrize("content", ["[]", '{"pins": 5}', '{"pins": [5, null]}', "[" * 10_000, "\ud800"])
def test_odd_pins_are_not_trusted(house: House, content: str):
    put(house.project / "tools", "one", "One.")
    (house.config / "trust.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    assert list(house.find().untrusted) == ["one"]


def test_trusting_the_new_version_forgets_the_old(house: House):
    path = put(house.project / "tools", "one", "One.")
    old = house.find().untrusted["one"]
    trust = Trust(house.config, house.project)
    trust.trust(old)
    put(house.project / "tools", "one", "Two.")
    trust.trust(house.find().untrusted["one"])
    assert trust.is_trusted(old) is False
    path.write_text(TOOL.format("One."))
    assert list(house.find().untrusted) == ["one"]


def test_a_configuration_folder_that_cannot_be_made_is_one_line(tmp_path: Path):
    (tmp_path / "config").write_text("")
    spec = describe(TOOL.format("x").encode(), tmp_path / "one.py", "project")
    assert spec is not None
    with pytest.raises(Unavailable, match="Cannot write"):
        Trust(tmp_path / "config", tmp_path).trust(spec)


GROWN = '"""Weather."""\nPERMISSIONS = {{"network": {}}}\nUSES = {}\nEFFECT = "{}"\ndef run(): return 1\n'


def test_a_file_that_asks_for_more_is_not_trusted_and_what_is_new_is_named(house: House):
    path = house.project / "tools" / "weather.py"
    path.write_text(GROWN.format(["a.example"], ["http"], "read"))
    trust = Trust(house.config, house.project)
    first = house.find().untrusted["weather"]
    assert trust.grown(first) == ()
    assert "network a.example, calls http" in asks_for(first, trust)
    trust.trust(first)
    path.write_text(GROWN.format(["a.example", "b.example"], ["http", "memory"], "write"))
    second = house.find().untrusted["weather"]
    assert trust.grown(second) == ("network b.example", "calls memory", "effect write")
    assert "New since you trusted it: network b.example, calls memory, effect write." in asks_for(second, trust)
    trust.trust(second)
    path.write_text(GROWN.format(["a.example"], [], "read"))
    third = house.find().untrusted["weather"]
    assert trust.grown(third) == (), "less is not more"
    assert may(third) == "network a.example"


def test_what_a_tool_may_do_is_shown_at_its_first_use_and_again_when_it_grows(house: House):
    path = house.project / "tools" / "weather.py"
    path.write_text(GROWN.format(["a.example"], ["http"], "read"))
    trust = Trust(house.config, house.project)
    spec = house.find().untrusted["weather"]
    assert trust.first_use(spec) == ("network a.example", "calls http")
    assert trust.first_use(spec) == ()
    assert Trust(house.config, house.shipped).first_use(spec) == ("network a.example", "calls http"), "by project"
    path.write_text(GROWN.format(["a.example", "b.example"], ["http"], "read"))
    assert trust.first_use(house.find().untrusted["weather"]) == ("network b.example",)
    assert list(house.find().untrusted) == ["weather"], "to have seen it is not to trust it"


def test_where_nothing_can_be_kept_it_is_shown_each_time(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    trust = Trust(tmp_path / "file", tmp_path)
    house = House(tmp_path / "house")
    put(house.shipped, "plot", "Ours.")
    spec = house.find().tools["plot"]
    assert trust.first_use(spec) == trust.first_use(spec) == spec.grants
