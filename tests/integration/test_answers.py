"""What a declarative request says of its answers, as a report of Airflow's: batches, failures inside, functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.airflow import AirflowClient
from tests.http.servers import Server, as_json
from tests.integration.own import OwnReports
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo.database import Database

    from tests.http.servers import Connection, Seen

pytestmark = pytest.mark.airflow

QUOTED = "the-answer-quotes-this"
SOURCE = '''
import json

from airflow.sdk import DAG

from airflow_fanout import Batch, FanoutTaskGroup, Request

LIMIT = 3


def says_no(answer):
    """A constant of the file, and a module of it, come along."""
    return answer.get("error") if len(answer) < LIMIT else None


def numbers():
    return [{"id": number} for number in range(20)]


with DAG("batches_report", schedule=None, params={"day": "2026-11-22"}):
    FanoutTaskGroup(
        "report",
        prefix_group_id=False,
        extract={"source": numbers, "names": ("id",)},
        fetch={
            "request": Request(
                endpoint="/search",
                method="POST",
                query={"filter": r'\\{"day": "{{ params.day }}"\\}'},
                json={"ids": ["{id}"]},
                result="users",
                batch=Batch(size=5, by="id", missing="null", item="name"),
                failed_if=says_no,
                parse=lambda body: json.loads(body),
                repeatable=True,
            ),
            "http_conn_id": "search_api",
            "transport": "curl",
        },
        validate={"min_coverage": 0.9},
        load={"database": "tests", "collection": "batches_report", "key": ("id",), "as_of_field": None},
    )
'''


def search(seen: Seen, _: Connection) -> bytes:
    """Answer a search; what has the number 7 in it is refused, and number 13 isn't known."""
    ids = json.loads(seen.body)["ids"]
    if 7 in ids:
        return as_json({"error": QUOTED})
    return as_json({"users": [{"id": str(each), "name": f"n{each}"} for each in ids if each != 13]})


def test_a_report_in_batches_with_functions_of_the_dag_file(
    client: AirflowClient, own_reports: OwnReports, loaded: Database[dict[str, Any]]
) -> None:
    """Each parameter has its own document; the functions run in the engine, and Airflow stores nothing of them."""
    with Server(search) as server:
        own_reports.connect("search_api", "http", server.port)
        own_reports.add("batches_report", SOURCE)
        run = Run.trigger(client, "batches_report")
        run.succeeded()
        targets = {seen.target for seen in server.seen}
    assert targets == {"/search?filter=%7B%22day%22%3A+%222026-11-22%22%7D"}
    summary = run.returned("fetch")
    assert summary["kinds"] == {"ok": 18, "null": 1, "api_error": 1}
    assert 4 < summary["requests"] <= 4 + 6
    documents = {found["id"]: found["result"] for found in loaded["batches_report"].find()}
    assert {number: name for number, name in documents.items() if name} == {
        number: f"n{number}" for number in range(20) if number not in (7, 13)
    }
    fields = run.task("fetch")["rendered_fields"]
    assert "says_no" not in json.dumps(fields)
    assert QUOTED not in run.log("fetch") + run.log("validate")
