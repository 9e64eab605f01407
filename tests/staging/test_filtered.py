"""A file of lines is written again without some of them; all other frames stay as they are, byte for byte."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_fanout.staging.errors import JournalDamaged
from airflow_fanout.staging.filtered import WINDOW_BYTES, filtered
from airflow_fanout.staging.lines import LinesWriter, read_label, read_lines
from airflow_fanout.staging.store import Location
from tests.staging.places import path_of, place


def written(location: Location, *frames: list[bytes], label: bytes = b"") -> Location:
    """Write a file with these frames."""
    with LinesWriter(location, label) as lines:
        for frame in frames:
            for line in frame:
                lines.append_line(line)
            lines.flush()
    return location


def without(*unwanted: bytes) -> Callable[[bytes], bytes | None]:
    """Return what leaves out some lines."""
    return lambda line: None if line in unwanted else line


def test_only_the_frame_with_the_line_changes(tmp_path: Path) -> None:
    """Label and other frames are the same bytes; a frame without a line is gone."""
    file = written(place(tmp_path / "a"), [b"1", b"2"], [b"3", b"4"], [b"5"], label=b"whose")
    before = path_of(file).read_bytes()
    new = filtered(file, without(b"3", b"5"))
    assert new is not None
    file.put_whole(new)
    assert [*read_lines(file)] == [b"1", b"2", b"4"]
    assert read_label(file) == b"whose"
    head = written(place(tmp_path / "b"), [b"1", b"2"], label=b"whose")
    assert new.startswith(path_of(head).read_bytes())
    assert before.startswith(path_of(head).read_bytes())
    assert filtered(file, without(b"3", b"5")) is None


def test_what_is_torn_at_the_end_goes(tmp_path: Path) -> None:
    """It may be half of the very line; without it, and without such a line, nothing is to be written."""
    file = written(place(tmp_path / "a"), [b"1"], [b"2"])
    whole = path_of(file).read_bytes()
    path_of(file).write_bytes(whole + whole[:-2])
    new = filtered(file, lambda line: line)
    assert new is not None
    path_of(file).write_bytes(new)
    assert [*read_lines(file)] == [b"1", b"2", b"1"]
    assert filtered(file, lambda line: line) is None


def test_a_frame_may_be_longer_than_what_is_looked_at(tmp_path: Path) -> None:
    """One line can be as large as the largest answer."""
    noise = random.Random(7).randbytes(2 * WINDOW_BYTES).replace(b"\n", b"")
    file = written(place(tmp_path / "a"), [b"1"], [noise], [b"2"])
    new = filtered(file, without(b"2"))
    assert new is not None
    path_of(file).write_bytes(new)
    assert [*read_lines(file)] == [b"1", noise]


def test_a_damaged_frame_is_an_error(tmp_path: Path) -> None:
    """Nobody knows which lines it has."""
    file = written(place(tmp_path / "a"), [b"1"], [b"2"])
    path_of(file).write_bytes(path_of(file).read_bytes()[:-3] + b"???")
    with pytest.raises(JournalDamaged):
        filtered(file, lambda line: line)
