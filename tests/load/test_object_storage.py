"""Whole reports whose staging area is in an object storage, by an S3 server of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout import Request
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
