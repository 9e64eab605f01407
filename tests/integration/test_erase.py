"""A person's parameter is erased by a task of a real Airflow."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from harness.airflow import AirflowClient
from tests.airflow_fixture import AddDag
from tests.integration.runs import Run
from tests.load.test_keep_nothing import staged_text

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

# Nobody has such an item, so the run fails, and its results stay. In a staging area of their own, these DAGs don't wait
# for others' runs.
FILE = """
import os
from airflow.sdk import DAG
from airflow_fanout import EraseOperator, FanoutTaskGroup, Request

os.environ["AIRFLOW__FANOUT__STAGING"] = "{staging}"

with DAG("{dag_id}", schedule=None) as dag:
    FanoutTaskGroup(
        "report",
        prefix_group_id=False,
        extract={{"source": lambda: {ids!r}, "names": ("tel",)}},
        fetch={{"request": Request(endpoint="/calls/{{tel}}"), "http_conn_id": "call_api"}},
        load={{"database": "tests", "collection": "{dag_id}", "key": ("tel",)}},
    )
with DAG("{dag_id}_erase", schedule=None) as erasing:
    EraseOperator(task_id="erase", variable="{dag_id}")
"""


def test_what_a_variable_names_is_erased_and_the_variable_is_deleted(
    client: AirflowClient, add_dag: AddDag, tmp_path: Path
) -> None:
    """Of a failed run; neither the log nor what the task returned says what it was."""
    dag_id, person, other = f"erased_{uuid4().hex[:8]}", f"person-{uuid4().hex}", f"other-{uuid4().hex}"
    add_dag(dag_id, FILE.format(dag_id=dag_id, ids=[person, other], staging=tmp_path))
    failed = Run.trigger(client, dag_id, {})
    assert failed.ended() == "failed"
    staged = tmp_path / dag_id
    assert person in staged_text(staged)
    client.request("PATCH", f"/api/v2/dags/{dag_id}_erase", json={"is_paused": False})
    client.request("POST", "/api/v2/variables", json={"key": dag_id, "value": json.dumps([{"tel": person}])})

    erasing = Run.trigger(client, f"{dag_id}_erase", {})
    erasing.succeeded()
    text = staged_text(staged)
    assert (person in text, other in text) == (False, True)
    assert erasing.returned("erase")["parameters"] == 1
    assert person not in erasing.shown()
    assert dag_id not in {each["key"] for each in client.request("GET", "/api/v2/variables?limit=100")["variables"]}
