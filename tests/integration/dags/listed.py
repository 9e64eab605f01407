"""The lists of a query, a find, a file, another task and an asset's event, each frozen by an extract of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from airflow.sdk import DAG, Asset, Metadata, task

from airflow_fanout import AssetEvents, ExtractOperator, FileList, MongoList, SqlList
from harness.numbers import number

ASSET = Asset("listed")
NUMBERS = [number(index) for index in range(100, 103)]

with DAG("listed", schedule=None):

    @task
    def subscribers() -> list[tuple[str, int]]:
        """Return rows, as an operator for SQL does."""
        return list(zip(NUMBERS, (1, 2, 3), strict=True))

    @task(outlets=[ASSET])
    def publish() -> Iterator[Metadata]:
        """Write a file beside this one's, and tell the other DAG who is in it."""
        yield Metadata(ASSET, {"tels": NUMBERS})

    query = SqlList(conn_id="warehouse", sql="SELECT tel, n FROM subscribers WHERE n <= %s", parameters=["{{ 3 }}"])
    find = MongoList(database="lists", collection="subscribers", fields={"tel": "_id", "n": "n"}, sort=(("n", 1),))
    file = FileList(path=str(Path(__file__).with_suffix(".csv")))
    ExtractOperator(task_id="from_task", source=subscribers(), names=("tel", "n"))
    ExtractOperator(task_id="from_query", source=query)
    ExtractOperator(task_id="from_find", source=find)
    ExtractOperator(task_id="from_file", source=file)
    publish()

with DAG("listed_by_event", schedule=[ASSET]):
    ExtractOperator(task_id="from_event", source=AssetEvents(asset=ASSET, items="tels"), names=("tel",))
