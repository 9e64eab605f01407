"""OpenLineage events as Airflow's own provider writes them while a report runs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness.airflow import AirflowHome, run_dag
from harness.service import DemoService
from tests.metadata import copied
from tests.shared import PLUGINS, Servers, connections

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

SOURCE = """
from airflow.sdk import DAG

from airflow_fanout import FanoutTaskGroup, HttpList, NextLink, Request

listed = HttpList(
    http_conn_id="call_api", endpoint="/subscribers", items="subscribers", pages=NextLink(field="next")
)
with DAG("told", schedule=None):
    FanoutTaskGroup(
        "report",
        prefix_group_id=False,
        extract={"source": listed, "names": ("tel",), "limit": 20},
        fetch={
            "request": Request(endpoint="/calls/{tel}", query={"day": "{{ ds }}"}, result="calls"),
            "http_conn_id": "call_api",
        },
        load={"database": "tests", "collection": "told", "key": ("tel",)},
    )
"""
DAY = datetime(2026, 11, 20, tzinfo=UTC)
ENDS = ("START", "COMPLETE")
TELEPHONE_NUMBER = re.compile(r"\d{3}55501\d\d")


@pytest.fixture
def home(tmp_path: Path, service: DemoService, mongo_uri: str, servers: Servers) -> AirflowHome:
    """An Airflow of its own with one report, which writes its events into a file."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "told.py").write_text(SOURCE)
    transport = {"type": "file", "log_file_path": str(tmp_path / "events.jsonl"), "append": True}
    home = AirflowHome(
        directory=tmp_path / "home",
        dags=tmp_path / "dags",
        plugins=PLUGINS,
        connections=connections(service.url, mongo_uri),
        config={"openlineage.transport": json.dumps(transport), "openlineage.namespace": "tests"},
    )
    return copied(home, servers)


def test_a_reports_events(home: AirflowHome, tmp_path: Path, service: DemoService, mongo_uri: str) -> None:
    """From the API to the collection, at a task's start and at its end; no telephone number is in any of it."""
    ran = run_dag(home, "told", DAY)
    assert ran.exit_code == 0, ran.output
    api = service.url
    mongodb = f"mongodb://{urlsplit(mongo_uri).netloc}"
    report = f"{home.directory}/fanout/told/{{run_id}}/report"
    listed, journal = ("file", f"{report}/parameters"), ("file", f"{report}/journal")
    expected = {
        "extract": ([(api, "/subscribers")], [listed]),
        "fetch": ([listed, (api, "/calls/{tel}")], [journal]),
        "validate": ([journal], []),
        "load": ([journal], [(mongodb, "tests.told")]),
    }
    events = _events(tmp_path / "events.jsonl")
    assert {key: _data_sets(event) for key, event in events.items()} == {
        (task, end): data_sets for task, data_sets in expected.items() for end in ENDS
    }
    written = events["load", "COMPLETE"]["outputs"][0]["outputFacets"]["outputStatistics"]
    assert written["rowCount"] == 20
    assert TELEPHONE_NUMBER.findall((tmp_path / "events.jsonl").read_text()) == []


def _events(file: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the events of the tasks, by task and type."""
    events = [json.loads(line) for line in file.read_text().splitlines()]
    named = {(event["job"]["name"], event["eventType"]): event for event in events}
    return {(name.partition(".")[2], kind): event for (name, kind), event in named.items() if "." in name}


def _data_sets(event: dict[str, Any]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    inputs, outputs = ([(one["namespace"], one["name"]) for one in event[which]] for which in ("inputs", "outputs"))
    return inputs, outputs
