"""Tools of one's own in a real kernel: a file dropped into ./tools, and a function of a cell, in the next `%agent`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.notebook.conftest import Outputs, text_of

FILE = '''
"""Greets somebody."""
PERMISSIONS = {{}}
EXAMPLES = ["greet {{name}}"]
def run(name: str) -> str:
    return "{word}, " + name
'''


def test_a_file_in_tools_is_used_by_the_next_request_once_it_is_trusted(
    run_cells: Callable[..., Outputs], tmp_path: Path
) -> None:
    (tmp_path / ".workbench").mkdir()
    write = "from pathlib import Path\nPath('tools').mkdir(exist_ok=True)\n_ = Path('tools/greet.py').write_text({!r})"
    trust = "!{sys.executable} -m workbench.cli trust tools/greet.py --yes"
    outputs = run_cells(
        f"import sys\n%cd -q {tmp_path}\n%load_ext workbench\n%workbench tools",
        write.format(FILE.format(word="Hello")),
        "%agent greet Ada",
        "%workbench tools",
        trust,
        "%agent greet Ada",
        write.format(FILE.format(word="Welcome")),
        "%agent greet Ada",
        trust,
        "%agent greet Ada",
    )
    assert "Hello, Ada" not in text_of(outputs[2])
    assert "greet is not trusted yet" in text_of(outputs[3])
    assert "Hello, Ada" in text_of(outputs[5])
    assert "Ada" not in text_of(outputs[7]).replace("greet Ada", "")
    assert "Welcome, Ada" in text_of(outputs[9])


def test_a_function_of_a_cell_is_used_by_the_next_request_and_again_when_it_is_changed(
    run_cells: Callable[..., Outputs], tmp_path: Path, level: str
) -> None:
    (tmp_path / ".workbench").mkdir()
    cell = '@workbench.tool(examples=["greet {name}"])\ndef greet(name: str) -> str:\n    return WORD + ", " + name'
    outputs = run_cells(
        f"import workbench\n%cd -q {tmp_path}\n%load_ext workbench\nWORD = 'Hello'\ndef helper(): return 1",
        cell,
        "%agent greet Ada",
        cell.replace("WORD", "'Dear ' + WORD"),
        "%agent greet Ada",
        "@workbench.tool\ndef other(x: int) -> int:\n    return helper()",
        '@workbench.tool(in_kernel=True, examples=["keep {name}"])\ndef keep(name: str) -> str:\n'
        '    global WORD\n    WORD = name\n    return "kept " + name',
        "%agent keep Ada",
        "WORD",
    )
    assert outputs[1] == []
    assert "Hello, Ada" in text_of(outputs[2])
    assert outputs[2][0].metadata["workbench"]["isolation"] == level
    assert "Dear Hello, Ada" in text_of(outputs[4])
    assert "helper, which is a function of this kernel" in text_of(outputs[5])
    assert "kept Ada" in text_of(outputs[7])
    assert "Nothing confines keep" in text_of(outputs[7])
    assert text_of(outputs[8]) == "'Ada'"


def test_one_tool_runs_once_from_a_cell_and_what_is_wrong_is_one_line(run_cells: Callable[..., Outputs]) -> None:
    outputs = run_cells(
        "%load_ext workbench\nimport pandas as pd\nsales = pd.DataFrame({'revenue': [1.0, 6.0]})",
        '%workbench tool query_data sql=\'select sum(revenue) as total from t\' tables=\'{"t": {"$ref": "@sales"}}\'',
        "%workbench tool plot data=@sales y='[\"revenue\"]'",
        "_.status",
        "%workbench tool quary_data sql='select 1'",
        "%workbench tool query_data sqll='select 1'",
        "%workbench tool",
        "%workbench tool plot data=@slaes",
        "%workbench plugins",
    )
    assert "7" in text_of(outputs[1])
    assert text_of(outputs[3]) == "'done'"
    assert len(outputs[2]) == 1
    for number, word in ((4, "did you mean query_data?"), (5, "sqll"), (6, "Which tool?"), (7, "did you mean @sales?")):
        assert word in text_of(outputs[number])
    assert "plug-in" in text_of(outputs[8])


def test_an_object_of_a_type_of_ones_own_is_shown_as_it_says_or_as_ipython_was_told(
    run_cells: Callable[..., Outputs], tmp_path: Path
) -> None:
    (tmp_path / ".workbench").mkdir()
    outputs = run_cells(
        f"import workbench\n%cd -q {tmp_path}\n%load_ext workbench",
        """
from shapes import Shape
html = get_ipython().display_formatter.formatters["text/html"]
html.for_type(Shape, lambda shape: f"<em>{shape.corners} corners</em><script>alert(1)</script>")
@workbench.tool(in_kernel=True, examples=["draw {corners} corners"])
def draw(corners: int) -> object:
    return Shape(corners)
""".replace("from shapes import Shape", "class Shape:\n    def __init__(self, corners): self.corners = corners"),
        "%agent draw 5 corners",
        """
@workbench.tool(examples=["fold {corners} corners"])
def fold(corners: int) -> object:
    class Paper:
        def _repr_html_(self):
            return f"<em>{corners} folds</em>" if corners < 9 else None
        def _repr_svg_(self):
            return '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="5"/></svg>'
        def __repr__(self):
            return f"Paper({corners})"
    return Paper()
""",
        "run = %agent fold 3 corners",
        "run.steps[0].value['text']",
        "html.for_type(Shape, lambda shape: 1 / 0)\nrun = %agent draw 7 corners\n"
        "(run.status, run.steps[0].value['text'])",
        "run = %agent fold 9 corners\nlen(run.images), run.images[0].png[1:4]",
    )
    assert "<em>5 corners</em>" in outputs[2][0].data["text/html"]
    assert "alert" not in outputs[2][0].data["text/html"]
    assert "<em>3 folds</em>" in outputs[4][0].data["text/html"]
    assert "Paper(3)" in text_of(outputs[4])
    assert text_of(outputs[5]) == "'Paper(3)'"
    assert "('done', '<__main__.Shape object" in text_of(outputs[6])
    assert "ZeroDivisionError" not in text_of(outputs[6])
    assert "(1, b'PNG')" in text_of(outputs[7])
    assert '<img alt="Paper(9)" width="9" src="data:image/png;base64,' in outputs[7][0].data["text/html"]
