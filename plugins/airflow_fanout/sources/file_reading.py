"""Reads a file of parameters, a piece at a time, whatever its format and compression."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from airflow_fanout.codec import Json
from airflow_fanout.sources.csv_file import CsvFile
from airflow_fanout.sources.errors import BadSource, UnusableList
from airflow_fanout.sources.json_lines import JsonLines

if TYPE_CHECKING:
    from airflow_fanout.sources.fields import Wanted
    from airflow_fanout.sources.file_list import FileList
    from airflow_fanout.sources.source import SourceContext
    from airflow_fanout.sources.stream import Stream

# RFC 1952, 2.3.1.
GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
# What a program may have written instead, by its first bytes, with what to do.
UNREADABLE = {
    b"\x28\xb5\x2f\xfd": "it is compressed by Zstandard: use gzip",
    b"BZh": "it is compressed by bzip2: use gzip",
    b"\xfd7zXZ": "it is compressed by xz: use gzip",
    b"PK\x03\x04": "it is a zip file or an Excel workbook: save it as CSV, in UTF-8",
    b"\xff\xfe": "it is in UTF-16: convert it to UTF-8",
    b"\xfe\xff": "it is in UTF-16: convert it to UTF-8",
}
LONGEST_BEGINNING = 5


class FileItems(Protocol):
    """The parameters of a file, of which none is read before the first is taken."""

    @property
    def place(self) -> str:
        """How far the file is read, such as "line 7"."""

    def __iter__(self) -> Iterator[Json]: ...


def read_file(file_list: FileList, access: SourceContext, fields: Wanted, stream: Stream) -> Generator[Any]:
    """Yield the parameters of a file, in order.

    :raises UnusableList: for a file that isn't there or isn't what the list says, with the line or the row.
    :raises BadSource: if it can't be read to its end now.
    """
    stream.now("opening the file")
    with _opened(file_list, access) as file:
        items = _items(file_list, file, fields)
        stream.now("reading the file")
        with _explained(file_list, lambda: items.place):
            yield from items


def check_file(file_list: FileList, access: SourceContext, fields: Wanted) -> None:
    """Open a file, and read what says which columns it has; raise as `read_file` does."""
    with _opened(file_list, access) as file:
        _items(file_list, file, fields)


@contextmanager
def _opened(file_list: FileList, access: SourceContext) -> Iterator[io.BufferedReader[Any]]:
    """Open the file, unpacked."""
    source = str(file_list)
    try:
        raw = access.file(file_list.path, file_list.conn_id)
    except FileNotFoundError:
        raise UnusableList(source, "there is no such file, seen from this worker") from None
    except (PermissionError, IsADirectoryError) as error:
        raise UnusableList(source, f"it can't be opened ({error.strerror or error})") from None
    except OSError as error:
        raise BadSource(source, f"it can't be opened ({error.strerror or error})") from None
    with raw, _explained(file_list, lambda: "its beginning"):
        # What an object storage gives has `readinto`, but isn't of the class that this asks for.
        file = io.BufferedReader(cast("Any", raw))
        if not file.peek(len(GZIP)).startswith(GZIP):
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield io.BufferedReader(cast("Any", unpacked))


def _items(file_list: FileList, file: io.BufferedReader[Any], fields: Wanted) -> FileItems:
    source, kind, beginning = str(file_list), file_list.kind, file.peek(LONGEST_BEGINNING)
    for first_bytes, problem in UNREADABLE.items():
        if beginning.startswith(first_bytes):
            raise UnusableList(source, problem)
    if beginning.startswith(PARQUET) and kind != "parquet":
        raise UnusableList(source, "it is a Parquet file: write format='parquet'")
    if kind == "parquet":
        # Only who reads such a file needs pyarrow, which takes a second to load.
        from airflow_fanout.sources.parquet_file import ParquetFile

        return ParquetFile(source, file, fields)
    if kind == "jsonl":
        return JsonLines(source, file, fields, encoding=file_list.encoding)
    return CsvFile(
        source,
        file,
        fields,
        columns=file_list.columns,
        delimiter=file_list.separator,
        encoding=file_list.encoding,
    )


@contextmanager
def _explained(file_list: FileList, where: Callable[[], str]) -> Iterator[None]:
    source = str(file_list)
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnusableList(source, f"{where()}: its gzip data is damaged or cut off ({error})") from None
    except OSError as error:
        raise BadSource(source, f"{where()}: it can't be read on ({error.strerror or error})") from None
