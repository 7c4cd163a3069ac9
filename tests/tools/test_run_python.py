"""Code over the user's tables: what comes back, and what is said when it does not."""

from urllib.parse import urlsplit

import pandas as pd
import pytest

from tests.tools.test_in_workers import Desk, tool
from tests.web import serving
from workbench.core.errors import Refused
from workbench.planners.grammar.examples import match
from workbench.sandbox import linux
from workbench.sandbox.forked import ConfinedSandbox
from workbench.sandbox.frames import read_frame
from workbench.sandbox.portable import SpawnedSandbox


@pytest.fixture
def desk(tmp_path):
    if why := linux.supported():
        pytest.skip(why)
    desk = Desk(tmp_path)
    desk.sandbox = ConfinedSandbox(tmp_path / "home", desk.project)
    return desk


@pytest.fixture
def sales():
    return pd.DataFrame({"region": ["N", "S", "N"], "units": [1, 2, 4], "price": [2.0, 3.0, 5.0]})


async def test_the_last_expression_is_the_value_and_prints_are_the_text(desk: Desk):
    result = await desk.run("run_python", code="import math\nprint('half')\nx = 6 * 7\nx / math.sqrt(4)")
    assert (result.status, result.value, result.text) == ("ok", {"value": 21.0}, "half\n")


async def test_a_table_comes_in_by_name_and_a_table_goes_out(desk: Desk, sales: pd.DataFrame):
    table = await desk.offer(sales)
    code = "sales['revenue'] = sales.units * sales.price\nsales.groupby('region').revenue.sum()"
    result = await desk.run("run_python", code=code, tables={"sales": table})
    assert result.status == "ok", result.error
    made = read_frame(desk.artifacts / result.value["value"].path)
    assert made.to_dict("list") == {"region": ["N", "S"], "revenue": [22.0, 6.0]}


async def test_the_variable_result_counts_when_the_code_does_not_end_with_a_value(desk: Desk):
    assert (await desk.run("run_python", code="result = [1, 2]\nprint(result)")).value == {"value": [1, 2]}
    assert (await desk.run("run_python", code="x = 1")).value == {"value": None}
    assert (await desk.run("run_python", code="")).value == {"value": None}


async def test_values_of_any_type_come_back_as_something(desk: Desk):
    code = """
import datetime, decimal, collections
class Thing: pass
{"n": np.int64(3), "a": np.array([[1, 2]]), "t": pd.Timestamp("2025-01-02"), "p": pd.Period("2025-01"), "c": 1j,
 "nan": float("nan"), "set": {1}, 5: (1, 2), "d": datetime.date(2025, 1, 2), "x": decimal.Decimal("1.5"), "na": pd.NA,
 "i": pd.Index(["a"]), "o": Thing, "b": b"x", "counter": collections.Counter("aab"), "df": pd.DataFrame({"x": [1]})}
"""
    result = await desk.run("run_python", code=code)
    assert result.status == "ok", result.error
    value = result.value["value"]
    assert value.pop("o") == "<class '__main__.Thing'>"
    assert value.pop("df").rows == 1
    assert value == {
        "n": 3,
        "a": [[1, 2]],
        "t": "2025-01-02T00:00:00",
        "p": "Period('2025-01', 'M')",
        "c": "1j",
        "nan": None,
        "set": [1],
        "5": [1, 2],
        "d": "2025-01-02",
        "x": 1.5,
        "na": None,
        "i": ["a"],
        "b": "b'x'",
        "counter": {"a": 2, "b": 1},
    }


async def test_figures_come_back_as_pictures_with_a_title_and_what_they_show(desk: Desk, sales: pd.DataFrame):
    code = """
import matplotlib.pyplot as plt
fig, ax = plt.subplots()
ax.plot(sales.units, sales.price)
ax.set(title="Price by units", xlabel="units", ylabel="price")
plt.figure()
plt.bar(sales.region, sales.units)
plt.show()
"""
    result = await desk.run("run_python", code=code, tables={"sales": await desk.offer(sales)})
    assert result.status == "ok", result.error
    assert result.text == ""
    first, second = result.value["figures"]
    assert (first.title, first.alt) == ("Price by units", "Price by units. 1 line of price over units.")
    assert (second.title, second.alt) == ("Figure 2", "Figure 2. 3 bars or areas.")
    assert result.value["value"] is None


@pytest.mark.parametrize(
    "code",
    [
        "pd.Series([1, 2]).plot()",
        "import matplotlib.pyplot as plt\nplt.hist([1, 2, 2])",
        "pd.DataFrame({'a': [1, 2]}).hist()",
        "from matplotlib.figure import Figure\nf = Figure()\nf.subplots().plot([1, 2])\nf",
        "import matplotlib.pyplot as plt\nresult = plt.figure()",
    ],
)
async def test_what_a_drawing_function_gives_back_is_its_figure(desk: Desk, code):
    result = await desk.run("run_python", code=code)
    assert result.status == "ok", result.error
    assert result.value["value"] is None
    assert [picture.mime for picture in result.value["figures"]] == ["image/png"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("x = 1\ny = = 2", "SyntaxError: invalid syntax (line 2: y = = 2)"),
        (
            "if True:\nprint(1)",
            "IndentationError: expected an indented block after 'if' statement on line 1 (line 2: print(1))",
        ),
        ("x = 1\nreturn x", "SyntaxError: 'return' outside function (line 2: return x)"),
        ("def f():\n    return {}['a']\n\nf()", "KeyError: 'a' (line 2: return {}['a'])"),
        ("pd.DataFrame({'a': [1]})['b']", "KeyError: 'b' (line 1: pd.DataFrame({'a': [1]})['b'])"),
        (
            "import no_such_package",
            "ModuleNotFoundError: No module named 'no_such_package' (line 1: import no_such_package)",
        ),
        ("raise SystemExit(3)", "The code ended itself (exit 3)."),
    ],
)
async def test_an_error_names_the_line_of_the_users_code(desk: Desk, code, error):
    result = await desk.run("run_python", code=code)
    assert (result.status, result.error) == ("failed", error)


NETWORK, FILES, PROGRAMS = "The network is closed", "Files outside", "Other programs"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import socket\nsocket.create_connection(('93.184.216.34', 80), timeout=5)", NETWORK),
        ("import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=5)", NETWORK),
        ("import socket\nsocket.getaddrinfo('example.com', 80)", NETWORK),
        ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}/')", NETWORK),
        ("import requests\nrequests.get('https://example.com', timeout=5)", NETWORK),
        ("pd.read_csv('https://example.com/a.csv')", NETWORK),
        ("open({file!r}).read()", FILES),
        ("pd.read_csv({file!r})", FILES),
        ("open({folder!r} + '/new.txt', 'w')", FILES),
        ("import os\nos.listdir({folder!r})", FILES),
        ("import subprocess\nsubprocess.run(['/bin/true'])", PROGRAMS),
        ("import os\nos.fork()", PROGRAMS),
        ("import multiprocessing as m\nm.get_context('fork').Process(target=print).start()", PROGRAMS),
    ],
)
async def test_what_is_closed_is_refused_with_the_reason_and_the_line(desk: Desk, tmp_path, code, reason):
    secret = tmp_path / "secret.txt"
    secret.write_text("the user's own")
    with serving() as server:
        given = {"port": urlsplit(server.url).port, "file": str(secret), "folder": str(tmp_path)}
        filled = code.format(**given)
        result = await desk.run("run_python", code=f"# a comment\n{filled}")
    assert not server.heard
    assert result.status == "failed", result.value
    assert reason in result.hint, (result.error, result.hint)
    assert f"(line {len(filled.splitlines()) + 1}: {filled.splitlines()[-1]}"[:100] in result.error
    assert "the user's own" not in repr(result)


@pytest.mark.parametrize("code", ["open('no.txt')", "raise PermissionError('mine')", "int('x')"])
async def test_the_codes_own_mistakes_are_not_blamed_on_the_confinement(desk: Desk, code):
    result = await desk.run("run_python", code=code)
    assert (result.status, result.hint) == ("failed", "")


async def test_files_of_its_own_and_threads_may_be_used(desk: Desk):
    code = """
import concurrent.futures, pathlib, tempfile
pathlib.Path("a.csv").write_text("x\\n1\\n2")
with tempfile.TemporaryFile() as file: file.write(b"x")
with concurrent.futures.ThreadPoolExecutor(2) as pool: found = list(pool.map(abs, [-1, -2]))
[int(pd.read_csv("a.csv").x.sum()), *found]
"""
    result = await desk.run("run_python", code=code)
    assert (result.status, result.value) == ("ok", {"value": [3, 1, 2]}), result.error


async def test_below_level_kernel_it_is_denied_and_the_setting_that_lowers_it_is_named(desk: Desk):
    desk.sandbox = SpawnedSandbox(desk.artifacts.parent, desk.project)
    denied = await desk.run("run_python", code="1")
    assert denied.status == "denied"
    assert "WORKBENCH_ISOLATION=process" in denied.hint
    desk.sandbox = SpawnedSandbox(desk.artifacts.parent, desk.project, accepts="process")
    assert (await desk.run("run_python", code="1")).value == {"value": 1}


async def test_a_name_that_is_none_is_refused(desk: Desk, sales: pd.DataFrame):
    result = await desk.run("run_python", code="1", tables={"not a name": await desk.offer(sales)})
    assert (result.status, result.error) == ("failed", "'not a name' is no name for a variable.")


def test_no_request_in_words_becomes_code():
    tools = {"run_python": tool("run_python")}
    for text in (*tools["run_python"].examples, "run Python: print(1)", "run print(1) in Python", "python 1 + 1"):
        try:
            assert match(text, tools, least=1) is None
        except Refused:
            pytest.fail(f"{text!r} was taken for a request to run code")
