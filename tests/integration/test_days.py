"""Which day a run is about that somebody has triggered, and what its form takes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from harness.airflow import AirflowClient, RequestRefused
from harness.numbers import number
from harness.service import DemoService
from harness.service.calls import calls_of
from tests.integration.own import OwnDag
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

ZONE = ZoneInfo("Pacific/Kiritimati")
SEED = 7
REFUSED = (("day", "yesterday"), ("day", 20261103), ("concurrency", 0), ("concurrency", 1001), ("concurrency", "3"))


def test_a_run_for_a_day_of_the_param(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """The day named in the form is the one that the API is asked for, and its midnight is the documents' date."""
    run = Run.trigger(client, own_dag("days"), {"day": "2026-11-03", "concurrency": 3})
    run.succeeded()
    listed, as_of = run.returned("extract"), datetime(2026, 11, 2, 10, tzinfo=UTC)
    assert (listed["day"], listed["as_of_from"], listed["as_of"]) == ("2026-11-03", "params.day", as_of.isoformat())
    assert "This run is about 2026-11-03" in run.log("extract")
    assert "by its params.day" in run.log("extract")
    fields = run.task("fetch")["rendered_fields"]
    assert fields["request_template"]["query"] == {"day": "2026-11-03", "as_of": as_of.isoformat()}
    assert fields["concurrency"] == "3"
    assert service.stats()["connections"] <= 3
    documents = {found["tel"]: found["result"] for found in loaded[run.dag_id].find({"as_of": as_of})}
    asked = [number(index) for index in (1200, 1201, 1202)]
    calls = {tel: calls_of(SEED, tel, date(2026, 11, 3)) for tel in asked}
    assert documents == {
        tel: [{"at": call.at, "to": call.to, "seconds": call.seconds} for call in found] for tel, found in calls.items()
    }


def test_a_run_without_a_day_is_about_the_last_one_that_has_ended(client: AirflowClient, own_dag: OwnDag) -> None:
    """Triggered with nothing in the form, it is the day before that of the trigger, where the report is at home."""
    run = Run.trigger(client, own_dag("days"))
    triggered = datetime.fromisoformat(client.run(run.dag_id, run.run_id)["run_after"]).astimezone(ZONE)
    run.succeeded()
    listed = run.returned("extract")
    assert (listed["day"], listed["as_of_from"]) == ((triggered.date() - timedelta(days=1)).isoformat(), "run_after")
    assert "by its run_after" in run.log("extract")


def test_a_day_that_has_not_ended_is_refused_before_anything_is_sent(
    client: AirflowClient, own_dag: OwnDag, service: DemoService
) -> None:
    """The extract task fails, without retry, with the last day that can be had."""
    run = Run.trigger(client, own_dag("days"), {"day": "2062-01-01"})
    assert run.ended() == "failed"
    assert run.states == {
        "extract": "failed",
        "fetch": "upstream_failed",
        "validate": "upstream_failed",
        "load": "upstream_failed",
    }
    assert "params.day is '2062-01-01': expected a day that has ended in Pacific/Kiritimati" in run.log("extract")
    assert service.stats()["requests"] == 0


def test_the_form_refuses_what_cannot_work(client: AirflowClient, own_dag: OwnDag) -> None:
    """What isn't a date, or no number from 1 to 1000, makes no run."""
    dag_id = own_dag("days")
    for name, value in REFUSED:
        with pytest.raises(RequestRefused) as caught:
            client.trigger(dag_id, conf={name: value})
        assert caught.value.status == 400
        assert name in caught.value.detail
    assert client.runs(dag_id) == []
