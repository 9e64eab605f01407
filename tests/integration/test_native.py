"""A DAG whose templates would give native objects, with a report in a mapped task group."""

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


def test_each_mapped_report_has_its_own_values_and_its_texts_stay_texts(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """A source and a document function get their group's values; `{0}` is a field, also in a native DAG."""
    dag_id = own_dag("native")
    Run.trigger(client, dag_id, {}).succeeded()
    assert service.asked() == {number(index): 1 for index in range(6)}
    documents = {found["tel"]: found["account"] for found in loaded[dag_id].find()}
    assert documents == {number(index): "A-1" if index < 3 else "B-2" for index in range(6)}
