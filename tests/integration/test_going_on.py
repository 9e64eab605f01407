"""What is requested again, and what isn't, when a fetch goes on or is repeated."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from harness.airflow import AirflowClient
from harness.service import DemoService
from tests.integration.own import OwnDag
from tests.integration.runs import Run, until

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

# What the state of a fetch has for the page alone, and no summary has.
PICTURE = {"failures", "course"}


def test_a_long_wait_hands_the_worker_slot_back(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """When the API wants a pause beyond `longest_s`, the task defers, and goes on then in the same try."""
    service.set_faults(throttle_rate=1.0, retry_after_s=8)
    run = Run.trigger(client, own_dag("slice_impatient"), {"first": 100, "count": 60})
    until(lambda: run.states.get("fetch") == "deferred", what="fetch has handed its slot back")
    assert "The task gives its worker slot back until" in run.log("fetch")
    service.restore_faults()
    service.reset_stats()
    run.succeeded()
    assert run.tries("fetch") == 1
    assert set(service.asked().values()) == {1}
    assert loaded[run.dag_id].count_documents({}) == 60


def test_a_long_wait_ends_without_a_triggerer(client: AirflowClient, own_dag: OwnDag, service: DemoService) -> None:
    """Airflow's scheduler resumes the task to make it fail; it goes on in the same try, and says what is missing."""
    service.set_faults(throttle_rate=1.0, retry_after_s=600)
    run = Run.trigger(client, own_dag("unattended"), {"first": 100, "count": 60})
    until(lambda: run.states.get("fetch") == "deferred", what="fetch has handed its slot back")
    shown = client.task_state(run.dag_id, run.run_id, "fetch")["progress"]
    assert shown["waits_for"] == "the pause that the API asked for"
    assert shown["deferred_until"] > run.task("fetch")["start_date"]
    service.restore_faults()
    service.reset_stats()
    run.succeeded()
    assert "No triggerer ended the wait of this task, so the scheduler did." in run.log("fetch")
    assert run.tries("fetch") == 1
    assert set(service.asked().values()) == {1}


def test_clearing_a_good_fetch_requests_everything_anew(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """After a success, a cleared fetch begins a new generation; load replaces its own documents."""
    run = Run.trigger(client, own_dag("slice"), {"first": 700, "count": 50})
    run.succeeded()
    run.clear("fetch")
    run.succeeded()
    assert set(service.asked().values()) == {2}
    written = run.returned("load")
    assert (run.returned("fetch")["resumed"], written["replaced"]) == (0, 50)
    # What was shown last while it ran is not what stays; only what the page draws comes on top.
    progress = client.task_state(run.dag_id, run.run_id, "fetch")["progress"]
    assert {name: value for name, value in progress.items() if name not in PICTURE} == run.returned("fetch")
    assert loaded[run.dag_id].count_documents({"as_of": datetime.fromisoformat(written["as_of"])}) == 50


@pytest.mark.long
def test_refetch_requests_everything_anew_after_a_failure(
    client: AirflowClient, own_dag: OwnDag, service: DemoService
) -> None:
    """With the run's param `refetch`, clearing fetch after a failed validate requests also what was good."""
    service.set_faults(missing=["+12015550151"])
    run = Run.trigger(client, own_dag("slice"), {"first": 51, "count": 20, "refetch": True})
    assert run.ended() == "failed"
    service.restore_faults()
    service.reset_stats()
    run.clear("fetch")
    run.succeeded()
    assert len(service.asked()) == 20


def test_wrong_credentials_cost_a_handful_of_requests(
    client: AirflowClient, own_dag: OwnDag, service: DemoService
) -> None:
    """When every answer is an error, the canary stops the run: the message has the status and what was saved."""
    run = Run.trigger(client, own_dag("slice_nowhere"), {"first": 0, "count": 1500})
    assert run.ended() == "failed"
    message = run.log("fetch")
    assert "Stopped after 50 of 1,500 parameters: all 50 failed, with HTTP 404. The other 1,450 were not" in message
    assert run.tries("fetch") == 1
    assert service.stats()["requests"] == 50
