"""The examples of docs/sources.md run as they are written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow.sdk import DAG
from msgspec.structs import replace
from pymongo import MongoClient

from airflow_fanout.sources.source import to_source
from harness.airflow.connections import mongo_connection
from tests.sources.reading import check, read

if TYPE_CHECKING:
    import psycopg2
    import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
EXAMPLES = {
    section.partition("\n")[0]: re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    for section in PAGE.split("\n## ")
}
DECLARED = ("SqlList", "MongoList", "FileList", "AssetEvents")


def example(section: str) -> Any:
    """Return the source that the example of a section makes."""
    names: dict[str, Any] = {}
    [text] = EXAMPLES[section]
    exec(text, names)  # noqa: S102 - it is the page's own
    return names["source"]


def test_every_example_is_a_source() -> None:
    """The four classes, and the output of a task."""
    assert [type(to_source(example(section))).__name__ for section in DECLARED] == [*DECLARED]
    with DAG("lists", schedule=None):
        assert str(to_source(example("Another task's output")())) == "the output of the task 'customers'"


def test_the_query(warehouse: psycopg2.extensions.cursor) -> None:
    """Against a table that has its columns."""
    warehouse.execute("CREATE TABLE IF NOT EXISTS customers (id text PRIMARY KEY, tel text, region int, since date)")
    warehouse.execute("INSERT INTO customers VALUES ('C1', NULL, 3, '2026-11-01'), ('C2', '', 3, '2026-12-01')")
    check(example("SqlList"), ds="2026-11-20")
    assert read(example("SqlList"), ds="2026-11-20") == [{"id": "C1", "tel": None}]


def test_the_find(mongo_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a collection that has its fields; only its database has another name."""
    monkeypatch.setenv("AIRFLOW_CONN_MONGO_DEFAULT", mongo_connection(mongo_uri))
    source = replace(example("MongoList"), database=f"crm_{uuid4().hex[:8]}")
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        known = {"_id": "C1", "active": True, "address": {"zip": "10115"}}
        client[source.database].customers.insert_one(known)
        client[source.database].customers.update_one({}, {"$currentDate": {"since": True}})
        check(source, ds="2036-11-20")
        assert read(source, ds="2036-11-20") == [{"id": "C1", "zip": "10115"}]
        client.drop_database(source.database)


def test_the_file(tmp_path: Path) -> None:
    """Against a file that has its columns; only its folder is another one."""
    source = example("FileList")
    name = source.path.rpartition("/")[2]
    (tmp_path / name.replace("{{ ds }}", "2026-11-20")).write_bytes(
        "Phone;Customer No\n+12025550100;Zoé\n".encode("cp1252")
    )
    assert read(replace(source, path=f"{tmp_path}/{name}"), ds="2026-11-20") == [{"id": "Zoé", "tel": "+12025550100"}]
