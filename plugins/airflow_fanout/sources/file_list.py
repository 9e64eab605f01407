"""A list of parameters in a file: CSV, JSON Lines or Parquet; local or in an object storage, compressed or not."""

from __future__ import annotations

import codecs
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import urlsplit

from msgspec.structs import replace

from airflow_fanout.errors import BadSetting
from airflow_fanout.model.parameter import check_names
from airflow_fanout.sources.fields import Fields, check_fields_wanted, wanted
from airflow_fanout.sources.source import ListSource, StoredFile
from airflow_fanout.sources.stream import Stream

if TYPE_CHECKING:
    from airflow_fanout.sources.source import SourceContext

Format = Literal["csv", "jsonl", "parquet"]
# By the suffix of a path's last part.
FORMATS: dict[str, Format] = {
    **dict.fromkeys(("csv", "tsv"), "csv"),
    **dict.fromkeys(("jsonl", "ndjson"), "jsonl"),
    **dict.fromkeys(("parquet", "pq"), "parquet"),
}
TAB = "\t"


class FileList(ListSource, frozen=True, kw_only=True):
    """A list of parameters in a file: the rows of a CSV or Parquet file, or the lines of a JSON Lines file.

    :param path: an absolute path, which the worker must see, or the address of an object, such as
        "s3://lists/customers.csv"; an Airflow template.
    :param conn_id: the Airflow connection of the object storage.
    :param format: "csv", "jsonl" or "parquet"; if not given, the path's suffix says it.
    :param fields: the fields of a parameter: names of columns, or `{"customer": "Customer No"}` to give them other
        names; all columns, if neither this nor the report's `names` is given.
    :param nullable: the fields that may be empty; an empty cell of a CSV file is empty.
    :param columns: the names of the columns of a CSV file that has no header.
    :param delimiter: what separates the cells of a CSV file; a tab for a `.tsv` file, else a comma.
    :param encoding: that of a CSV or JSON Lines file.
    """

    path: str
    conn_id: str | None = None
    format: Format | None = None
    fields: Fields = ()
    nullable: Sequence[str] = ()
    columns: Sequence[str] = ()
    delimiter: str | None = None
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        _check_path(self.path)
        if self.conn_id is not None and not (isinstance(self.conn_id, str) and self.conn_id.strip()):
            raise BadSetting("conn_id", self.conn_id, "the id of an Airflow connection")
        if self.format is not None and self.format not in get_args(Format):
            raise BadSetting("format", self.format, '"csv", "jsonl" or "parquet"')
        check_fields_wanted(self.fields, self.nullable)
        check_names(self.columns, "columns")
        if self.delimiter is not None and (not isinstance(self.delimiter, str) or len(self.delimiter) != 1):
            raise BadSetting("delimiter", self.delimiter, "one character, such as ';'")
        if self.delimiter in ('"', "\r", "\n"):
            raise BadSetting("delimiter", self.delimiter, "neither a quote nor a line break")
        _check_encoding(self.encoding)

    def __str__(self) -> str:
        return f"the file {self.path}"

    @property
    def templates(self) -> Sequence[Any]:
        """The values in which templates are rendered when the file is read."""
        return (self.path,)

    @property
    def kind(self) -> Format:
        """The file's format: what the author says, or what the suffix says, with or without ".gz" after it.

        :raises BadSetting: if neither says it.
        """
        if self.format is not None:
            return self.format
        if kind := FORMATS.get(self._suffix):
            return kind
        raise BadSetting("format", self.format, f'"csv", "jsonl" or "parquet": the suffix of {self.path} is unknown')

    @property
    def separator(self) -> str:
        """What separates the cells of a CSV file."""
        return self.delimiter or (TAB if self._suffix == "tsv" else ",")

    @property
    def _suffix(self) -> str:
        return self.path.removesuffix(".gz").rpartition(".")[2].lower()

    def dataset(self) -> StoredFile:
        """Return the file that is read."""
        return StoredFile(self.path)

    def check(self, access: SourceContext, *, names: Sequence[str]) -> None:
        """Look at the beginning of the file: it is there, and has the columns.

        :raises UnusableList: if it isn't or hasn't.
        """
        from airflow_fanout.sources.file_reading import check_file

        check_file(self._rendered(access), access, wanted(self.fields, self.nullable, names))

    def open(self, access: SourceContext, *, names: Sequence[str]) -> Stream:
        """Return the items of the file, of which none is read yet."""
        from airflow_fanout.sources.file_reading import read_file

        def read(stream: Stream) -> Generator[Any]:
            return read_file(self._rendered(access), access, wanted(self.fields, self.nullable, names), stream)

        return Stream(read)

    def _rendered(self, access: SourceContext) -> FileList:
        return replace(self, path=access.render(self.path))


def _check_path(path: object) -> None:
    if not isinstance(path, str) or not path.strip():
        raise BadSetting("path", path, "an absolute path, or an address such as 's3://lists/customers.csv'")
    if "{{" not in path and "{%" not in path and not path.startswith("/") and not urlsplit(path).scheme:
        raise BadSetting("path", path, "an absolute path: a worker's own folder may be any, so a relative one is lost")


def _check_encoding(encoding: object) -> None:
    try:
        line_break = codecs.lookup(str(encoding)).name and "\n".encode(str(encoding))
    except (LookupError, UnicodeError, ValueError):
        line_break = b""
    if line_break != b"\n":
        raise BadSetting("encoding", encoding, "one in which a line break is one byte: 'utf-8', 'cp1252' or another")
