"""One list fetched by three tasks."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from harness.airflow import AirflowClient
from harness.numbers import number
from harness.service import DemoService
from tests.integration.engines import engine_of
from tests.integration.own import OwnDag
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

COUNT = 600


def test_a_failed_shard_asks_for_its_own_rest(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """Three shards are one run's documents; the retry of one whose engine was killed asks only for its own rest."""
    service.set_faults(latency_ms=200)
    run = Run.trigger(client, own_dag("slice_sharded"), {"first": 0, "count": COUNT})
    run.fetching(20, map_index=1)
    engine_of(run, 1).send_signal(signal.SIGKILL)
    run.succeeded()
    assert [run.tries("fetch", index) for index in range(3)] == [1, 2, 1]
    second = [number(index) for index in range(200, 400)]
    asked = service.asked()
    assert len(asked) == COUNT
    again = [tel for tel, times in asked.items() if times > 1]
    # Killed outright: the ten that were under way, and at 50 a second those of the last second.
    print(f"\n{len(again)} of the killed shard's 200 asked for again, {run.returned('fetch', 1)['resumed']} resumed")
    assert set(again) <= set(second)
    assert len(again) <= 10 + 50
    assert run.returned("fetch", 1)["resumed"] >= 20
    assert run.returned("validate")["parameters"] == run.returned("load")["documents"] == COUNT
    assert loaded[run.dag_id].count_documents({}) == COUNT
