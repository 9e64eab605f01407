from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from airflow.sdk.api.datamodels._generated import DagRunType as SdkRunType
from airflow.utils.types import DagRunType

from airflow_fanout.adapters.budget import budget_user, check_budget, rank_of
from airflow_fanout.control.budget_state import Limits, Rank
from airflow_fanout.control.frames import MICRO
from airflow_fanout.mongo.errors import MongoUnreachable
from harness.airflow.connections import mongo_connection
from harness.processes import free_port


def connect(monkeypatch: pytest.MonkeyPatch, mongo_uri: str, **fields: Any) -> None:
    """Set the connections of an API that has a budget, and of its MongoDB."""
    budget = {"name": uuid4().hex, "database": "test_budgets", "rate_per_s": 100, **fields}
    api = {"conn_type": "http", "host": "https://api.example", "extra": {"budget": budget}}
    monkeypatch.setenv("AIRFLOW_CONN_CALL_API", json.dumps(api))
    monkeypatch.setenv("AIRFLOW_CONN_MONGO_DEFAULT", mongo_connection(mongo_uri))


def context(run_type: str = "scheduled") -> Any:
    """Return what of a task's context counts."""
    return cast("Any", {"dag_run": SimpleNamespace(run_type=run_type)})


@pytest.mark.parametrize(
    ("run_type", "rank"),
    [
        ("SCHEDULED", Rank.NIGHTLY),
        ("ASSET_TRIGGERED", Rank.NIGHTLY),
        ("OPERATOR_TRIGGERED", Rank.NIGHTLY),
        ("MANUAL", Rank.MANUAL),
        ("ASSET_MATERIALIZATION", Rank.MANUAL),
    ],
)
def test_who_goes_first_is_known_by_the_run(run_type: str, rank: Rank) -> None:
    """By both of Airflow's enumerations, of which one shows its names and the other its values."""
    assert rank_of(SdkRunType[run_type]) is rank_of(DagRunType[run_type]) is rank


def test_a_backfill_goes_last() -> None:
    """The two enumerations have other names for it."""
    assert rank_of(SdkRunType.BACKFILL) is rank_of(DagRunType.BACKFILL_JOB) is Rank.BACKFILL


def test_a_fetch_uses_the_share_of_its_dag(monkeypatch: pytest.MonkeyPatch, mongo_uri: str) -> None:
    """With that DAG's weight, and the limits of the connection."""
    connect(monkeypatch, mongo_uri, weights={"dag_a": 2.5}, concurrency=7, offline_rate_per_s=10)

    with budget_user("call_api", "dag_a", context("manual")) as user:
        assert user is not None
        assert (user.queue, user.weight, user.rank) == ("dag_a", 2_500, Rank.MANUAL)
        assert user.limits == Limits(rate_micro=100 * MICRO, at_once=7, offline_micro=10 * MICRO)


def test_a_connection_may_name_a_tenant(monkeypatch: pytest.MonkeyPatch, mongo_uri: str) -> None:
    """Then all DAGs over that connection have one share."""
    connect(monkeypatch, mongo_uri, weights={"shop": 3}, tenant="shop")

    with budget_user("call_api", "dag_a", context()) as user:
        assert user is not None
        assert (user.queue, user.weight) == ("shop", 3_000)


def test_a_mongodb_that_is_away_keeps_nobody_from_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fetch waits for it, and says so; the preflight says that it isn't there."""
    connect(monkeypatch, f"mongodb://127.0.0.1:{free_port()}/")

    with budget_user("call_api", "dag_a", context(), within_s=0.5) as user:
        assert user is not None
    with pytest.raises(MongoUnreachable):
        check_budget("call_api", within_s=0.5)
