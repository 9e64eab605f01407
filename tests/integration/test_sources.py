"""Every kind of list, read in tasks of a real Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.frozen import read_manifest, read_parameters
from harness.airflow import AirflowClient
from harness.numbers import number
from tests.integration.own import OwnDag, OwnReports
from tests.integration.runs import Run, until
from tests.postgres import DATABASE, HOST, USER
from tests.shared import Servers

if TYPE_CHECKING:
    from pymongo import MongoClient

pytestmark = pytest.mark.airflow

NUMBERS = [number(index) for index in range(100, 103)]
ROWS = [{"tel": tel, "n": n} for n, tel in enumerate(NUMBERS, 1)]


@pytest.fixture
def stored(own_reports: OwnReports, servers: Servers, mongo: MongoClient[dict[str, Any]]) -> None:
    """The same rows in a PostgreSQL and in a MongoDB."""
    port = int(servers.ask("postgres_port"))
    with psycopg2.connect(host=HOST, port=port, user=USER, dbname=DATABASE) as database, database.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS listed CASCADE; CREATE SCHEMA listed")
        cursor.execute("CREATE TABLE listed.subscribers (tel text, n int)")
        cursor.executemany("INSERT INTO listed.subscribers VALUES (%s, %s)", [(row["tel"], row["n"]) for row in ROWS])
    extra = '{"options": "-c search_path=listed"}'
    own_reports.connect("warehouse", "postgres", port, extra, login=USER, schema=DATABASE)
    mongo["lists"]["subscribers"].drop()
    mongo["lists"]["subscribers"].insert_many({"_id": row["tel"], "n": row["n"]} for row in ROWS)


def frozen(run: Run, task: str) -> list[Any]:
    """Return the list that an extract has frozen."""
    directory = list_at(run.returned(task)["directory"])
    return [value for _, value in read_parameters(directory, range(read_manifest(directory).count))]


def test_every_kind_of_list(client: AirflowClient, own_reports: OwnReports, own_dag: OwnDag, stored: None) -> None:
    """Each freezes the same list; no number is in what Airflow shows, but for what tasks and events say themselves."""
    dag_id, by_event = own_dag("listed"), own_dag("listed_by_event")
    own_reports.files[0].with_suffix(".csv").write_text(f"tel,n\n{NUMBERS[0]},1\n{NUMBERS[1]},2\n{NUMBERS[2]},3\n")
    run = Run.trigger(client, dag_id)
    run.succeeded()
    assert frozen(run, "from_query") == frozen(run, "from_find") == frozen(run, "from_task") == ROWS
    assert frozen(run, "from_file") == [{"tel": row["tel"], "n": str(row["n"])} for row in ROWS]
    runs = until(lambda: client.runs(by_event), what="a run by the event")
    started = Run(client, by_event, runs[0]["dag_run_id"])
    started.succeeded()
    assert frozen(started, "from_event") == [{"tel": tel} for tel in NUMBERS]
    logs = [run.log(task) for task in ("from_query", "from_find", "from_file", "from_task")]
    assert [tel for tel in NUMBERS for log in logs if tel in log] == []
