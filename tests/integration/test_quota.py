"""A quota in an Airflow with a triggerer: the fetch defers, comes back, and is one try of one run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.alerts.late import LateRun, late
from airflow_fanout.alerts.message import Pages
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.live import live
from harness.airflow import AirflowClient
from harness.service import DemoService
from tests.integration.own import OwnReports
from tests.integration.runs import Run, until

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

# No request is sent twice within half of the quota's window, however late each one arrives.
WINDOW_S = 12
HALF_S = WINDOW_S // 2


def text_of_a_missed_deadline(run: Run) -> str:
    """Return what the callback of a deadline says of a run at this moment."""
    directory = list_at(run.returned("extract")["directory"])
    now, reports = datetime.now(UTC), live(directory.store, run.dag_id, run.run_id)
    late_run = LateRun(run_id=run.run_id, as_of=None, due=now, zone=UTC, state="running", reports=reports)
    return str(late(late_run, Pages("", run.dag_id), now).text)


def test_a_quota_defers_a_fetch_and_uses_no_retry(
    client: AirflowClient, own_reports: OwnReports, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """100 requests in any 12 s, and 250 parameters: each is asked once, in one try of the task.

    That takes longer than the task's `execution_timeout`, for which a wait without a worker slot doesn't count. What a
    missed deadline would say meanwhile names the quota.
    """
    quota = {"requests": 100, "per": WINDOW_S}
    budget = {"name": own_reports.name("calls"), "rate_per_s": 200, "quotas": [quota]}
    own_reports.connect("quota_api", "http", service.port, json.dumps({"budget": budget}))
    run = Run.trigger(client, own_reports.dag("slice_budgeted"), {"first": 0, "count": 250})
    until(lambda: run.states.get("fetch") == "deferred", what="fetch has handed its slot back")
    shown = client.task_state(run.dag_id, run.run_id, "fetch")["progress"]
    assert 100 <= shown["done"] < 250
    assert shown["waits_for"] == "the renewal of the quota, 100 requests in any 12 s"
    assert shown["deferred_until"] > run.task("fetch")["start_date"]
    assert "; waiting: the renewal of the quota, 100 requests in any 12 s" in text_of_a_missed_deadline(run)
    run.succeeded()
    begun, ended = (datetime.fromisoformat(run.task("fetch")[name]) for name in ("start_date", "end_date"))
    assert ended - begun > timedelta(seconds=20)
    log = run.log("fetch")
    assert f"(rank: manual, share of {run.dag_id!r}): At least 250 requests are needed, and 100 fit before" in log
    assert log.count("The API's budget lets nothing through for") >= 2
    assert run.tries("fetch") == 1
    assert (len(service.asked()), set(service.asked().values())) == (250, {1})
    by_second = {int(second): counts["requests"] for second, counts in service.stats()["by_second"].items()}
    for second in by_second:
        assert sum(by_second.get(later, 0) for later in range(second, second + HALF_S)) <= 100
    assert loaded[run.dag_id].count_documents({}) == 250
