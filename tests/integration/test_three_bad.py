"""Three subscribers of 2,000 without a good answer."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.model.outcome import Kind
from harness.airflow import AirflowClient
from harness.numbers import number
from harness.service import DemoService
from tests.integration.own import OwnDag
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

NULL, FAILING, SILENT = (number(index) for index in (300, 700, 1100))


def test_three_without_a_good_answer_fail_the_run(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """One null, one always 500, one never answering: validate fails the run, once, and says which kinds and why.

    Nothing is loaded, and nothing is lost: when the three answer again, clearing fetch asks for these three only.
    """
    service.set_faults(null=[NULL], fail=[FAILING], hang=[SILENT])
    run = Run.trigger(client, own_dag("three_bad"))
    assert run.ended() == "failed"
    assert run.states == {"extract": "success", "fetch": "success", "validate": "failed", "load": "upstream_failed"}
    listed = run.returned("extract")
    assert (listed["items"], listed["pages"], listed["ended"]) == (2000, 4, "the field 'next' of page 4 is null")
    assert client.task_state(run.dag_id, run.run_id, "extract")["progress"] == listed
    assert "on 4 page(s) of the HTTP list /subscribers" in run.log("extract")
    assert run.tries("validate") == 1
    message = run.log("validate")
    assert "3 of 2,000 parameters have no valid result. Nothing was loaded." in message
    assert "By kind: ok 1,997, null 1, http_error 1, timeout 1." in message
    assert re.search(r"1 × http_error 500", message)
    assert re.search(r"1 × timeout \w*Timeout", message)
    assert not re.search(r"\d{3}55501\d\d", run.shown())
    assert loaded[run.dag_id].count_documents({}) == 0
    assert Counter(record.kind for record in run.records()) == {
        Kind.OK: 1997,
        Kind.NULL: 1,
        Kind.HTTP_ERROR: 1,
        Kind.TIMEOUT: 1,
    }

    service.restore_faults()
    service.reset_stats()
    run.clear("fetch")
    run.succeeded()
    assert service.asked() == {NULL: 1, FAILING: 1, SILENT: 1}
    assert loaded[run.dag_id].count_documents({}) == 2000
