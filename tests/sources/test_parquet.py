from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_fanout import FileList
from tests.sources.reading import check, read, refused, refused_early


def table(folder: Path, columns: dict[str, Any], **options: Any) -> FileList:
    """Return the list of a file with these columns."""
    path = folder / "list.parquet"
    parquet.write_table(pa.table(columns), path, row_group_size=1000)
    return FileList(path=str(path), **options)


def test_each_row_is_a_parameter(tmp_path: Path) -> None:
    """Rows of several row groups, in order, with the fields asked for."""
    ids = [f"C{n}" for n in range(5000)]
    source = table(tmp_path, {"note": [b"x"] * 5000, "Customer No": ids}, fields={"id": "Customer No"})
    check(source)
    assert read(source) == [{"id": name} for name in ids]


def test_types_that_json_lacks(tmp_path: Path) -> None:
    """Dates, moments to the microsecond, decimals: as from a database."""
    moment = datetime(2026, 11, 20, 8, tzinfo=UTC)
    columns = {
        "day": pa.array([date(2026, 11, 20)]),
        "ns": pa.array([moment], pa.timestamp("ns", tz="Asia/Kolkata")),
        "amount": pa.array([Decimal("12.340")]),
        "many": pa.array([[1, 2]]),
        "code": pa.array(["a"]).dictionary_encode(),
    }
    assert read(table(tmp_path, columns)) == [
        {"day": "2026-11-20", "ns": "2026-11-20T08:00:00+00:00", "amount": "12.340", "many": [1, 2], "code": "a"}
    ]


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (["a", None], "row 2: the field 'x' has no value"),
        ([b"a", b"b"], "row 1: the field 'x' has bytes"),
        ([1.0, float("nan")], "row 2: the field 'x' has nan"),
        (pa.array([1], pa.timestamp("ns")), "after row 0: it is damaged"),
    ],
)
def test_values_that_are_refused(column: Any, problem: str, tmp_path: Path) -> None:
    """The row is named, counted from 1."""
    words, retry = refused(table(tmp_path, {"x": column}))
    assert problem in words
    assert not retry


def test_the_preflight_looks_at_the_columns(tmp_path: Path) -> None:
    """A column that isn't there, a file that isn't Parquet, one that is cut off."""
    source = table(tmp_path, {"id": ["C1"]})
    assert (
        "there is no column 'tel' for the field 'tel'; the columns are: 'id'"
        in refused_early(source, names=("tel",))[0]
    )
    path = Path(source.path)
    whole = path.read_bytes()
    for content in (b"id\nC1\n", whole[:-20], b""):
        path.write_bytes(content)
        assert "it isn't a Parquet file, or is damaged" in refused_early(source)[0]
