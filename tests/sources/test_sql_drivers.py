"""Drivers other than PostgreSQL's: SQLite, which streams, and one that nobody knows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_fanout import SqlList
from airflow_fanout.errors import FanoutError
from airflow_fanout.sources.source import Database
from airflow_fanout.sources.sql_pages import PageQueries
from tests.sources.reading import Access


class Unknown:
    """A connection of a driver that isn't in the table; it counts what its cursors fetch at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class Elsewhere(Access):
    """A task whose database is a SQLite file."""

    def __init__(self, path: Path, wrap: Callable[[sqlite3.Connection], Any] = lambda connection: connection) -> None:
        super().__init__()
        self._path, self._wrap = path, wrap

    def database(self, _: str) -> Database:
        return Database(lambda: self._wrap(sqlite3.connect(self._path)), "?", "sqlite")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database of 100 customers."""
    path = tmp_path / "lists.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, region)")
    connection.executemany(
        "INSERT INTO customers VALUES (?, ?, ?)",
        [(n, f"name {n:03}", None if n == 9 else n % 3) for n in range(1, 101)],
    )
    connection.commit()
    connection.close()
    return path


def read(query: str, access: Access, **options: Any) -> list[Any]:
    """Do what a preflight does, and return the parameters."""
    source = SqlList(conn_id="any", sql=query, **options)
    source.check(access, names=())
    return list(source.open(access, names=()))


def refused(query: str, access: Access, **options: Any) -> tuple[str, bool]:
    """Return the words with which that fails, and whether it may be tried again."""
    with pytest.raises(FanoutError) as caught:
        read(query, access, **options)
    return str(caught.value), caught.value.retry


def test_sqlite_streams(file: Path) -> None:
    """Without pages, by its own cursor."""
    expected = [{"id": n} for n in range(50, 101)]
    assert read("SELECT id FROM customers WHERE id >= ?", Elsewhere(file), parameters=[50], fetch_size=7) == expected


def test_a_driver_that_nobody_knows_needs_pages(file: Path) -> None:
    """It is refused with the way out; in pages it gives all rows, each once."""
    words, retry = refused("SELECT id FROM customers", Elsewhere(file, Unknown))
    assert "the driver tests would keep the whole result in memory, or isn't known not to. Write page_by=" in words
    assert not retry
    for size in (1, 7, 99, 100, 101):
        rows = read("SELECT id FROM customers", Elsewhere(file, Unknown), page_by="id", fetch_size=size)
        assert rows == [{"id": n} for n in range(1, 101)]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_key_that_the_database_compares_in_its_own_way(size: int, file: Path) -> None:
    """Two names that are the same by the column's collation would be lost between pages: they are refused."""
    connection = sqlite3.connect(file)
    connection.execute("INSERT INTO customers VALUES (1000, 'NAME 007', 1)")
    connection.commit()
    connection.close()
    words, _ = refused("SELECT name FROM customers", Elsewhere(file, Unknown), page_by="name", fetch_size=size)
    assert "name (page_by) is NULL in some row, or two rows have the same" in words


def test_a_key_with_a_null(file: Path) -> None:
    """A row without a key would be in no page."""
    query = "SELECT region, id FROM customers"
    options = {"page_by": ("id", "region"), "nullable": ("region",)}
    assert "id + region (page_by) is NULL in some row" in refused(query, Elsewhere(file, Unknown), **options)[0]


def test_sqlite_only_reads(file: Path) -> None:
    """What a list runs can't write, whatever it is called."""
    access = Elsewhere(file)
    words, retry = refused("WITH x AS (SELECT 1) INSERT INTO customers SELECT 7, '', 1", access)
    assert "it has INSERT, which writes or locks, and a source only reads" in words
    assert not retry


def test_a_text_in_another_encoding(file: Path) -> None:
    """The row before it is named; the text isn't shown."""
    query = "SELECT id, CASE id WHEN 3 THEN CAST(x'4a6f73e9' AS TEXT) ELSE name END AS name FROM customers"
    words, retry = refused(query, Elsewhere(file), fetch_size=1)
    assert "after row 2: Could not decode to UTF-8 column 'name' with text …" in words
    assert not retry


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """It stays one."""
    words, retry = refused("SELECT 1 AS id FROM customers", Elsewhere(tmp_path / "empty.sqlite"))
    assert "no such table: customers" in words
    assert not retry


@pytest.mark.parametrize(
    ("dialect", "placeholder", "end", "mark"),
    [
        ("mysql", "%s", "LIMIT 5", "%s"),
        ("oracle", ":{}", "FETCH FIRST 5 ROWS ONLY", ":3"),
        ("mssql", "%s", "OFFSET 0 ROWS FETCH NEXT 5 ROWS ONLY", "%s"),
    ],
)
def test_pages_in_the_words_of_a_dialect(dialect: str, placeholder: str, end: str, mark: str) -> None:
    """How many rows a page has is said in three ways."""
    source = SqlList(conn_id="any", sql="SELECT id FROM customers", parameters=[1, 2], page_by="id", fetch_size=5)
    query, values = PageQueries(source, Database(lambda: None, placeholder, dialect)).after([17])
    assert query.endswith(f"WHERE (id > {mark}) ORDER BY id {end}")
    assert values == [1, 2, 17]
