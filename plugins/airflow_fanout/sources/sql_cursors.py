"""How each driver reads a result without keeping all of it in memory, in a transaction that may only read.

A driver that isn't here is taken for one that keeps the whole result, as most do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec


class SqlDriver(msgspec.Struct, frozen=True, kw_only=True):
    """A driver of DB-API 2.0 (PEP 249).

    :param begin_reading: makes a new connection's transaction one that may only read, where the database can do that.
    :param cursor: returns a cursor that streams; `None` if the driver has none.
    :param closes_cursors: whether such a cursor is closed before its connection; MySQL's drivers would first read all
        rows that are left.
    """

    name: str
    begin_reading: Callable[[Any], None] = lambda _: None
    cursor: Callable[[Any], Any] | None = None
    closes_cursors: bool = True


def driver_of(connection: Any) -> SqlDriver:
    """Return the driver that a connection is of: it is known by the package of the connection's class."""
    name = type(connection).__module__.partition(".")[0]
    return DRIVERS.get(name) or SqlDriver(name=name)


def _named(connection: Any, **factory: Any) -> Any:
    # The connection's own class of cursors may give objects instead of rows.
    return connection.cursor(name=f"fanout_{uuid4().hex}", **factory)


def _named_psycopg2(connection: Any) -> Any:
    from psycopg2.extensions import cursor

    return _named(connection, cursor_factory=cursor)


def _named_psycopg(connection: Any) -> Any:
    from psycopg.rows import tuple_row

    return _named(connection, row_factory=tuple_row)


def _begin_psycopg(connection: Any) -> None:
    connection.rollback()
    connection.autocommit = False
    connection.read_only = True


def _begin_mysql(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("SET SESSION TRANSACTION READ ONLY")
    cursor.close()


def _unbuffered_mysqldb(connection: Any) -> Any:
    from MySQLdb.cursors import SSCursor

    return connection.cursor(SSCursor)


def _begin_sqlite(connection: Any) -> None:
    connection.row_factory = None
    connection.execute("PRAGMA query_only = ON")


DRIVERS = {
    "psycopg2": SqlDriver(
        name="psycopg2",
        begin_reading=lambda connection: connection.set_session(readonly=True, autocommit=False),
        cursor=_named_psycopg2,
    ),
    "psycopg": SqlDriver(name="psycopg", begin_reading=_begin_psycopg, cursor=_named_psycopg),
    "MySQLdb": SqlDriver(name="MySQLdb", begin_reading=_begin_mysql, cursor=_unbuffered_mysqldb, closes_cursors=False),
    "mysql": SqlDriver(
        name="mysql",
        begin_reading=_begin_mysql,
        cursor=lambda connection: connection.cursor(buffered=False, dictionary=False),
        closes_cursors=False,
    ),
    # SQLite makes each row when it is asked for.
    "sqlite3": SqlDriver(name="sqlite3", begin_reading=_begin_sqlite, cursor=lambda connection: connection.cursor()),
}
