from __future__ import annotations

import json
import os
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.extras
import pytest

from airflow_fanout import SqlList
from airflow_fanout.errors import BadSetting
from airflow_fanout.sources.source import Database
from tests.http.servers import until
from tests.postgres import HOST, USER
from tests.sources.reading import Access, check, read, refused, refused_early

TEL = "+12025550100"
Cursor = psycopg2.extensions.cursor


@pytest.fixture
def customers(warehouse: Cursor) -> Cursor:
    """A table of 5,000 customers."""
    warehouse.execute("DROP TABLE IF EXISTS customers CASCADE")
    warehouse.execute("CREATE TABLE customers (id text PRIMARY KEY, tel text, region int NOT NULL)")
    warehouse.execute(
        "INSERT INTO customers SELECT 'C' || lpad(n::text, 5, '0'), '+12025550' || 100 + n % 100, n % 7"
        " FROM generate_series(1, 5000) n"
    )
    return warehouse


def sql(query: str, **options: Any) -> SqlList:
    """Return the list of a query in the warehouse."""
    return SqlList(conn_id="warehouse", sql=query, **options)


def ids(first: int, last: int) -> list[dict[str, str]]:
    """Return the parameters of some customers."""
    return [{"id": f"C{number:05}"} for number in range(first, last + 1)]


def open_connections(cursor: Cursor) -> int:
    """Return how many other connections to the database there are."""
    cursor.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    (count,) = cursor.fetchone() or (0,)
    return int(count)


@pytest.mark.parametrize("options", [{}, {"fetch_size": 7}, {"page_by": "id", "fetch_size": 1000}])
def test_each_row_is_a_parameter(options: dict[str, Any], customers: Cursor) -> None:
    """All rows, in the query's order, with the columns' names; a semicolon and a comment at the end do no harm."""
    source = sql("SELECT id FROM customers ORDER BY id; -- all", **options)
    check(source)
    assert read(source) == ids(1, 5000)


def test_rows_come_by_a_named_cursor(customers: Cursor) -> None:
    """Ten rows of a hundred billion are there at once, and the connection is closed with the list."""
    source = sql("SELECT generate_series(1, 100000000000) AS id", fetch_size=10)
    assert read(source, most=10) == [{"id": number} for number in range(1, 11)]
    assert until(lambda: open_connections(customers) == 0, within_s=120)


@pytest.mark.parametrize("kind", ["dictcursor", "namedtuplecursor"])
def test_whatever_cursor_the_connection_wants(kind: str, customers: Cursor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is set up to give objects gives the same parameters, in pages too."""
    conn = {**json.loads(os.environ["AIRFLOW_CONN_WAREHOUSE"]), "extra": {"cursor": kind}}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(conn))
    for options in ({}, {"page_by": "id", "fetch_size": 2}):
        assert read(sql("SELECT id FROM customers WHERE id < 'C00004' ORDER BY id", **options)) == ids(1, 3)


@pytest.mark.parametrize("kind", [None, "DictCursor", "RealDictCursor", "NamedTupleCursor"])
def test_the_other_driver(kind: str | None, customers: Cursor, postgres_port: int, database: str) -> None:
    """psycopg2 has a named cursor and a transaction that only reads, too, whatever its connection is set up to give."""

    class Psycopg2(Access):
        def database(self, _: str) -> Database:
            factory = {"cursor_factory": getattr(psycopg2.extras, kind)} if kind else {}
            where = {"host": HOST, "port": postgres_port, "user": USER, "dbname": database}
            return Database(lambda: psycopg2.connect(**where, **factory), "%s", "postgresql")

    for options in ({"fetch_size": 2}, {"page_by": "id", "fetch_size": 2}):
        source = sql("SELECT id FROM customers WHERE id < 'C00006' ORDER BY id", **options)
        source.check(Psycopg2(), names=("id",))
        assert list(source.open(Psycopg2(), names=())) == ids(1, 5)
    with closing(sql("SELECT generate_series(1, 100000000000) AS id").open(Psycopg2(), names=())) as endless:
        assert next(iter(endless)) == {"id": 1}
    assert until(lambda: open_connections(customers) == 0, within_s=120)


@pytest.mark.parametrize("parameters", [[3, "C00010"], {"region": 3, "last": "C00010"}])
def test_values_and_templates(parameters: Any, customers: Cursor) -> None:
    """Values are the driver's own placeholders; templates are rendered in the query and in the values."""
    marks = ("%s", "%s") if isinstance(parameters, list) else ("%(region)s", "%(last)s")
    query = f"SELECT id FROM {{{{ table }}}} WHERE region = {marks[0]} AND id <= {marks[1]} ORDER BY id"
    assert read(sql(query, parameters=parameters), table="customers") == [{"id": "C00003"}, {"id": "C00010"}]
    assert read(sql("SELECT id FROM customers WHERE id = %s", parameters=["{{ one }}"]), one="C00007") == ids(7, 7)


def test_a_percent_sign_is_one(customers: Cursor) -> None:
    """Without values, a "%" in a query needs no second one; beside the values of pages, too."""
    for options in ({}, {"page_by": "id", "fetch_size": 1}):
        assert read(sql("SELECT id FROM customers WHERE id LIKE 'C0000%' ORDER BY id", **options)) == ids(1, 9)


def test_pages_by_two_columns(customers: Cursor) -> None:
    """A key of two columns is compared as a whole: no row is lost or read twice."""
    source = sql("SELECT region, id FROM customers", page_by=("region", "id"), fetch_size=13)
    rows = read(source)
    assert [(row["region"], row["id"]) for row in rows] == sorted((row["region"], row["id"]) for row in rows)
    assert len({row["id"] for row in rows}) == len(rows) == 5000


@pytest.mark.parametrize(
    "query", ["SELECT region FROM customers", "SELECT NULLIF(id, 'C00009') AS region FROM customers"]
)
def test_pages_that_would_lose_rows_are_refused(query: str, customers: Cursor) -> None:
    """A key that isn't unique, or is NULL somewhere."""
    words, retry = refused(sql(query, page_by="region", nullable=("region",)))
    assert "region (page_by) is NULL in some row, or two rows have the same: rows would be lost" in words
    assert not retry


def test_types_that_json_lacks(warehouse: Cursor) -> None:
    """Dates and moments as in ISO 8601, in UTC; decimals with all digits; UUIDs and addresses as texts."""
    query = """
        SELECT date '2026-11-20' AS day, timestamp '2026-11-20 08:00' AS naive, time '08:30' AS hour,
               timestamptz '2026-11-20 08:00:00.5+05:30' AS moment, numeric '12345678901234567890.120' AS amount,
               '0b8f6c1e-9f5d-4a55-8a43-7f3a4d7c1a11'::uuid AS uid, inet '192.0.2.1' AS host,
               bigint '9007199254740993' AS n, 1.5::float8 AS ratio, true AS flag, ARRAY[1, 2] AS many,
               '{"a": [1, null]}'::jsonb AS deep
    """
    warehouse.execute("ALTER ROLE airflow SET timezone = 'Asia/Tokyo'")
    try:
        [row] = read(sql(query))
    finally:
        warehouse.execute("ALTER ROLE airflow RESET timezone")
    assert row == {
        "day": "2026-11-20",
        "naive": "2026-11-20T08:00:00",
        "hour": "08:30:00",
        "moment": "2026-11-20T02:30:00.500000+00:00",
        "amount": "12345678901234567890.120",
        "uid": "0b8f6c1e-9f5d-4a55-8a43-7f3a4d7c1a11",
        "host": "192.0.2.1",
        "n": 9007199254740993,
        "ratio": 1.5,
        "flag": True,
        "many": [1, 2],
        "deep": {"a": [1, None]},
    }


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ("NULL::text", "has no value. Leave such rows out, or write nullable=('x',) if null is right"),
        ("'\\x01'::bytea", "has bytes, which JSON doesn't have"),
        ("interval '1 day'", "has a value of type timedelta, which a parameter can't hold"),
        ("'NaN'::float8", "has nan, which JSON doesn't have"),
        ("'NaN'::numeric", "has NaN, which JSON doesn't have"),
    ],
)
def test_values_that_are_refused(column: str, problem: str, warehouse: Cursor) -> None:
    """The row and the column are named, the value isn't."""
    words, retry = refused(sql(f"SELECT n AS id, CASE n WHEN 3 THEN {column} END AS x FROM generate_series(3, 5) n"))
    assert f"row 1: the field 'x' {problem}" in words
    assert not retry


def test_nullable_columns(warehouse: Cursor) -> None:
    """A column that may be NULL is null."""
    assert read(sql("SELECT 1 AS id, NULL AS tel", nullable=("tel",))) == [{"id": 1, "tel": None}]


@pytest.mark.parametrize(
    ("query", "options", "names", "problem"),
    [
        ("SELECT id, tel FROM customers", {}, ("id", "fax"), "no column 'fax' for the field 'fax'; the columns"),
        ("SELECT idd FROM customers", {}, (), 'column "idd" does not exist'),
        ("SELECT id FROM customer", {}, (), 'relation "customer" does not exist'),
        ("SELECT id FROM customers WHERE", {}, (), "syntax error"),
        ("SELECT id, id FROM customers", {}, (), "there are 2 columns 'id'"),
        ("SELECT id FROM customers", {"page_by": "tel"}, (), "no column 'tel', which page_by names; it has: id"),
        ("SELECT id FROM customers", {"nullable": ("tel",)}, (), "nullable names 'tel'"),
        ("SELECT 1; SELECT 2", {}, (), "it has 2 statements, and a source runs one query"),
        ("WITH x AS (SELECT 1) DELETE FROM customers", {}, (), "a source only reads"),
        ("SELECT * INTO copies FROM customers", {}, (), "it has INTO, which writes or locks"),
        ("SELECT '1'::int AS id, 'x'::int", {}, (), "invalid input syntax for type integer"),
        ("{{ query }}", {}, (), "sql is a statement that begins with DROP: expected a query"),
    ],
)  # fmt: skip
def test_the_preflight_runs_the_query_for_no_row(
    query: str, options: dict[str, Any], names: tuple[str, ...], problem: str, customers: Cursor
) -> None:
    """A query that is wrong, lacks a column or doesn't only read is found before the first request."""
    words, retry = refused_early(sql(query, **options), names=names, query="DROP TABLE customers")
    assert problem in words
    assert not retry
    assert len(read(sql("SELECT id FROM customers"))) == 5000


@pytest.mark.parametrize("options", [{}, {"page_by": "id"}])
def test_a_query_that_writes_changes_nothing(options: dict[str, Any], customers: Cursor) -> None:
    """What looks like a query, and writes, runs in a transaction that may only read."""
    customers.execute(
        "CREATE OR REPLACE FUNCTION spend() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN DELETE FROM customers; RETURN 1; END $$"
    )
    words, retry = refused(sql("SELECT spend() AS id", **options))
    assert "cannot execute DELETE in a read-only transaction" in words
    assert not retry
    assert len(read(sql("SELECT id FROM customers"))) == 5000


def test_an_error_in_a_later_row(warehouse: Cursor) -> None:
    """The number of rows that were read is named; the value that the database quotes is hidden."""
    broken = f"CASE WHEN n > 20 THEN ('{TEL[:4]}' || '{TEL[4:]}x' || n)::int END AS x"
    query = f"SELECT n AS id, {broken} FROM generate_series(1, 50) n"
    words, retry = refused(sql(query, fetch_size=10, nullable=("x",)))
    assert "after row 20: value … is out of range for type integer" in words
    assert TEL[-7:] not in words
    assert not retry


def test_a_lost_connection(customers: Cursor, postgres_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is cut in the middle is an error with the rows read so far, and may be tried again."""
    stream = sql("SELECT id FROM customers ORDER BY id", fetch_size=10).open(Access(), names=())
    items = iter(stream)
    assert [next(items) for _ in range(10)] == ids(1, 10)
    customers.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()"
    )
    with pytest.raises(Exception, match="after row 10: ") as caught:
        list(items)
    assert caught.value.retry is True  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "problem", "retry"),
    [
        ({"port": 1}, "its database refuses the connection, or doesn't answer", True),
        ({"schema": "nowhere"}, 'database "nowhere" does not exist', False),
        ({"login": "nobody"}, 'role "nobody" does not exist', False),
        ({"conn_type": "http"}, "reads no SQL database", False),
        ({"conn_type": "oracle"}, "no provider that is installed here has a hook for it", False),
    ],
)
def test_connections_that_lead_nowhere(
    change: dict[str, Any],
    problem: str,
    retry: bool,
    postgres_port: int,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A database that isn't there, or refuses the login; a connection of another type."""
    conn = {"conn_type": "postgres", "host": HOST, "port": postgres_port, "login": USER, "schema": database}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({**conn, "password": "s3cr3t-w0rd", **change}))
    words, again = refused_early(sql("SELECT 1"))
    assert problem in words
    assert "s3cr3t-w0rd" not in words
    assert again is retry


def test_no_connection() -> None:
    """A connection that isn't there is named."""
    words, retry = refused_early(SqlList(conn_id="nowhere", sql="SELECT 1"))
    assert "The connection 'nowhere' isn't there" in words
    assert not retry


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"conn_id": ""}, "conn_id"),
        ({"sql": ""}, "sql"),
        ({"sql": "/* all */ -- of it\n DELETE FROM customers"}, "sql"),
        ({"sql": "insert into customers values (1)"}, "sql"),
        ({"parameters": "C1"}, "parameters"),
        ({"page_by": "id", "parameters": {"a": 1}}, "parameters"),
        ({"page_by": "a b"}, "page_by"),
        ({"nullable": "tel"}, "nullable"),
        ({"fetch_size": 0}, "fetch_size"),
    ],
)
def test_mistakes_are_import_errors(options: dict[str, Any], field: str) -> None:
    """What can be known to be wrong while the DAG file is parsed is."""
    with pytest.raises(BadSetting) as caught:
        SqlList(**{"conn_id": "warehouse", "sql": "SELECT id FROM customers", **options})
    assert caught.value.field == field


@pytest.mark.parametrize(
    "query", ["(SELECT 1)", "\n-- a\n/* b */ with x as (select 1) select * from x", "VALUES (1)", "list.sql"]
)
def test_what_a_query_begins_with(query: str) -> None:
    """Comments and brackets may come first; what is in a file is read when the task runs."""
    assert sql(query).sql == query
