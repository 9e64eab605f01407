"""A full folder for temporary files: it is named, and never the staging area."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_fanout.adapters.border import airflow_errors
from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.mongo.documents import encoded
from airflow_fanout.mongo.shape import Shape, parameter_and_result
from airflow_fanout.staging.errors import TemporaryFailed
from airflow_fanout.staging.seen import Seen
from airflow_fanout.staging.temporary import temporary_file
from tests.torture.test_broken_staging import is_mounted

SHAPE = Shape(key=("tel",), as_of=datetime(2026, 11, 22, tzinfo=UTC), document=parameter_and_result)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of 4 MiB, and a staging area beside it."""
    folder = tmp_path / "small"
    folder.mkdir()
    if not is_mounted(folder):
        pytest.skip("a disk of the test's own takes the right to mount one")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path / "staging"))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_list_that_has_no_room_names_the_folder(small: Path) -> None:
    """Extract finds duplicates by a temporary file."""

    def fill() -> None:
        with airflow_errors(), Seen() as seen:
            for number in range(100_000):
                seen.add(b"%0200d" % number)

    with pytest.raises(TemporaryFailed) as caught:
        fill()
    assert str(caught.value).startswith(f"{small}: No space left on device. This is the folder for temporary files")
    assert caught.value.retry


def test_documents_that_have_no_room_name_the_folder(small: Path) -> None:
    """Load encodes all documents before it writes the first; what is full by then is its own folder."""
    records = (
        Record.of(index, {"tel": f"+1202555{index:04d}"}, Outcome(Kind.OK, result="x" * 1_000), 1, 1.0)
        for index in range(10_000)
    )

    def fill() -> None:
        with airflow_errors(), encoded(records, SHAPE):
            pass

    with pytest.raises(TemporaryFailed, match="No space left on device") as caught:
        fill()
    assert caught.value.folder == str(small)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TMPDIR was removed while the worker ran."""
    gone = tmp_path / "gone"
    monkeypatch.setattr(tempfile, "tempdir", str(gone))
    with pytest.raises(TemporaryFailed, match="No such file or directory") as caught:
        temporary_file()
    assert caught.value.folder == str(gone)


def test_a_full_disk_of_somebody_elses_is_not_called_the_staging_area(small: Path) -> None:
    """An author's source that fills a disk of its own fails with its own error."""

    def fill() -> None:
        with airflow_errors(), (small / "mine").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20)[: shutil.disk_usage(small).free + 1])

    with pytest.raises(OSError, match="No space left on device") as caught:
        fill()
    assert type(caught.value) is OSError
