"""What a report's owner demands of the results, in a real run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.staging.folder import list_at
from harness.airflow import AirflowClient
from harness.numbers import number
from harness.service import DemoService
from tests.airflow_fixture import AddDag
from tests.integration.runs import Run
from tests.staging.places import path_of

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

REPORT = """
    from airflow.sdk import DAG
    from airflow_fanout import Drift, FanoutTaskGroup, MaxEmpty, CustomCheck, Request, ResultSchema, Unique
    from harness.numbers import number
    from subscribers import DAY

    def some(params):
        return [number(index) for index in range(600, 600 + params["count"])]

    def no_strangers(pairs):
        for parameter, result in pairs:
            if not {wanted}:
                raise LookupError("stranger " + parameter["tel"])

    with DAG("{dag_id}", schedule=None, params={{"count": 20}}, default_args={{"retries": 2}}) as dag:
        FanoutTaskGroup(
            "report",
            prefix_group_id=False,
            extract={{"source": some, "names": ("tel",)}},
            fetch={{
                "request": Request(endpoint="/calls/{{tel}}", query={{"day": DAY}}),
                "http_conn_id": "call_api",
                "concurrency": 10,
            }},
            validate={{
                "checks": (
                    ResultSchema({schema}),
                    Unique("{field}"),
                    MaxEmpty(0.0),
                    CustomCheck(no_strangers),
                    CustomCheck(lambda pairs: None),
                    {last},
                ),
            }},
            load={{"database": "tests", "collection": "{dag_id}", "key": ("tel",)}},
        )
"""


CALLS = {"required": ["calls"], "properties": {"calls": {"type": "array"}}}
DRIFT = "Drift(rows=0.1, at_least=1)"


def test_one_message_lists_all_checks_that_failed(
    client: AirflowClient, add_dag: AddDag, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """Missing results and each check that failed are in one message, masked; nothing is loaded, nothing tried again."""
    file = add_dag(
        "demanding",
        REPORT.format(
            dag_id="demanding",
            wanted="parameter['tel'] != number(601)",
            schema={"required": ["nonsense"]},
            field="day",
            last=DRIFT,
        ),
    )
    service.set_faults(fail=[number(603)])
    run = Run.trigger(client, "demanding")
    assert run.ended() == "failed"
    assert run.tries("validate") == 1
    message = run.log("validate")
    assert "1 of 20 parameters have no valid result. Nothing was loaded." in message
    assert "3 of 6 checks failed." in message
    assert re.search(r"ResultSchema: 19 results don't fit: #\d+ \{tel: …\d\d\}: the result breaks required;", message)
    assert re.search(r"Unique\('day'\): 18 results repeat the value of an earlier one: #\d+ \{tel", message)
    line = file.read_text().splitlines().index('            raise LookupError("stranger " + parameter["tel"])') + 1
    assert re.search(
        rf"CustomCheck\(no_strangers \(demanding\.py:\d+\)\): it raised LookupError at demanding\.py:{line}, after #1 "
        r"\{tel: …\d\d\}: stranger …\d\d",
        message,
    )
    assert not re.search(r"\d{3}55501\d\d", run.shown())
    assert loaded["demanding"].count_documents({}) == 0


def test_a_run_is_compared_with_the_good_ones_before_it(
    client: AirflowClient, add_dag: AddDag, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """A run that passes is remembered; a later one with half as many rows isn't like it, and fails."""
    add_dag("drifting", REPORT.format(dag_id="drifting", wanted="True", schema=CALLS, field="tel", last=DRIFT))
    first = Run.trigger(client, "drifting")
    first.succeeded()
    assert {name: first.returned("validate")[name] for name in ("rows", "checks")} == {"rows": 20, "checks": 6}
    history = list_at(first.returned("extract")["directory"]).history
    assert len(history.content().split()) == 1

    second = Run.trigger(client, "drifting", {"count": 10})
    assert second.ended() == "failed"
    message = second.log("validate")
    assert "1 of 6 checks failed. Nothing was loaded." in message
    assert "Drift: 10 rows, usually 20 (the median of 1 good runs)." in message
    assert loaded["drifting"].count_documents({}) == 20


def test_a_history_that_cannot_be_written_fails_no_good_run(client: AirflowClient, add_dag: AddDag) -> None:
    """The results are as good without it: the run goes on, and the log says what is not remembered."""
    add_dag(
        "forgetful", REPORT.format(dag_id="forgetful", wanted="True", schema=CALLS, field="tel", last="MaxEmpty(1)")
    )
    first = Run.trigger(client, "forgetful")
    first.succeeded()
    history = list_at(first.returned("extract")["directory"]).history
    path = path_of(history)
    path.unlink()
    path.mkdir()
    second = Run.trigger(client, "forgetful")
    second.succeeded()
    assert "could not be added to the history" in second.log("validate")
    assert list(path.iterdir()) == []
