"""A report of some subscribers, chosen when it is triggered: plain, with a time limit, and in three shards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG
from subscribers import DAY, some

from airflow_fanout import FanoutTaskGroup, Request


def report(dag_id: str, *, retries: int = 0, shards: int | None = None, **fetch: Any) -> DAG:
    """Make a DAG that asks for ten subscribers at a time."""
    with DAG(
        dag_id,
        schedule=None,
        default_args={"retries": retries, "retry_delay": timedelta(seconds=1)},
        params={"first": 0, "count": 500},
    ) as dag:
        FanoutTaskGroup(
            "report",
            prefix_group_id=False,
            extract={"source": some, "names": ("tel",), "shards": shards},
            fetch={
                "request": Request(endpoint="/calls/{tel}", query={"day": DAY}, result="calls"),
                "http_conn_id": "call_api",
                "concurrency": 10,
                **fetch,
            },
            load={"database": "tests", "collection": dag_id, "key": ("tel",)},
        )
    return dag


plain = report("slice")
limited = report("slice_limited", execution_timeout=timedelta(seconds=6))
sharded = report("slice_sharded", shards=3, retries=1)
