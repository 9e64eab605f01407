"""Metrics as a StatsD server gets them from tasks of a real Airflow."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.adapters.metrics import METRICS
from harness.airflow import AirflowClient
from harness.service import DemoService
from tests.integration.own import OwnDag
from tests.integration.runs import Run
from tests.shared import Servers
from tests.statsd import Received

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

COUNT = 60
TASKS = {
    "fanout.list": "extract",
    "fanout.missing": "validate",
    "fanout.coverage": "validate",
    "fanout.checks": "validate",
    "fanout.documents": "load",
    "fanout.load": "load",
}


def test_a_runs_metrics(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, loaded: Database[dict[str, Any]], servers: Servers
) -> None:
    """Exactly the names, types and tags of the table, and in them the counts of the run's own summaries."""
    run = Run.trigger(client, own_dag("slice_metered"), {"first": 700, "count": COUNT})
    run.succeeded()
    received = servers.ask("metrics_of", run.dag_id)
    for one in received:
        metric = METRICS[one.name]
        assert (one.type, {*one.tags}) == (metric.type, {"dag_id", "task_id", *metric.tags}), one
        step = one.tags.get("step") or next((TASKS[name] for name in TASKS if one.name.startswith(name)), "fetch")
        assert one.tags["task_id"] == step
    # A connection without a request budget has none of its metrics.
    assert {one.name for one in received} == {name for name in METRICS if not name.startswith("fanout.budget.")}
    fetched = run.returned("fetch")
    assert _counters(received) == {
        "fanout.requests": fetched["requests"],
        "fanout.parameters ok": COUNT,
        "fanout.documents inserted": COUNT,
        "fanout.documents replaced": 0,
        "fanout.documents removed": 0,
    }
    gauges = {one.name: one.value for one in received if one.type == "gauge"}
    assert gauges["fanout.list.parameters"] == COUNT
    assert (gauges["fanout.progress.done"], gauges["fanout.progress.total"]) == (COUNT, COUNT)
    assert (gauges["fanout.progress.in_flight"], gauges["fanout.progress.outage"]) == (0, 0)
    assert (gauges["fanout.missing"], gauges["fanout.coverage"], gauges["fanout.checks.failed"]) == (0, 1, 0)
    assert gauges["fanout.latency.p50_ms"] == pytest.approx(fetched["p50_ms"])
    # 60 requests of 50 ms, one after the other, are told several times while they go on.
    moments = [one.value for one in received if one.name == "fanout.progress.done"]
    assert len(moments) > 2
    assert moments == sorted(moments)
    assert {one.tags["step"]: one.value / 1000 for one in received if one.type == "timing"} == pytest.approx(
        {task: run.returned(task)["seconds"] for task in ("extract", "fetch", "validate", "load")}, abs=0.001
    )


def test_a_failed_validation_is_told(client: AirflowClient, own_dag: OwnDag, servers: Servers) -> None:
    """How many are missing is known to an alarm also when nothing is loaded."""
    run = Run.trigger(client, own_dag("slice_missing"), {"first": 800, "count": 5})
    assert run.ended() == "failed"
    received = servers.ask("metrics_of", run.dag_id)
    gauges = {one.name: one.value for one in received if one.type == "gauge"}
    assert (gauges["fanout.missing"], gauges["fanout.coverage"]) == (5, 0)
    assert _counters(received)["fanout.parameters http_error"] == 5
    assert not [one for one in received if one.tags["task_id"] == "load"]


def _counters(received: list[Received]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for one in received:
        if one.type == "counter":
            label = one.tags.get("kind") or one.tags.get("change") or ""
            counts[f"{one.name} {label}".strip()] += int(one.value)
    return counts
