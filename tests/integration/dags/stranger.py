"""Reports whose page a stranger has to understand, each with an API of its own that does something else."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_fanout import Breaker, FanoutTaskGroup, Request, Retry
from harness.numbers import numbers

CALLS = Request(endpoint="/calls/{tel}", query={"day": "2026-11-20"}, result="calls")


def report(dag_id: str, count: int, api: str, **fetch: Any) -> DAG:
    """Make a report about the calls of a number of subscribers."""

    def subscribers() -> list[str]:
        return [*numbers(count)]

    with DAG(dag_id, schedule=None) as dag:
        FanoutTaskGroup(
            "calls",
            prefix_group_id=False,
            extract={"source": subscribers, "names": ("tel",)},
            fetch={"request": CALLS, "http_conn_id": api, "concurrency": 40, **fetch},
            load={"database": "tests", "collection": dag_id, "key": ("tel",)},
        )
    return dag


goes_well = report("stranger_well", 20_000, "call_api")
slowed = report("stranger_slowed", 20_000, "slow_api")
outage = report("stranger_outage", 6_000, "down_api", breaker=Breaker(outage_s=1_800))
not_valid = report("stranger_validate", 2_000, "gaps_api", retry=Retry(max_attempts=2, initial_delay_s=0.1))
not_loaded = report("stranger_load", 1_000, "call_api")
