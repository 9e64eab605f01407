from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from airflow.sdk import DAG, BaseOperator

from airflow_fanout import (
    ExtractOperator,
    FanoutTaskGroup,
    FileList,
    HttpList,
    MongoList,
    Request,
    SqlList,
)
from airflow_fanout.staging.directory import ReportDirectory
from airflow_fanout.staging.folder import FolderStore

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

SECRET = "s3cret"
MONGO = "mongodb://db.example:27017"
QUERY = "SELECT id FROM crm.customers JOIN crm.tels USING (id) WHERE since < '{{ ds }}'"
TABLES = [("postgres://127.0.0.1:1", "wh.crm.customers"), ("postgres://127.0.0.1:1", "wh.crm.tels")]
API = f"https://user:{SECRET}@api.example:8443/v1"
CONNECTIONS = {
    "api": f'{{"conn_type": "http", "host": "{API}", "extra": {{"X-Key": "{SECRET}"}}}}',
    "pg": f'{{"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "schema": "wh", "password": "{SECRET}"}}',
    "mongo": f'{{"conn_type": "mongo", "host": "db.example", "login": "user", "password": "{SECRET}"}}',
}


@pytest.fixture(autouse=True)
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Airflow's settings for this test: the staging area, and two connections with secrets."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path))
    for name, text in CONNECTIONS.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", text)
    return tmp_path


def report(request: Any, source: Any = None, *, mongo: str = "mongo") -> FanoutTaskGroup:
    """Return a report in a DAG."""
    with DAG("daily", schedule=None):
        return FanoutTaskGroup(
            "calls",
            extract={"source": source or HttpList(http_conn_id="api", endpoint="/subscribers?active=1")},
            fetch={"request": request, "http_conn_id": "api"},
            load={"database": "reports", "collection": "calls", "key": ("tel",), "mongo_conn_id": mongo},
        )


def given(task: BaseOperator, staging: Path, run_id: str) -> BaseOperator:
    """Return the task as Airflow has it in a run, with extract's output rendered."""
    lists = ReportDirectory.of(FolderStore(staging), dag_id="daily", run_id=run_id, report="calls")
    task.parameters = {"directory": str(lists.numbered(2))}
    return task


def told(task: BaseOperator) -> OperatorLineage[Any, Any]:
    """Return what Airflow's own provider takes from an operator when it starts, completes and fails."""
    extractor = DefaultExtractor(task)
    found = [extractor.extract(), extractor.extract_on_complete(None), extractor.extract_on_failure(None)]
    assert found[0] is not None
    assert found == [found[0]] * 3
    return found[0]


def names(data_sets: Any) -> list[tuple[str, str]]:
    """Return namespaces and names."""
    return [(one.namespace, one.name) for one in data_sets]


def test_a_report_is_one_chain_from_the_api_to_the_collection(staging: Path) -> None:
    """Each task reads what the one before it has written, and no name has a secret or a run in it."""
    made = report(Request(endpoint="/calls/{tel}/{{ ds }}?day={{ ds }}", query={"key": SECRET}))
    tasks = [made.extract, *(given(task, staging, "run 1") for task in (made.fetch, made.validate, made.load))]
    made.fetch.render_template_fields({"ds": "2026-11-20"})
    assert made.fetch.request_template["endpoint"] == "/calls/{tel}/2026-11-20?day=2026-11-20"
    extract, fetch, validate, load = map(told, tasks)
    listed = ("file", f"{staging}/daily/{{run_id}}/calls/parameters")
    journal = ("file", f"{staging}/daily/{{run_id}}/calls/journal")
    origin = "https://api.example:8443"
    assert (names(extract.inputs), names(extract.outputs)) == ([(origin, "/v1/subscribers")], [listed])
    # The endpoint is as the DAG has it: rendered, it would be another data set each day.
    assert names(fetch.inputs) == [listed, (origin, "/v1/calls/{tel}/{{ ds }}")]
    assert names(fetch.outputs) == [journal]
    assert (names(validate.inputs), names(validate.outputs)) == ([journal], [])
    assert (names(load.inputs), names(load.outputs)) == ([journal], [("mongodb://db.example:27017", "reports.calls")])
    assert SECRET not in repr([extract, fetch, validate, load])


def test_all_runs_and_lists_have_the_same_data_sets(staging: Path) -> None:
    """A catalogue has one journal of a report, not one for each night."""
    made = report(Request(endpoint="/calls/{tel}"))
    assert told(given(made.fetch, staging, "run 1")) == told(given(made.fetch, staging, "run 2"))


def test_what_is_not_known_is_left_out(staging: Path) -> None:
    """A callable reads nobody knows what; a function asks somewhere below the connection's address."""
    made = report(lambda session, tel: session.get(f"/calls/{tel}").json(), source=list)
    assert names(told(made.extract).inputs) == []
    assert names(told(given(made.fetch, staging, "run 1")).inputs)[1:] == [("https://api.example:8443", "/v1")]


@pytest.mark.parametrize(
    ("source", "inputs"),
    [
        (
            SqlList(conn_id="pg", sql="SELECT id FROM crm.customers JOIN crm.tels USING (id) WHERE d < '{{ ds }}'"),
            TABLES,
        ),
        (SqlList(conn_id="pg", sql="customers.sql"), []),
        (MongoList(mongo_conn_id="mongo", database="crm", collection="customers"), [(MONGO, "crm.customers")]),
        (FileList(path="/lists/{{ ds }}.csv"), [("file", "/lists/{{ ds }}.csv")]),
        (FileList(path=f"s3://{SECRET}@lists/a/b.csv"), [("s3://lists", "a/b.csv")]),
    ],
)
def test_what_a_source_reads(source: Any, inputs: list[tuple[str, str]], staging: Path) -> None:
    """Tables, a collection, a file; by names that are the same for all runs, without a secret."""
    lineage = told(report(Request(endpoint="/calls/{id}"), source=source).extract)
    assert sorted(names(lineage.inputs)) == inputs
    assert SECRET not in repr(lineage)


def test_a_shard_has_the_lineage_of_its_list(staging: Path) -> None:
    """Mapped tasks read and write the same data sets."""
    with DAG("daily", schedule=None):
        extract = ExtractOperator(task_id="calls", source=list, shards=2)
    assert names(told(extract).outputs) == [("file", f"{staging}/daily/{{run_id}}/calls/parameters")]
    whole, shard = (report(Request(endpoint="/calls/{tel}")).fetch for _ in range(2))
    given(whole, staging, "run 1")
    shard.shard, shard.parameters = {**whole.parameters, "shard": 1, "start": 5, "stop": 9}, None
    assert told(shard) == told(whole)


def test_rows_are_told_once_they_are_written(staging: Path) -> None:
    """A load that has only begun, or failed, has written nothing that is known."""
    load = given(report(Request(endpoint="/calls/{tel}")).load, staging, "run 1")
    assert told(load).outputs[0].outputFacets == {}
    load._documents = 12
    assert told(load).outputs[0].outputFacets["outputStatistics"].rowCount == 12


@pytest.mark.parametrize(
    ("fields", "namespace"),
    [
        ({"host": "db.example", "port": 27018}, "mongodb://db.example:27018"),
        ({"host": "a.example:1,b.example", "port": 2}, "mongodb://a.example:1,b.example:2"),
        ({"host": "a.example:1,b.example"}, "mongodb://a.example:1,b.example:27017"),
        ({"host": "[::1]", "port": 1}, "mongodb://[::1]:1"),
        ({"host": f"user:{SECRET}@db.example"}, "mongodb://db.example:27017"),
        ({"host": "cluster.example", "extra": {"srv": True}}, "mongodb+srv://cluster.example"),
    ],
)
def test_the_namespace_of_a_mongodb(
    staging: Path, monkeypatch: pytest.MonkeyPatch, fields: Mapping[str, Any], namespace: str
) -> None:
    """Host and port as the hook uses them; all hosts of a replica set; never a password."""
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({"conn_type": "mongo", **fields}))
    load = given(report(Request(endpoint="/calls/{tel}"), mongo="other").load, staging, "run 1")
    assert told(load).outputs[0].namespace == namespace
