"""What parsing a DAG file does: always the same, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.airflow import AirflowClient, AirflowHome, environment
from tests.integration.own import DAGS, FOLDERS, OwnReports

pytestmark = pytest.mark.airflow

SERIALIZED = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization

dags = {}
for folder in sys.argv[1:]:
    bag = DagBag(folder)
    assert not bag.import_errors, bag.import_errors
    dags |= bag.dags
serialized = {dag_id: DagSerialization.to_dict(dag) for dag_id, dag in dags.items()}
assert " at 0x" not in json.dumps(serialized)
# Airflow makes a new version of a DAG when this hash is another one.
print("hashes", dict(sorted((dag_id, SerializedDagModel.hash(found)) for dag_id, found in serialized.items())))
"""

# The events that Python's own audit hooks tell of: https://docs.python.org/3/library/audit_events.html
WORKED = """
import runpy, sys
from datetime import datetime

import requests
from airflow.sdk import DAG

# What Airflow and requests do when they are imported, or make their first schedule, is theirs.
DAG("any", schedule="@daily", start_date=datetime(2026, 1, 1))
ACTS = ("socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.Popen", "os.fork", "sqlite3.connect")
acted = []
sys.addaudithook(lambda event, args: acted.append((event, repr(args))) if event in ACTS else None)
for file in sys.argv[1:]:
    runpy.run_path(file)
print("worked", acted)
"""
PROJECT = sorted((Path(__file__).parents[2] / "dags").glob("*.py"))


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """The environment of an Airflow without connections, and without a server to ask for them."""
    (tmp_path / "dags").mkdir()
    home = AirflowHome(directory=tmp_path / "home", dags=tmp_path / "dags", plugins=FOLDERS[0].parent / "plugins")
    return environment(home)


def _told(program: str, *arguments: Path, env: dict[str, str], word: str) -> str:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return next(line for line in ran.stdout.splitlines() if line.startswith(word))


def test_serialization_is_stable(nowhere: dict[str, str]) -> None:
    """Two processes that parse the project's DAGs and the tests' serialize them alike; no object's address is in it."""
    path = os.pathsep.join([*map(str, FOLDERS), nowhere["PYTHONPATH"]])
    twice = [_told(SERIALIZED, *FOLDERS, env={**nowhere, "PYTHONPATH": path}, word="hashes") for _ in range(2)]
    assert twice[0] == twice[1]
    assert {"daily_call_report", "slice"} <= {dag_id for dag_id in twice[0].split("'") if dag_id.isidentifier()}


def test_airflow_makes_one_version_of_a_dag(client: AirflowClient, own_reports: OwnReports) -> None:
    """However often the DAG processor parses the files, a DAG stays at its first version."""
    dag_ids = [own_reports.dag(name, paused=True) for names in DAGS.values() for name in names]
    since = datetime.now(UTC)
    for file in own_reports.files:
        file.touch()
    for dag_id in dag_ids:
        client.wait_parsed(dag_id, since=since)
    assert {dag_id: _versions(client, dag_id) for dag_id in dag_ids} == {dag_id: [1] for dag_id in dag_ids}


def _versions(client: AirflowClient, dag_id: str) -> list[int]:
    found: dict[str, Any] = client.request("GET", f"/api/v2/dags/{dag_id}/dagVersions")
    return [version["version_number"] for version in found["dag_versions"]]


def test_parsing_does_no_work(nowhere: dict[str, str]) -> None:
    """Parsing the project's DAG files opens no socket, no database, no process, and looks up no connection."""
    assert _told(WORKED, *PROJECT, env=nowhere, word="worked") == "worked []"
