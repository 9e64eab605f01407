"""Whole reports whose parameters name their connections: the operators as Airflow executes them, without an Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout import Request
from tests.load.reports import Reports, Service

if TYPE_CHECKING:
    from pymongo.collection import Collection

IDS = ["i0", "i1", "i2"]
PLAIN = Request(endpoint="/items/{id}")
Make = Callable[[list[str]], Reports]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, service: Service) -> Callable[[str, str], None]:
    """Return what makes the connection of an id, at a path of the service."""

    def connect(item: str, path: str) -> None:
        text = json.dumps({"conn_type": "http", "host": f"{service.url}/{path}"})
        monkeypatch.setenv(f"AIRFLOW_CONN_SHOP_{item.upper()}", text)

    for item in IDS:
        connect(item, item)
    return connect


@pytest.fixture
def reports(staging: Path, connect: object, collection: Collection[dict[str, Any]]) -> Make:
    """Return what makes a report of some ids, each by a connection of its own."""
    assert staging
    return lambda ids: Reports(collection.name, ids, {"fetch": {"http_conn_id": "shop_{id}"}})


def asked(service: Service) -> list[str]:
    """Return the ids that were asked for since the last call."""
    return [item for item, _ in service.taken()]


def test_an_answer_is_that_of_one_connection(
    reports: Make,
    service: Service,
    connect: Callable[[str, str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the cache for development: the shop that has moved is asked again, the others aren't."""
    monkeypatch.setenv("AIRFLOW__FANOUT__ANSWER_CACHE", str(tmp_path / "cache"))
    assert reports(IDS).run(0, request=PLAIN).all()["load"]["documents"] == 3
    assert asked(service) == IDS
    connect("i1", "moved")
    assert reports(IDS).run(1, request=PLAIN).all()["fetch"]["from_cache"] == 2
    assert asked(service) == ["i1"]


def test_a_connection_that_is_missing_ends_the_fetch_before_it_begins(
    reports: Make, service: Service, connect: Callable[[str, str], None]
) -> None:
    """With the place of its parameter; once the connection is there, the fetch is cleared, and takes the same list."""
    run = reports([*IDS, "i3"]).run(0, request=PLAIN)
    run.extract()
    with pytest.raises(AirflowFailException, match=r"parameter 3: there is no connection 'shop_…'"):
        run.fetch()
    assert asked(service) == []
    connect("i3", "i3")
    assert run.fetch()["ok"] == 4
    assert asked(service) == [*IDS, "i3"]


def test_an_earlier_runs_connection_that_is_gone_is_not_in_the_way(
    reports: Make, service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What that run left out is left for the next one; the run's own list is fetched."""
    service.statuses.update(i1=500)
    reports(IDS).run(0, request=PLAIN).all()
    monkeypatch.delenv("AIRFLOW_CONN_SHOP_I1")
    asked(service)
    summary = reports(["i0", "i2"]).run(1, request=PLAIN).all()["fetch"]
    assert (summary["ok"], asked(service)) == (2, ["i0", "i2"])
    assert "are left for the next run: http_conn_id='shop_{id}' names 1 connection" in capsys.readouterr().out
