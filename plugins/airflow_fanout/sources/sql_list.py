"""A list of parameters that a query gives, from any database that Airflow has a `DbApiHook` for."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import KindOf
from airflow_fanout.model.parameter import check_names
from airflow_fanout.model.settings import check_whole
from airflow_fanout.sources.fields import wanted
from airflow_fanout.sources.source import ListSource, QueriedTables
from airflow_fanout.sources.stream import Stream

if TYPE_CHECKING:
    from airflow_fanout.sources.source import SourceContext

# The first word, after comments and brackets.
_BEGINNING = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*(?P<word>\w*)", re.DOTALL)
# What begins otherwise writes, or gives no rows.
QUERIES = ("SELECT", "WITH", "VALUES", "TABLE")
FILE = ".sql"


class SqlList(ListSource, frozen=True, kw_only=True):
    """A list of parameters that a query gives: each row is one, an object with the names of the columns.

    :param conn_id: the Airflow connection of the database.
    :param sql: one query, or the name of a `.sql` file beside the DAG file; an Airflow template.
    :param parameters: the values for the query's placeholders, as the database's driver wants them; Airflow templates.
    :param nullable: the columns that may be NULL.
    :param page_by: columns of the result that are unique together, by which it is read in pages; for a driver that
        would keep the whole result in memory.
    :param fetch_size: how many rows are fetched at once.
    """

    conn_id: str
    sql: str
    parameters: Sequence[Any] | Mapping[str, Any] | None = None
    nullable: Sequence[str] = ()
    page_by: str | Sequence[str] = ()
    fetch_size: int = 2_000

    def __post_init__(self) -> None:
        if not isinstance(self.conn_id, str) or not self.conn_id.strip():
            raise BadSetting("conn_id", self.conn_id, "the id of an Airflow connection, such as 'warehouse'")
        _check_sql(self.sql)
        if self.parameters is not None and not isinstance(self.parameters, list | tuple | Mapping):
            raise BadSetting("parameters", type(self.parameters).__name__, "a list or a dict of values")
        check_names(self.nullable, "nullable")
        check_names(self.page_columns, "page_by")
        if self.page_columns and isinstance(self.parameters, Mapping):
            raise BadSetting("parameters", "a dict", "a list, because page_by adds values at the end of it")
        check_whole("fetch_size", self.fetch_size)

    def __str__(self) -> str:
        return f"the query of the connection {self.conn_id!r}"

    @property
    def page_columns(self) -> tuple[str, ...]:
        """The columns of `page_by`; none if the result isn't read in pages."""
        return (self.page_by,) if isinstance(self.page_by, str) else tuple(self.page_by)

    @property
    def templates(self) -> Sequence[Any]:
        """The values in which templates are rendered when the query is run."""
        return (self.sql, self.parameters)

    def dataset(self) -> QueriedTables:
        """Return the query whose tables are read."""
        return QueriedTables(self.conn_id, self.sql)

    def check(self, access: SourceContext, *, names: Sequence[str]) -> None:
        """Run the query for no row: the connection works, and the columns are there.

        :raises UnusableList: if it doesn't or they aren't; `BadSource` if the database can't be reached now.
        """
        from airflow_fanout.sources.sql_reading import check_query

        check_query(self._rendered(access), access, wanted((), self.nullable, names))

    def open(self, access: SourceContext, *, names: Sequence[str]) -> Stream:
        """Return the rows of the query, which isn't run yet."""
        from airflow_fanout.sources.sql_reading import read_query

        def read(stream: Stream) -> Generator[Any]:
            return read_query(self._rendered(access), access, wanted((), self.nullable, names), stream)

        return Stream(read)

    def _rendered(self, access: SourceContext) -> SqlList:
        return replace(self, sql=access.render(self.sql), parameters=access.render(self.parameters))


def _check_sql(sql: object) -> None:
    if not isinstance(sql, str) or not sql.strip():
        raise BadSetting("sql", sql, "a query, such as 'SELECT id FROM customers'")
    # What a template or a file gives is looked at when the task runs.
    if sql.endswith(FILE) or sql.lstrip().startswith(("{{", "{%", "{#")):
        return
    beginning = _BEGINNING.match(sql)
    word = beginning["word"].upper() if beginning else ""
    if word not in QUERIES:
        # A template may have put a secret into it.
        begins = KindOf(text=f"a statement that begins with {word or sql.strip()[:1]}")
        raise BadSetting("sql", begins, "a query, which begins with SELECT or WITH")
