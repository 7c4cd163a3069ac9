import datetime as dt
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.core.artifacts import PREVIEW_ROWS
from workbench.core.errors import Refused, Unavailable
from workbench.sandbox import arrow, frames
from workbench.sandbox.frames import check_table, read_frame, snapshot


def write(table: pa.Table, **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def travelled(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    return read_frame(folder / snapshot(frame, folder, "r1", "frame").path)


def test_a_snapshot_says_what_is_in_it(tmp_path: Path):
    frame = pd.DataFrame({"city": ["Oslo", None], "n": [1, 2], "on": [dt.date(2025, 1, 2), None]})
    artifact = snapshot(frame, tmp_path, "20250102-abc", "sales")
    assert artifact.path.startswith("20250102-abc/sales-1-")
    assert (artifact.rows, artifact.title) == (2, "sales")
    assert [(c.name, c.type) for c in artifact.columns] == [("city", "text"), ("n", "integer"), ("on", "date")]
    assert artifact.preview == (("Oslo", 1, "2025-01-02"), (None, 2, None))
    assert artifact.bytes == (tmp_path / artifact.path).stat().st_size
    assert [path.name for path in (tmp_path / "20250102-abc").iterdir()] == [Path(artifact.path).name]


def test_the_same_frame_is_the_same_file(tmp_path: Path):
    frame = pd.DataFrame({"n": [1, 2]})
    assert snapshot(frame, tmp_path, "r", "a") == snapshot(frame.copy(), tmp_path, "r", "a")


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        np.array([1, 2, 3], dtype="uint8"),
        pd.array([1, None, 3], dtype="Int64"),
        pd.array([True, None, False], dtype="boolean"),
        [1.5, None, -0.0],
        ["a", "", "ü🙂"],
        [dt.date(2025, 1, 2), dt.date(1, 1, 1), None],
        pd.Series(["2025-01-02T03:04:05.123456789", None, "1999-12-31"], dtype="datetime64[ns]"),
        pd.Series(["2025-01-02", None, "1999-12-31"], dtype="datetime64[us, Europe/Oslo]"),
        pd.to_timedelta(["1 day", None, "3 s"]),
        [dt.time(1, 2), dt.time(3), None],
        pd.Categorical(["a", "b", "a"], categories=["b", "a", "c"], ordered=True),
    ],
    ids=lambda values: str(getattr(values, "dtype", type(values[0]).__name__)),
)
def test_types_survive(tmp_path: Path, values: object):
    frame = pd.DataFrame({"x": values})
    back = travelled(frame, tmp_path)
    pd.testing.assert_frame_equal(back, frame)


@pytest.mark.parametrize(
    ("frame", "columns"),
    [
        (pd.DataFrame({"n": [3, 1]}).sort_values("n"), ["n"]),
        (pd.DataFrame({"n": [1, 2]}, index=["a", "b"]), ["index", "n"]),
        (pd.DataFrame({"n": [1, 2]}, index=pd.Index([1, 2], name="id")), ["id", "n"]),
        (pd.DataFrame({"g": ["a", "b"], "n": [1, 2]}).groupby("g").sum(), ["g", "n"]),
        (pd.DataFrame({"g": ["a"], "h": ["b"], "n": [1]}).groupby(["g", "h"]).sum(), ["g", "h", "n"]),
        (pd.DataFrame({"g": ["a"], "n": [1]}).groupby("g").agg({"n": ["sum", "mean"]}), ["g", "n_sum", "n_mean"]),
        (pd.DataFrame({"index": [1]}, index=["a"]), ["index_index", "index"]),
        (pd.DataFrame({0: [1], 1: [2]}), ["0", "1"]),
        (pd.DataFrame({"g": ["a", "a"]}).value_counts(), ["g", "count"]),
        (pd.Series([1, 2]), ["value"]),
        (pd.Series([1, 2], index=["a", "b"], name="n"), ["index", "n"]),
        (pd.DataFrame({"n": []}), ["n"]),
        (pd.DataFrame(), []),
    ],
)
def test_an_index_that_says_something_becomes_columns(frame: pd.DataFrame, columns: list[str]):
    assert arrow.from_pandas(frame).column_names == columns


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (pd.DataFrame({"fine": [1, 2], "odd": [1, "a"]}), "odd"),
        (pd.DataFrame({"odd": [object()]}), "odd"),
        (pd.DataFrame({"odd": [int, str]}), "odd"),
        (pd.DataFrame({"odd": [1 + 2j]}), "odd"),
        (pd.DataFrame({"odd": pd.period_range("2025-01", periods=2, freq="M")}), "odd"),
        (pd.DataFrame({"odd": pd.interval_range(0, 2)}), "odd"),
        (pd.DataFrame({"odd": [10**30]}), "odd"),
        (pd.DataFrame({"odd": pd.Series(["\ud800"], dtype=object)}), "odd"),
        (pd.DataFrame([[1, 2]], columns=["twice", "twice"]), "twice"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "1"),
    ],
)
def test_a_column_that_cannot_travel_is_refused_by_its_name(tmp_path: Path, frame: pd.DataFrame, name: str):
    with pytest.raises(Refused, match=repr(name)) as caught:
        snapshot(frame, tmp_path, "r", "frame")
    assert caught.value.data["column"] == name
    assert list((tmp_path / "r").iterdir()) == []


def test_a_column_of_gaps_is_text(tmp_path: Path):
    artifact = snapshot(pd.DataFrame({"none": [None, None]}), tmp_path, "r", "f")
    assert (artifact.columns[0].type, artifact.preview) == ("text", ((None,), (None,)))


def test_a_preview_is_short(tmp_path: Path):
    frame = pd.DataFrame({"text": ["x" * 10_000] * 50, "list": [[1, 2]] * 50, "real": [float("inf")] * 50})
    artifact = snapshot(frame, tmp_path, "r", "f")
    assert len(artifact.preview) == PREVIEW_ROWS
    assert (len(artifact.preview[0][0]), artifact.preview[0][1:]) == (200, ("[1, 2]", None))


OLD, NEW = dt.datetime.fromisoformat("1700-01-01"), dt.datetime.fromisoformat("2200-01-01")
COLUMNS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=5, max_size=5),
    st.lists(st.floats(width=64), min_size=5, max_size=5),
    st.lists(st.booleans(), min_size=5, max_size=5),
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=5, max_size=5),
    st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=5, max_size=5),
    st.lists(st.dates(), min_size=5, max_size=5),
    st.lists(st.datetimes(OLD, NEW), min_size=5, max_size=5),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=5, max_size=5).map(
        lambda values: pd.array(values, dtype="Int64") if None in values else values
    ),
    st.lists(st.none() | st.booleans(), min_size=5, max_size=5).map(
        lambda values: pd.array(values, dtype="boolean") if None in values else values
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), COLUMNS, max_size=5))
def test_any_table_comes_back_as_it_was(tmp_path: Path, columns: dict[str, list[object]]):
    frame = pd.DataFrame(columns)
    back = travelled(frame, tmp_path)
    if not columns:
        assert back.empty
        return
    for name in frame.columns:
        if frame[name].isna().all() and frame[name].dtype == object:
            assert back[name].isna().all()
        else:
            pd.testing.assert_series_equal(back[name], frame[name])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_table_or_a_value_error(data: bytes):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        check_table(data)


GOOD = write(
    pa.table(
        {"text": ["a", "bb", None] * 5, "n": list(range(15)), "d": pa.array(["x", "y", "x"] * 5).dictionary_encode()}
    )
)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, 3))
def test_a_damaged_file_is_a_table_or_a_value_error(at: int, byte: int, cut: int):
    data = bytearray(GOOD)
    data[at] = byte
    try:
        table = check_table(bytes(data[: len(data) - cut]))
    except ValueError:
        return
    arrow.to_pandas(table)
    frames.preview(table)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compression_is_refused_before_anything_is_unpacked(compression: str):
    bomb = pa.table({"n": pa.array(np.zeros(1_000_000))})
    with pytest.raises(ValueError, match="compressed"):
        check_table(write(bomb, compression=compression))
    words = pa.table({"d": pa.array(["x" * 1000, "y"]).dictionary_encode()})
    with pytest.raises(ValueError, match="compressed"):
        check_table(write(words, compression=compression))
    assert len(check_table(write(bomb))) == 1_000_000


@pytest.mark.parametrize(
    "column",
    [
        pa.nulls(10**9),
        pa.RunEndEncodedArray.from_arrays(pa.array([10**9], pa.int32()), pa.array([1])),
        pa.array([b""] * 3, pa.binary(0)),
        pa.StructArray.from_arrays([], names=[]),
        pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]),
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1], pa.int8())),
        pa.array(["a"], pa.string_view()),
    ],
    ids=lambda column: str(column.type)[:20],
)
def test_types_that_claim_more_than_they_hold_are_refused(column: pa.Array):
    with pytest.raises(ValueError, match="column 'x'"):
        check_table(write(pa.table({"x": column})))


@pytest.mark.parametrize("words", [["a", "a"], ["a", None], [[1], [2]], np.array([1, 2], dtype="float16")], ids=str)
def test_categories_that_no_frame_can_have_are_refused(words: list[object]):
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(words))
    with pytest.raises(ValueError, match="column 'x'"):
        check_table(write(pa.table({"x": column})))


def test_pandas_metadata_of_a_stranger_is_not_read():
    schema = pa.schema([("n", pa.int64())], metadata={"pandas": b'{"index_columns": ["n"], "columns": 5}'})
    table = check_table(write(pa.table({"n": [1]}, schema=schema)))
    assert list(arrow.to_pandas(table).columns) == ["n"]


def test_a_missing_or_broken_file_is_unavailable_in_one_line(tmp_path: Path):
    with pytest.raises(Unavailable, match="gone"):
        read_frame(tmp_path / "none.arrow")
    (tmp_path / "bad.arrow").write_bytes(struct.pack("<i", 10) * 10)
    with pytest.raises(Unavailable, match="damaged"):
        read_frame(tmp_path / "bad.arrow")


FULL = """
import resource, sys
from pathlib import Path
import pandas as pd
from workbench.sandbox.frames import snapshot
frame = pd.DataFrame({"n": range(5000)})
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    snapshot(frame, Path(sys.argv[1]), "r", "f")
except Exception as error:
    print(repr(error), error.hint)
"""


def test_a_disk_that_fills_up_is_unavailable_and_nothing_is_left(tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "Unavailable('Cannot write below" in said
    assert "WORKBENCH_HOME" in said
    assert list((tmp_path / "r").iterdir()) == []
