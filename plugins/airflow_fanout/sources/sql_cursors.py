"""How each driver reads a result without keeping all of it in memory, in a transaction that may only read.

A driver that isn't here is taken for one that keeps the whole result, as most do.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
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


def _named(connection: Any, argument: str, module: str, factory: str) -> Any:
    """Return a cursor that the server keeps, which gives rows.

    :param argument: what the driver calls the factory: the connection's own one may give objects instead of rows.
    """
    rows = getattr(import_module(module), factory)
    return connection.cursor(name=f"fanout_{uuid4().hex}", **{argument: rows})


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
        cursor=lambda connection: _named(connection, "cursor_factory", "psycopg2.extensions", "cursor"),
    ),
    "psycopg": SqlDriver(
        name="psycopg",
        begin_reading=_begin_psycopg,
        cursor=lambda connection: _named(connection, "row_factory", "psycopg.rows", "tuple_row"),
    ),
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
