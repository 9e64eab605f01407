"""Twenty thousand parameters in eight shards, for two workers; the connection has a budget for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from airflow.sdk import DAG

from airflow_fanout import FanoutTaskGroup, Request
from harness.numbers import numbers

COUNT = 20_000
SHARDS = 8


def subscribers() -> Iterator[str]:
    """Yield the numbers of all subscribers."""
    return numbers(COUNT)


with DAG("workers", schedule=None, default_args={"retries": 2, "retry_delay": timedelta(seconds=1)}) as dag:
    FanoutTaskGroup(
        "report",
        prefix_group_id=False,
        extract={"source": subscribers, "names": ("tel",), "shards": SHARDS},
        fetch={
            "request": Request(endpoint="/calls/{tel}", query={"day": "2026-11-20"}, result="calls"),
            "http_conn_id": "call_api",
            "concurrency": 10,
        },
        load={"database": "tests", "collection": "workers", "key": ("tel",)},
    )
