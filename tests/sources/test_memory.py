"""What a list takes of extract's memory doesn't depend on how many rows it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pytest
from pyarrow import parquet
from pymongo import MongoClient

from harness.airflow.connections import mongo_connection
from tests.http.servers import Server, as_json

if TYPE_CHECKING:
    import psycopg2

    from tests.http.servers import Connection, Seen

ROOT = Path(__file__).parents[2]
FEW = 10_000
MANY = 50_000
MILLION = 1_000_000
PAGE = 1_000
# Fifty thousand rows as Python objects take half as much, a million take ten times as much.
MORE_MB = 30
LINES = {
    "csv": ("id,tel\n", "C{0},+12025550100\n"),
    "jsonl": ("", '{{"id": "C{0}", "tel": "+12025550100"}}\n'),
}
Options = tuple[str, dict[str, Any]]


@pytest.fixture
def options(
    tmp_path: Path, warehouse: psycopg2.extensions.cursor, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, int], Options]]:
    """Return what makes a source of a kind with up to a number of rows: its class, and its fields."""
    database = f"lists_{uuid4().hex[:8]}"
    monkeypatch.setenv("AIRFLOW_CONN_MONGO_DEFAULT", mongo_connection(mongo_uri))

    def prepare(kind: str, most: int) -> Options:
        if kind in ("SqlList", "pages"):
            return in_postgres(warehouse, kind, most)
        if kind == "MongoList":
            return in_mongodb(mongo_uri, database, most)
        for number in (FEW, most):
            write(tmp_path / f"{number}.{kind}", kind, number)
        return "FileList", {"path": f"{tmp_path}/{{n}}.{kind}"}

    yield prepare
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        client.drop_database(database)


def in_postgres(warehouse: psycopg2.extensions.cursor, kind: str, most: int) -> Options:
    """Make a table of a number of rows; return the query of some of them, in pages or not."""
    warehouse.execute("DROP TABLE IF EXISTS many")
    warehouse.execute(f"CREATE TABLE many AS SELECT n AS id, '+12025550100' AS tel FROM generate_series(1, {most}) n")
    warehouse.execute("ALTER TABLE many ADD PRIMARY KEY (id)")
    fields = {"conn_id": "warehouse", "sql": "SELECT id FROM many WHERE id <= {n}"}
    return "SqlList", {**fields, **({"page_by": "id", "fetch_size": 10_000} if kind == "pages" else {})}


def in_mongodb(uri: str, database: str, most: int) -> Options:
    """Make a collection of a number of documents; return the find of some of them."""
    with MongoClient[dict[str, Any]](uri) as client:
        for begin in range(0, most, 50_000):
            documents = [{"_id": n, "tel": "+12025550100"} for n in range(begin, min(begin + 50_000, most))]
            client[database].customers.insert_many(documents)
    fields = {"database": database, "collection": "customers", "fields": {"id": "_id"}}
    return "MongoList", {**fields, "filter": {"_id": {"$lt": "{n}"}}}


def write(path: Path, kind: str, number: int) -> None:
    """Write a file of a number of rows."""
    if kind == "parquet":
        ids = pa.array([f"C{n}" for n in range(number)])
        parquet.write_table(pa.table({"id": ids, "tel": ids}), path)
        return
    header, line = LINES[kind]
    with path.open("w") as file:
        file.write(header)
        file.writelines(line.format(place) for place in range(number))


def peaks(sources: Sequence[Options], *sizes: int) -> list[list[float]]:
    """Return by source the peaks of one process that freezes lists of these sizes, one after the other."""
    command = [sys.executable, "-m", "tests.sources.memory", json.dumps(sources), *map(str, sizes)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured: list[list[float]] = json.loads(done.stdout.splitlines()[-1])
    for (kind, _), each in zip(sources, measured, strict=True):
        print(f"{kind}: {dict(zip(sizes, each, strict=True))} MB")
    return measured


KINDS = ("SqlList", "pages", "MongoList", "csv", "jsonl", "parquet")


@pytest.mark.slow
def test_five_times_the_rows_take_no_more_memory(options: Callable[[str, int], Options]) -> None:
    """A real PostgreSQL, a real MongoDB, real files: 10,000 rows and 50,000."""
    measured = peaks([options(kind, MANY) for kind in ("SqlList", "MongoList", "csv", "jsonl")], FEW, MANY)
    assert [many - few for few, many in measured if many - few > MORE_MB / 2] == []


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_million_rows_take_no_more_memory(kind: str, options: Callable[[str, int], Options]) -> None:
    """10,000 rows and 1,000,000."""
    [(few, many)] = peaks([options(kind, MILLION)], FEW, MILLION)
    assert many - few < MORE_MB


@pytest.mark.long
def test_a_million_items_of_a_function_take_no_more_memory() -> None:
    """From a generator."""
    [(few, many)] = peaks([("function", {})], FEW, MILLION)
    assert many - few < MORE_MB


@pytest.mark.long
def test_a_million_items_of_an_api_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thousand pages."""

    def handle(seen: Seen, _: Connection) -> bytes:
        query = dict(part.split("=") for part in seen.target.partition("?")[2].split("&"))
        begin, most = (int(query.get("page", 1)) - 1) * PAGE, int(query["most"])
        return as_json([{"id": f"C{place}"} for place in range(begin, min(begin + PAGE, most))])

    with Server(handle) as server:
        monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps({"conn_type": "http", "host": server.origin}))
        fields = {"http_conn_id": "api", "endpoint": "/", "query": {"most": "{n}"}}
        [(few, many)] = peaks([("HttpList", fields)], FEW, MILLION)
    assert many - few < MORE_MB
