"""Runs a query, and makes parameters of its rows as they come."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_fanout.sources.errors import UnusableList
from airflow_fanout.sources.fields import RowReader, Wanted
from airflow_fanout.sources.sql_cursors import SqlDriver, driver_of
from airflow_fanout.sources.sql_errors import connect_error, is_driver_error, query_error
from airflow_fanout.sources.sql_pages import PageQueries
from airflow_fanout.sources.sql_text import alone, as_table, execute, problem_of
from airflow_fanout.sources.values import BadItem

if TYPE_CHECKING:
    from airflow_fanout.sources.source import Database, SourceContext
    from airflow_fanout.sources.sql_list import SqlList
    from airflow_fanout.sources.stream import Stream

NO_STREAM = (
    "the driver {driver} would keep the whole result in memory, or isn't known not to. Write page_by=…, with a column "
    "of the result that is unique, to read it in pages"
)
LOST = "rows would be lost between two pages. Name columns that are unique together, and leave out rows without a value"


def read_query(sql_list: SqlList, access: SourceContext, fields: Wanted, stream: Stream) -> Generator[Any]:
    """Yield the parameters that the rows of a query are, in their order.

    :raises UnusableList: for a query that fails, and for a row that can't be a parameter, with its number.
    :raises BadSource: if the database can't be reached, or the connection is lost.
    """
    stream.now("connecting to the database")
    with _connected(sql_list, access) as query:
        stream.now("running the query")
        yield from query.parameters(fields)


def check_query(sql_list: SqlList, access: SourceContext, fields: Wanted) -> None:
    """Run a query for no row, and look at its columns; raise as `read_query` does."""
    with _connected(sql_list, access) as query:
        query.check(fields)


@contextmanager
def _connected(sql_list: SqlList, access: SourceContext) -> Iterator[Query]:
    """Connect to the database, in a transaction that may only read; nothing is committed."""
    source = str(sql_list)
    if problem := problem_of(sql_list.sql):
        raise UnusableList(source, problem)
    database = access.database(sql_list.conn_id)
    try:
        connection = database.connect()
    except Exception as error:
        if not is_driver_error(error):
            raise
        raise connect_error(source, error) from None
    query = Query(sql_list, connection, driver_of(connection), database)
    try:
        query.begin()
        yield query
    finally:
        query.close()


class Query:
    """A query on an open connection."""

    def __init__(self, sql_list: SqlList, connection: Any, driver: SqlDriver, database: Database) -> None:
        self._list = sql_list
        self._connection = connection
        self._driver = driver
        self._database = database
        self._source = str(sql_list)
        self._count = 0
        self._cursor: Any = None

    def begin(self) -> None:
        """Begin a transaction that may only read, where the database can do that."""
        with self.explained():
            self._driver.begin_reading(self._connection)

    def close(self) -> None:
        """Close the connection; nothing is committed."""
        # One that is broken may refuse that.
        with suppress(Exception):
            if self._driver.closes_cursors and self._cursor is not None:
                self._cursor.close()
        with suppress(Exception):
            self._connection.close()

    def check(self, fields: Wanted) -> None:
        """Run the query for no row; raise `UnusableList` if it fails, lacks a column, or can't be streamed."""
        with self.explained():
            cursor = self._connection.cursor()
            execute(cursor, f"SELECT * FROM {as_table(self._list.sql)} WHERE 1 = 0", self._list.parameters)
            columns = _columns(cursor)
            # A driver that doesn't buffer insists on it.
            cursor.fetchall()
            cursor.close()
        RowReader(self._source, columns, fields)
        page_by = self._list.page_columns
        if missing := [name for name in page_by if name not in columns]:
            has = f"the result has no column {missing[0]!r}, which page_by names; it has: {', '.join(columns)}"
            raise UnusableList(self._source, has)
        if not page_by and self._driver.cursor is None:
            raise UnusableList(self._source, NO_STREAM.format(driver=self._driver.name))

    def parameters(self, fields: Wanted) -> Iterator[Any]:
        """Yield the parameters that the rows are."""
        reader: RowReader | None = None
        for columns, row in self._rows():
            self._count += 1
            reader = reader or RowReader(self._source, columns, fields)
            try:
                parameter = reader.parameter(row)
            except BadItem as error:
                raise UnusableList(self._source, f"row {self._count:,}: {error}") from None
            yield parameter

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Make our error of one that the driver raises."""
        try:
            yield
        except Exception as error:
            if not is_driver_error(error):
                raise
            raise query_error(self._source, error, self._list.sql, rows=self._count) from None

    def _rows(self) -> Iterator[tuple[Sequence[str], Sequence[Any]]]:
        """Yield each row, after the names of the columns."""
        if self._list.page_columns:
            yield from self._in_pages()
            return
        if self._driver.cursor is None:
            raise UnusableList(self._source, NO_STREAM.format(driver=self._driver.name))
        with self.explained():
            self._cursor = self._driver.cursor(self._connection)
            execute(self._cursor, alone(self._list.sql), self._list.parameters)
        yield from self._fetched(self._cursor)

    def _in_pages(self) -> Iterator[tuple[Sequence[str], Sequence[Any]]]:
        pages = PageQueries(self._list, self._database)
        with self.explained():
            cursor = self._connection.cursor()
            execute(cursor, *pages.ambiguous())
            is_ambiguous = bool(cursor.fetchall())
            cursor.close()
        if is_ambiguous:
            names = " + ".join(self._list.page_columns)
            problem = f"{names} (page_by) is NULL in some row, or two rows have the same"
            raise UnusableList(self._source, f"{problem}: {LOST}")
        last: Sequence[Any] | None = None
        while True:
            with self.explained():
                cursor = self._connection.cursor()
                execute(cursor, *pages.after(last))
            page = list(self._fetched(cursor))
            cursor.close()
            yield from page
            if len(page) < self._list.fetch_size:
                return
            columns, row = page[-1]
            last = [row[columns.index(name)] for name in self._list.page_columns]

    def _fetched(self, cursor: Any) -> Iterator[tuple[Sequence[str], Sequence[Any]]]:
        """Yield each row of a cursor, after the names of the columns; fetch a limited number at a time."""
        columns: list[str] = []
        while True:
            with self.explained():
                rows = cursor.fetchmany(self._list.fetch_size)
            if not rows:
                return
            # A named cursor knows its columns only now.
            columns = columns or _columns(cursor)
            for row in rows:
                # Some connections are set up to give each row as an object.
                yield columns, [row[name] for name in columns] if isinstance(row, Mapping) else row


def _columns(cursor: Any) -> list[str]:
    """Return the names of a result's columns."""
    return [str(column[0]) for column in cursor.description or ()]
