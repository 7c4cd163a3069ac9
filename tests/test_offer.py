"""What planners see of a user's tables, and files that are not tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from workbench.core.errors import Refused
from workbench.offer import Offer, load_table, profile


def test_a_profile_tells_names_types_and_statistics_and_no_rows_unless_named() -> None:
    frame = pd.DataFrame(
        {
            "day": ["2025-01-02", "2025-03-01", None],
            "region": ["North", "South", "North"],
            "units": [1, 2, 3],
            "price": [1.5, None, 2.0],
            "when": pd.to_datetime(["2025-01-01", "2025-01-02", "2025-01-03"]),
            "ok": [True, False, True],
        }
    )
    seen = profile("sales", frame)
    columns = {column.name: column for column in seen.columns}
    assert {name: column.type for name, column in columns.items()} == {
        "day": "text",
        "region": "text",
        "units": "integer",
        "price": "number",
        "when": "timestamp",
        "ok": "boolean",
    }
    assert columns["day"].dates
    assert (columns["day"].minimum, columns["day"].maximum, columns["day"].missing) == ("2025-01-02", "2025-03-01", 1)
    assert columns["region"].values == ("North", "South")
    assert (columns["units"].minimum, columns["units"].maximum) == (1, 3)
    assert seen.head == ()
    assert profile("sales", frame, named=True).head[2] == (None, "North", 3, 2.0, "2025-01-03", True)


def test_an_empty_frame_and_odd_columns_have_a_profile() -> None:
    assert profile("x", pd.DataFrame()).columns == ()
    odd = pd.DataFrame({1: [[1], [2]], "all_missing": [None, None], "c": pd.Categorical(["a", "b"])})
    assert [(c.name, c.type) for c in profile("x", odd).columns] == [
        ("1", "other"),
        ("all_missing", "text"),
        ("c", "text"),
    ]


def test_what_the_user_does_to_a_frame_afterwards_does_not_reach_the_run() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    offer = Offer({"frame": frame})
    frame["a"] = [7, 7]
    frame.loc[0, "a"] = 9
    assert offer.variables()[0].columns[0].maximum == 2


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("x.csv", b"", "No columns"),
        ("x.csv", bytes(range(256)) * 20, "x.csv"),
        ("x.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", "x.csv"),
        ("x.csv", b'a,b\n1,2,3,4\n"open', "x.csv"),
        ("x.parquet", b"not parquet", "PARQUET"),
        ("x.xyz", b"a,b", "not a table I can read"),
    ],
)
def test_a_file_that_is_no_table_gives_one_line(tmp_path: Path, name: str, content: bytes, word: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Refused) as caught:
        load_table(path)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="There is no file"):
        load_table(tmp_path / "none.csv")
