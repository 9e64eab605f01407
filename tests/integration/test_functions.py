"""Requests as functions, sent from the task to the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from demo.airflow import AirflowClient
from demo.numbers import number
from demo.service import DemoService
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]

# The functions are in dags/functions.py; each report asks for ten subscribers of its own, from this one on.
FIRST = {"function_here": 0, "function_imported": 10, "function_lambda": 20, "function_locked": 30}


def test_functions_of_all_kinds(client: AirflowClient, service: DemoService, loaded: Database[dict[str, Any]]) -> None:
    """A function in the DAG file, one of a module beside it and a lambda work; one with a lock is refused, unsent."""
    runs = {dag_id: Run.trigger(client, dag_id) for dag_id in FIRST}
    assert {dag_id: run.ended() for dag_id, run in runs.items()} == {
        "function_here": "success",
        "function_imported": "success",
        "function_lambda": "success",
        "function_locked": "failed",
    }
    assert service.asked() == {number(index): 1 for index in range(30)}
    assert "asking for somebody's calls" in runs["function_here"].log("fetch")
    assert {type(found["result"]) for found in loaded["function_here"].find()} == {int}
    assert {type(found["result"]) for found in loaded["function_imported"].find()} == {list}
    assert {found["result"][0] for found in loaded["function_lambda"].find()} == {str(index) for index in range(20, 30)}
    refusal = runs["function_locked"].log("fetch")
    assert "counting.<locals>.count (functions.py:" in refusal
    assert "can't be sent to the engine" in refusal
    assert "cannot pickle '_thread.lock' object" in refusal
    assert runs["function_locked"].tries("fetch") == 1
