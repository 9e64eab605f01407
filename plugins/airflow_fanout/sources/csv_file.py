"""The rows of a CSV file (RFC 4180), with the faults that such files have."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from airflow_fanout.codec import Json
from airflow_fanout.sources.errors import UnusableList
from airflow_fanout.sources.fields import RowReader, Wanted
from airflow_fanout.sources.text_lines import TextLines
from airflow_fanout.sources.values import BadItem

OTHER_DELIMITERS = ";\t|,"


class CsvFile:
    """Makes a parameter of each row; an empty line is left out, and an empty cell is no value.

    :param columns: the names of the columns, for a file without a header.
    :raises UnusableList: for a header that lacks a column.
    """

    def __init__(
        self,
        source: str,
        file: io.BufferedReader[Any],
        fields: Wanted,
        *,
        columns: Sequence[str],
        delimiter: str,
        encoding: str,
    ) -> None:
        self._lines = TextLines(source, file, encoding)
        self._rows = csv.reader(self._lines, delimiter=delimiter, strict=True)
        self._columns = list(columns) or self._header(source, delimiter)
        self._reader = RowReader(source, self._columns, fields)

    @property
    def place(self) -> str:
        """How far the file is read."""
        return f"line {self._lines.number:,}"

    def __iter__(self) -> Iterator[Json]:
        while (row := self._next_row()) is not None:
            first, cells = row
            if len(cells) != len(self._columns):
                has = f"it has {len(cells)} cell(s), and there are {len(self._columns)} columns"
                raise self._lines.error(f"{has}: {', '.join(self._columns)}", first)
            try:
                parameter = self._reader.parameter([cell or None for cell in cells])
            except BadItem as error:
                raise self._lines.error(str(error), first) from None
            yield parameter

    def _next_row(self) -> tuple[int, list[str]] | None:
        """Return the next row that isn't empty, after the number of its first line; `None` after the last."""
        cells: list[str] = []
        first = 0
        while not cells:
            # A cell in quotes may go on over several lines.
            first = self._lines.number + 1
            try:
                cells = next(self._rows)
            except StopIteration:
                return None
            except csv.Error as error:
                raise self._lines.error(f"it isn't CSV: {error}", first) from None
        return first, cells

    def _header(self, source: str, delimiter: str) -> list[str]:
        row = self._next_row()
        if row is None:
            raise UnusableList(source, "it is empty: a CSV file begins with the names of its columns")
        first, columns = row
        if len(columns) == 1 and (other := next((sign for sign in OTHER_DELIMITERS if sign in columns[0]), None)):
            problem = f"its header has one column for the delimiter {delimiter!r}"
            raise self._lines.error(f"{problem}, but it has {other!r}: write delimiter={other!r}", first)
        if "" in columns:
            raise self._lines.error(f"column {columns.index('') + 1} of the header has no name", first)
        return columns
