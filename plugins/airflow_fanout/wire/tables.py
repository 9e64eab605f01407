"""Bodies of many rows: JSON Lines and CSV. What is wrong with one is said with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.wire.body import BadBody, reason, text_of_body

# What a C long holds everywhere: a value may be as long as the answer.
_LONGEST_VALUE = 2**31 - 1


def read_json_lines(body: bytes, charset: str | None) -> list[Json]:
    """Return the values of JSON Lines; empty lines are left out.

    :raises BadBody: with the number of the first line that isn't JSON.
    """
    rows = []
    # Only a line feed ends a line: a text may have other line breaks in it.
    for number, line in enumerate(text_of_body(body, charset).encode().split(b"\n"), 1):
        if line.strip():
            try:
                rows.append(codec.decode(line))
            except codec.NotJson as error:
                raise BadBody(f"line {number:,} isn't JSON: {reason(line, str(error))}") from error
    return rows


def read_csv(
    body: bytes, charset: str | None, *, delimiter: str, quote: str | None, columns: Sequence[str]
) -> list[dict[str, str]]:
    """Return the rows of a table as objects.

    :param columns: the names of the columns; of the table's first row if there are none.
    :raises BadBody: with the number of the first line that is broken.
    """
    rows = _rows(text_of_body(body, charset), delimiter, quote)
    names, place = list(columns), "the request's `columns` have"
    if not names:
        line, names = next(rows, (1, []))
        place = f"the header (line {line:,}) has"
        _check_header(names, line)
    table = []
    for line, row in rows:
        if len(row) != len(names):
            raise BadBody(f"line {line:,} has {len(row):,} values, and {place} {len(names):,}")
        table.append(dict(zip(names, row, strict=True)))
    return table


def _rows(text: str, delimiter: str, quote: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that aren't empty, each with the number of its last line."""
    csv.field_size_limit(_LONGEST_VALUE)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        yield from ((reader.line_num, row) for row in reader if row)
    except csv.Error as error:
        raise BadBody(f"line {reader.line_num:,} isn't CSV: {error}") from error


def _check_header(names: list[str], line: int) -> None:
    if not names:
        raise BadBody("it is empty: there is no header row")
    for place, name in enumerate(names, 1):
        if not name:
            raise BadBody(f"line {line:,}, the header, has no name for column {place:,}")
        if names.index(name) != place - 1:
            same = f"{names.index(name) + 1:,} and {place:,}"
            raise BadBody(f"line {line:,}, the header, has the same name for columns {same}")
