"""The rows of a Parquet file, by pyarrow, a few thousand at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from airflow_fanout.codec import Json
from airflow_fanout.sources.errors import UnusableList
from airflow_fanout.sources.fields import RowReader, Wanted
from airflow_fanout.sources.values import BadItem

ROWS_AT_ONCE = 2_000
# Read in pieces, a column's part of a row group isn't in memory as a whole.
BUFFER_BYTES = 64 * 1024


class ParquetFile:
    """Makes a parameter of each row; only the columns that it is made of are read.

    :raises UnusableList: for a file that isn't Parquet, or lacks a column; and if pyarrow isn't installed.
    """

    def __init__(self, source: str, file: io.BufferedReader[Any], fields: Wanted) -> None:
        self._source = source
        self._row = 0
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ModuleNotFoundError:
            needs = "a Parquet file needs the package pyarrow, which this worker doesn't have"
            raise UnusableList(source, f"{needs}. Install airflow-fanout[parquet], or use CSV") from None
        self._arrow: Any = pa
        try:
            self._file = parquet.ParquetFile(file, pre_buffer=False, buffer_size=BUFFER_BYTES)
        except (pa.ArrowException, OSError) as error:
            raise UnusableList(source, f"it isn't a Parquet file, or is damaged ({_words(error)})") from None
        columns = self._file.schema_arrow.names
        self._columns = [name for name in columns if name in {*fields.places.values()}] if fields.places else columns
        RowReader(source, columns, fields)
        self._reader = RowReader(source, self._columns, fields)

    @property
    def place(self) -> str:
        """How far the file is read."""
        return f"row {self._row:,}"

    def __iter__(self) -> Iterator[Json]:
        for row in self._rows():
            self._row += 1
            try:
                parameter = self._reader.parameter(row)
            except BadItem as error:
                raise UnusableList(self._source, f"{self.place}: {error}") from None
            yield parameter

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        try:
            for batch in self._file.iter_batches(ROWS_AT_ONCE, columns=self._columns, use_threads=False):
                yield from zip(*(self._values(column) for column in batch.columns), strict=True)
        except (self._arrow.ArrowException, OSError) as error:
            raise UnusableList(self._source, f"after row {self._row:,}: it is damaged ({_words(error)})") from None

    def _values(self, column: Any) -> list[Any]:
        types = self._arrow.types
        if types.is_timestamp(column.type) and column.type.unit == "ns":
            # Python's moments end at the microsecond. A moment that needs more digits is an error, not another moment.
            column = column.cast(self._arrow.timestamp("us", tz=column.type.tz))
        values: list[Any] = column.to_pylist()
        return values


def _words(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
