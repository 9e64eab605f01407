"""Whole reports whose staging area is in an object storage, by an S3 server of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout import CleanStagingOperator, Request
from harness.airflow.connections import mongo_connection
from harness.s3 import S3Server
from tests.load.reports import Reports, Service

if TYPE_CHECKING:
    from pymongo.collection import Collection

IDS = [f"i{number}" for number in range(6)]


@pytest.fixture
def report(
    s3_staging: str,
    collection: Collection[dict[str, Any]],
    service: Service,
    mongo_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Reports:
    """A report staged in S3, whose temporary files are the test's own."""
    monkeypatch.setenv("AIRFLOW_CONN_MONGO_DEFAULT", mongo_connection(mongo_uri))
    monkeypatch.setenv("AIRFLOW_CONN_CALL_API", json.dumps({"conn_type": "http", "host": service.url}))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    service.versions = dict.fromkeys(IDS, '"1"')
    return Reports(collection.name, IDS, {})


def test_a_report_goes_its_whole_way_through_an_object_storage(
    report: Reports, service: Service, collection: Collection[dict[str, Any]], s3: S3Server, tmp_path: Path
) -> None:
    """Loaded in part, asked for on a condition and caught up by the next run; nothing is left on the local disk.

    Nothing is listed until the cleaning removes the first run.
    """
    request = Request(endpoint="/items/{id}", conditional=True)
    service.statuses["i2"] = 404
    first = report.run(0, request=request).all()
    assert first["extract"]["directory"].startswith("s3://s3_staging@staging/")
    assert (first["fetch"]["parameters"], first["load"]["documents"], first["load"]["left_out"]) == (6, 5, 1)
    assert service.conditions == []

    service.statuses.clear()
    second = report.run(1, request=request).all()
    assert (second["load"]["documents"], second["load"]["catch_up"][0]["documents"]) == (6, 1)
    assert sorted(set(service.conditions)) == ["i0", "i1", "i3", "i4", "i5"]
    assert collection.count_documents({}) == 12
    assert list(tmp_path.iterdir()) == []
    assert s3.counted().get("LIST", 0) == 0


def test_the_cleaning_removes_runs_from_an_object_storage(report: Reports, service: Service, s3: S3Server) -> None:
    """Those that Airflow calls over, with one listing each; a later run goes on with what outlives them."""
    for day in range(2):
        report.run(day).all()
    s3.tell("forget")
    last = report.run(2)
    clean = CleanStagingOperator(task_id="clean", keep_days=0, keep_failed_days=1)
    context: Any = {"ti": Asked({"day 1"})}
    assert clean.execute(context) | {"bytes": 0} == {"runs": 2, "removed": 1, "bytes": 0, "left_out": 0, "left": 0}
    assert s3.counted()["LIST"] == 2
    assert clean.execute(context)["runs"] == 1
    assert last.all()["load"]["documents"] == len(IDS)


class Asked:
    """What a cleaning asks Airflow: which runs are alive."""

    def __init__(self, alive: set[str]) -> None:
        self._alive = alive

    def get_dr_count(self, _dag_id: str, *, run_ids: list[str], states: list[str]) -> int:
        return len(self._alive.intersection(run_ids)) if "running" in states else 0
