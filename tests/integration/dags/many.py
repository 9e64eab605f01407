"""Twenty thousand parameters: each of 2,000 subscribers on ten days."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from airflow.sdk import DAG

from airflow_fanout import FanoutTaskGroup, Request
from harness.numbers import numbers


def subscriber_days() -> Iterator[tuple[str, str]]:
    """Yield each pair of a subscriber and a day."""
    return product(numbers(2000), [f"2026-11-{day:02d}" for day in range(1, 11)])


def report(dag_id: str, *, concurrency: int) -> DAG:
    """Make a DAG with so many requests at once."""
    with DAG(dag_id, schedule=None) as dag:
        FanoutTaskGroup(
            "report",
            prefix_group_id=False,
            extract={"source": subscriber_days, "names": ("tel", "day")},
            fetch={
                "request": Request(endpoint="/calls/{tel}", query={"day": "{day}"}, result="calls"),
                "http_conn_id": "call_api",
                "concurrency": concurrency,
            },
            load={"database": "tests", "collection": dag_id, "key": ("tel", "day")},
        )
    return dag


carried = report("many", concurrency=100)
refused = report("too_many", concurrency=300)
