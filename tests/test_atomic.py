"""Files that are put in their place whole or not at all."""

import stat
from pathlib import Path

import pytest

from workbench import atomic


def test_a_file_takes_the_place_of_another_with_the_permissions_that_are_asked_for(tmp_path: Path):
    path = tmp_path / "notes"
    path.write_bytes(b"old")
    atomic.write(path, b"new", mode=0o640)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [found.name for found in tmp_path.iterdir()] == ["notes"]


def test_where_it_cannot_be_put_nothing_is_left(tmp_path: Path):
    place = tmp_path / "notes"
    place.mkdir()
    with pytest.raises(OSError, match="notes"):
        atomic.write(place, b"new")
    assert [found.name for found in tmp_path.iterdir()] == ["notes"]
    assert not list(place.iterdir())
