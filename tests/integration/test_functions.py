"""Requests as functions, sent from the task to the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.airflow import AirflowClient
from harness.numbers import number
from harness.service import DemoService
from tests.integration.own import OwnDag
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
