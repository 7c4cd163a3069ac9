import ast
import hashlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import Refused
from workbench.core.tools import Permissions, ToolSpec
from workbench.registry.grants import may
from workbench.registry.spec import describe

PATH = Path("project/tools/weather.py")
HEAD = "PERMISSIONS = {}\n"


def described(source: str | bytes) -> ToolSpec:
    spec = describe(source.encode() if isinstance(source, str) else source, PATH, "project")
    assert spec is not None
    return spec


def schema_of(annotation: str, default: str = "") -> dict[str, object]:
    params = described(f"{HEAD}LIMIT = 5\ndef run(x: {annotation}{' = ' + default if default else ''}): ...").params
    found: dict[str, object] = params["properties"]["x"]
    assert ("x" in params["required"]) == (not default)
    return found


def test_a_whole_file_is_described():
    source = b'''"""Current weather for a city.

From a public service.
"""
from workbench import toolkit
PERMISSIONS: dict[str, list[str]] = {"network": ["api.open-meteo.com"], "secrets": ["KEY"], "read": ["data"]}
USES = ["http", "memory.recall"]
EFFECT = "idempotent"
TIMEOUT = 20
EXAMPLES = ["weather in Lisbon"]

def run(city: str, *, days: int = 1, frame: toolkit.Frame | None = None) -> dict:
    """Ask the service.

    Args:
        city: the name of a city,
            in any language
        days (int): how many days

    Returns:
        a dict
    """
'''
    spec = described(source)
    assert (spec.name, spec.summary, spec.description) == (
        "weather",
        "Current weather for a city.",
        "From a public service.",
    )
    assert (spec.version, spec.source) == (hashlib.sha256(source).hexdigest(), source)
    assert spec.permissions == Permissions(network=("api.open-meteo.com",), secrets=("KEY",), read=("data",))
    assert (spec.uses, spec.effect, spec.timeout) == (("http", "memory.recall"), "idempotent", 20.0)
    assert (spec.examples, spec.origin, spec.path) == (("weather in Lisbon",), "project", str(PATH))
    assert spec.params == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "the name of a city, in any language"},
            "days": {"type": "integer", "default": 1, "description": "how many days"},
            "frame": {"anyOf": [{"x-frame": True}, {"type": "null"}], "default": None},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("str", {"type": "string"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("list", {"type": "array"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("Sequence[str]", {"type": "array", "items": {"type": "string"}}),
        ("collections.abc.Sequence[str]", {"type": "array", "items": {"type": "string"}}),
        ("tuple[str, ...]", {"type": "array", "items": {"type": "string"}}),
        ("tuple[int, int]", {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}),
        ("dict", {"type": "object"}),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("typing.Literal['a', 'b']", {"type": "string", "enum": ["a", "b"]}),
        ("Literal[1, 'b']", {"enum": [1, "b"]}),
        ("Optional[int]", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ("Union[int, str]", {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ("int | str | None", {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}),
        ("'int | None'", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ("Annotated[int, 'metres']", {"type": "integer"}),
        ("Any", {}),
        ("Frame", {"x-frame": True}),
        ("toolkit.Frame", {"x-frame": True}),
        ("pd.DataFrame", {"x-frame": True}),
        ("list[toolkit.Frame]", {"type": "array", "items": {"x-frame": True}}),
    ],
)
def test_annotations_become_schemas(annotation: str, schema: dict[str, object]):
    assert schema_of(annotation) == schema


@pytest.mark.parametrize(
    ("annotation", "default", "wanted"),
    [
        ("int", "3", {"type": "integer", "default": 3}),
        ("int", "LIMIT", {"type": "integer", "default": 5}),
        ("int", "-1", {"type": "integer", "default": -1}),
        ("int", "None", {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}),
        ("list[str]", "()", {"type": "array", "items": {"type": "string"}, "default": []}),
        ("str", "os.sep", {"type": "string"}),
        ("str", "'\\ud800'", {"type": "string"}),
        ("Any", "b'x'", {}),
        ("float", "1e999", {"type": "number"}),
    ],
)
def test_defaults_are_kept_where_they_are_json(annotation: str, default: str, wanted: dict[str, object]):
    assert schema_of(annotation, default) == wanted


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (HEAD + "def run(*args: int): ...", r"weather.py line 2: run takes \*args"),
        (HEAD + "def run(**more: int): ...", r"line 2: run takes \*\*more"),
        (HEAD + "def run(a: int, /): ...", "line 2: parameter 'a' cannot be given by name"),
        (HEAD + "def run(a): ...", "line 2: parameter 'a' has no type"),
        (HEAD + "def run(\n    a: int,\n    b: Widget): ...", "line 4: parameter 'b'.*Widget"),
        (HEAD + "def run(a: list[int, str]): ...", "line 2: parameter 'a'"),
        (HEAD + "def run(a: dict[int, str]): ...", "line 2: parameter 'a'"),
        (HEAD + "def run(a: Literal[x]): ...", "line 2: parameter 'a'"),
        (HEAD + "def run(a: 'in t'): ...", "line 2: the type of 'a'"),
        (HEAD + "def run(a: int = 'x'): ...", "line 2: the default of a: expected integer"),
        (HEAD + "async def run(): ...", "line 2: run must be a plain function"),
        (HEAD + "class run: ...", "line 2: run must be a plain function"),
        (HEAD + "def run(:", "line 2: invalid syntax"),
        ("PERMISSIONS = dict()\ndef run(): ...", "line 1: PERMISSIONS must be written out"),
        ("PERMISSIONS = []\ndef run(): ...", "line 1: PERMISSIONS must be a dict"),
        ("PERMISSIONS = {'exec': []}\ndef run(): ...", "unknown key 'exec'"),
        ("PERMISSIONS = {'network': 'a.b'}\ndef run(): ...", "must be a list"),
        ("PERMISSIONS = {'network': ['http://a.b/']}\ndef run(): ...", "no host name"),
        ("PERMISSIONS = {'network': ['a.b:8443']}\ndef run(): ...", "'a.b:8443', which is no host name .*no port"),
        ("PERMISSIONS = {'read': ['../up']}\ndef run(): ...", "no folder inside"),
        ("PERMISSIONS = {'read': ['/etc']}\ndef run(): ...", "no folder inside"),
        ("PERMISSIONS = {'secrets': ['a b']}\ndef run(): ...", "no name of a secret"),
        (HEAD + "USES = ['memmory']\ndef run(): ...", "line 2: USES holds 'memmory'"),
        (HEAD + "EFFECT = 'destroy'\ndef run(): ...", "line 2: EFFECT must be"),
        (HEAD + "EFFECT = ['read']\ndef run(): ...", "line 2: EFFECT must be"),
        ("PERMISSIONS = {'write': ['/tmp']}\ndef run(): ...", "no folder inside"),
        (HEAD + "ISOLATION = 'none'\ndef run(): ...", "line 2: ISOLATION must be"),
        (HEAD + "TIMEOUT = 0\ndef run(): ...", "line 2: TIMEOUT must be"),
        (HEAD + "TIMEOUT = True\ndef run(): ...", "line 2: TIMEOUT must be"),
        (HEAD + "TIMEOUT = 1e999\ndef run(): ...", "line 2: TIMEOUT must be"),
        (HEAD + "EXAMPLES = 'one'\ndef run(): ...", "line 2: EXAMPLES must be a list"),
        (b"\0" + HEAD.encode(), "null"),
        (b"# coding: nonsense\nPERMISSIONS = {}", "nonsense"),
        (HEAD.encode() + b"def run(): '\xff'", "(?i)utf-8|encod"),
        (b"x" * 1_000_001, "1,000,001 bytes"),
        ("x = " + "(" * 100_000, "weather.py"),
        ("x = " + "-" * 100_000 + "1", "weather.py"),
        ("x = " + "a." * 100_000 + "b", "weather.py"),
        (HEAD + "def run(a: " + "list[" * 50 + "int" + "]" * 50 + "): ...", "nested too deep"),
        (HEAD + "def run(a: " + "|".join(["int"] * 20_000) + "): ...", "weather.py"),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_what_is_wrong_is_named_with_its_line(source: str | bytes, words: str):
    with pytest.raises(Refused, match=words):
        describe(source.encode() if isinstance(source, str) else source, PATH, "project")


@pytest.mark.parametrize("source", ["", "x = 1", "def run(): ...", "PERMISSIONS = {}", "PERMISSIONS, run = {}, 1"])
def test_other_python_files_are_not_tools(source: str):
    assert describe(source.encode(), PATH, "project") is None


def test_nothing_of_the_file_runs(tmp_path: Path):
    trap = tmp_path / "ran"
    source = f"open({str(trap)!r}, 'w')\n{HEAD}def run(a: int = open({str(trap)!r}, 'w')): ...\n"
    assert described(source).params["required"] == []
    assert not trap.exists()


def test_encodings_are_read_as_python_reads_them():
    assert described(b"\xef\xbb\xbf" + '"""Über."""\n'.encode() + HEAD.encode() + b"def run(): ...").summary == "Über."
    latin = b'# -*- coding: latin-1 -*-\n"""\xdcber."""\nPERMISSIONS = {}\ndef run(): ...'
    assert described(latin).summary == "Über."


def test_a_doubtful_escape_is_no_reason_to_refuse():
    assert described(HEAD + "PATTERN = '\\d'\ndef run(): ...").name == "weather"


def test_a_tool_says_where_it_writes_and_which_isolation_it_needs():
    spec = described("PERMISSIONS = {'write': ['out']}\nISOLATION = 'kernel'\ndef run(): ...")
    assert (spec.permissions.write, spec.isolation) == (("out",), "kernel")
    assert described(HEAD + "def run(): ...").isolation == ""


def test_without_a_docstring_the_name_speaks():
    spec = describe(HEAD.encode() + b"def run(): ...", Path("tools/sea_level.py"), "user")
    assert spec is not None
    assert (spec.summary, spec.description) == ("sea level", "")
    assert described(HEAD + 'def run(a: int):\n    """Add.\n\n    Args:\n        a: it\n    """').summary == "Add."


def test_parameters_may_be_documented_as_fields():
    source = HEAD + 'def run(a: int, b: str):\n    """Do.\n\n    :param a: one\n    :param str b: two\n    """'
    properties = described(source).params["properties"]
    assert (properties["a"]["description"], properties["b"]["description"]) == ("one", "two")


@pytest.mark.parametrize("name", ["my-tool", "1st", "a" * 65, "ünï"])
def test_a_file_name_that_is_no_tool_name_is_refused(name: str):
    with pytest.raises(Refused, match="no name for a tool"):
        describe(HEAD.encode() + b"def run(): ...", Path(f"tools/{name}.py"), "user")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_tool_or_refused(data: bytes):
    with suppress(Refused):
        describe(data, PATH, "project")


SCRAPS = "PERMISSIONS run def = { } [ ] ( ) : , int str 'x' 1 None | * ** / EFFECT USES TIMEOUT ... # lambda @"
WORDS = st.sampled_from([*SCRAPS.split(), "\n", " ", "    "])


@given(st.lists(WORDS, max_size=40), st.lists(WORDS, max_size=15))
def test_any_text_that_looks_like_a_tool_is_one_or_refused(before: list[str], inside: list[str]):
    source = "".join(before) + "\nPERMISSIONS = {}\ndef run(" + "".join(inside) + "): ...\n"
    try:
        spec = describe(source.encode(), PATH, "project")
    except Refused:
        return
    assert spec is None or isinstance(ast.parse(source), ast.Module)


@pytest.mark.parametrize(
    ("check", "found"),
    [
        ("def check(key): ...", True),
        ("def check(key: str, path='x') -> dict | None: ...", True),
        ("", False),
        ("def check(value): ...", False),
        ("def check(key, other): ...", False),
        ("def check(key, *, other): ...", False),
        ("async def check(key): ...", False),
        ("check = None", False),
    ],
)
def test_a_check_is_known_by_its_name_and_its_key(check: str, found: bool):
    assert described(f"{HEAD}def run(): ...\n{check}\n").checks is found


def test_a_host_that_stands_for_a_service_of_the_settings_is_told_as_one():
    network = {"network": ["api.example.com", "searxng.invalid"]}
    spec = described(f"PERMISSIONS = {network}\ndef run(city: str): ...")
    assert may(spec) == "network api.example.com, network searxng where you have set it"
