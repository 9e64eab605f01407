"""Requests as functions, sent from the task to the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote

import pytest

from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.results import Results
from harness.airflow import AirflowClient
from harness.numbers import number
from harness.service import DemoService
from tests.http.servers import Server, as_json
from tests.integration.own import OwnDag, OwnReports
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

# The functions are in dags/functions.py; each report asks for ten subscribers of its own, from this one on.
FIRST = {"function_here": 0, "function_imported": 10, "function_lambda": 20, "function_locked": 30}


def test_functions_of_all_kinds(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """A function in the DAG file, one of a module beside it and a lambda work; one with a lock is refused, unsent."""
    runs = {name: Run.trigger(client, own_dag(name)) for name in FIRST}
    assert {name: run.ended() for name, run in runs.items()} == {
        "function_here": "success",
        "function_imported": "success",
        "function_lambda": "success",
        "function_locked": "failed",
    }
    assert service.asked() == {number(index): 1 for index in range(30)}
    assert "asking for somebody's calls" in runs["function_here"].log("fetch")
    results = {name: [found["result"] for found in loaded[run.dag_id].find()] for name, run in runs.items()}
    assert {type(result) for result in results["function_here"]} == {int}
    assert {type(result) for result in results["function_imported"]} == {list}
    assert {result[0] for result in results["function_lambda"]} == {str(index) for index in range(20, 30)}
    refusal = runs["function_locked"].log("extract")
    assert "counting.<locals>.count (functions" in refusal
    assert "can't be sent to the engine" in refusal
    assert "cannot pickle '_thread.lock' object" in refusal
    assert runs["function_locked"].tries("extract") == 1


VALUES = """
from airflow.sdk import DAG
from airflow_fanout import FanoutTaskGroup, Request

def fetch(session, tel, *, key, day):
    print("sends", key, "for", day)
    answer = session.get(f"/calls/{tel}", params={"day": day, "token": key})
    if tel.endswith("1"):
        raise ValueError(f"not with {key}")
    return answer.json()

REQUEST = Request(endpoint="/calls/{tel}", query={"day": "{day}"}, headers={"X-Key": "{key}"})
with DAG("values", schedule=None) as dag:
    for name, request in (("function", fetch), ("request", REQUEST)):
        FanoutTaskGroup(
            name,
            extract={"source": lambda: ["+12025550100", "+12025550101"], "names": ("tel",)},
            fetch={
                "request": request,
                "http_conn_id": "values_api",
                "values": {"key": "{{ var.value.values_key }}", "day": "{{ macros.fanout.day() }}"},
            },
            validate={"min_coverage": 0.5},
            load={"database": "values", "collection": name, "key": ("tel",)},
        )
"""
SECRET = "v4lue-{braces}-of-a-variable"


def test_values_are_rendered_in_the_task_and_seen_by_nobody(client: AirflowClient, own_reports: OwnReports) -> None:
    """A Variable and the run's day reach the API by a function and by a request, and are in nothing that is shown."""
    client.request("POST", "/api/v2/variables", json={"key": "values_key", "value": SECRET})
    with Server(lambda _seen, _connection: as_json([1])) as server:
        own_reports.connect("values_api", "http", server.port)
        own_reports.add("values", VALUES)
        run = Run.trigger(client, "values")
        run.succeeded()
    day = run.returned("function.extract")["day"]
    queries = [parse_qs(seen.target.partition("?")[2]) for seen in server.seen]
    assert {query["token"][0] for query in queries if "token" in query} == {SECRET}
    assert {query["day"][0] for query in queries} == {day}
    assert {seen.headers["x-key"] for seen in server.seen if "x-key" in seen.headers} == {SECRET}
    assert len(server.seen) == 4
    assert "sends … for" in run.log("function.fetch")
    for form in (SECRET, quote(SECRET), SECRET[:8]):
        assert form not in run.shown()
    listed = list_at(run.returned("function.extract")["directory"])
    [failure] = [each.failure for each in Results(listed, read_manifest(listed)).records() if each.failure]
    assert (failure.type, failure.message) == ("ValueError", "not with …")
