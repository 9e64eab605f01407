from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace
from pymongo import MongoClient

from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.budget_state import Rank
from airflow_fanout.launch.errors import LongWait
from airflow_fanout.launch.messages import ProgressReport
from airflow_fanout.model.settings import Retry
from harness.mongod import Mongod
from tests.budget.service import TimedService
from tests.budget.shards import Run, document, run
from tests.engine.harness import settings

Client = MongoClient[dict[str, Any]]


@pytest.fixture
def client(mongo_uri: str) -> Iterator[Client]:
    """A client of the real MongoDB."""
    with Client(mongo_uri) as client:
        yield client


@pytest.fixture
def service() -> Iterator[TimedService]:
    """An API of the test's own."""
    with TimedService().running() as service:
        yield service


@pytest.fixture
def budget() -> ApiBudget:
    """A budget of the test's own."""
    return ApiBudget(name=uuid4().hex, rate_per_s=100, database="test_budgets")


def until(condition: Callable[[], object], *fetches: Run) -> None:
    """Wait for something that comes sooner or later, while the fetches go on."""
    while not condition():
        assert not any(fetch.results for fetch in fetches), [fetch.results for fetch in fetches]
        time.sleep(0.02)


def waits(fetch: Run) -> list[str]:
    """Return what a fetch has waited for so far, in words."""
    progress = [message.progress for message in fetch.heard if isinstance(message, ProgressReport)]
    return [each.wait.why for each in progress if each.wait is not None]


def test_fetches_share_one_rate(tmp_path: Path, client: Client, service: TimedService, budget: ApiBudget) -> None:
    """Three of them, with two engines each, send what one of them may send; each parameter once."""
    fetches = [
        run(
            tmp_path / str(number),
            200,
            service.url,
            budget,
            document(client, budget),
            dag_id=f"dag_{number}",
            how=settings(16, processes=2),
        )
        for number in range(3)
    ]

    assert [fetch.result.done for fetch in fetches] == [200] * 3
    assert len(service.arrived) == 600
    assert set(Counter(service.lines).values()) == {3}
    # On a busy machine some arrive later than they were sent, and so nearer to others. Without a budget they would
    # have come several times as fast.
    assert max(service.windows(min(service.arrived), max(service.arrived))) <= 125
    # All have said goodbye.
    [left] = client[budget.database].budgets.find({"_id": budget.name})
    assert left["state"]["clients"] == {}, [fetch.notes for fetch in fetches]


def test_requests_at_once_have_one_limit(
    tmp_path: Path, client: Client, service: TimedService, budget: ApiBudget
) -> None:
    """Whatever the concurrency of each fetch, there are never more at the API."""
    service.latency_s = 0.05
    budget = replace(budget, concurrency=5)
    fetches = [
        run(tmp_path / str(number), 150, service.url, budget, document(client, budget), how=settings(16, processes=2))
        for number in range(3)
    ]

    assert [fetch.result.done for fetch in fetches] == [150] * 3
    assert 1 < service.most_in_flight <= 5


def test_a_retry_after_seen_by_one_pauses_all(
    tmp_path: Path, client: Client, service: TimedService, budget: ApiBudget
) -> None:
    """Another fetch, which the API never refuses, stops as well, and says for what it waits."""
    refused, other = (
        run(tmp_path / name, 5_000, service.url, budget, document(client, budget), path=f"/{name}/")
        for name in ("refused", "other")
    )
    until(lambda: len(service.arrived_at("/refused/")) > 5 and len(service.arrived_at("/other/")) > 5)
    service.refuse(120, "/refused/")

    until(lambda: "the API asked us to wait" in waits(other), refused, other)

    arrived = len(service.arrived_at("/other/"))
    time.sleep(1.0)
    assert len(service.arrived_at("/other/")) == arrived
    for fetch in (refused, other):
        fetch.fetch.stop()
        fetch.thread.join()


def test_a_long_pause_defers_all(tmp_path: Path, client: Client, service: TimedService, budget: ApiBudget) -> None:
    """It isn't worth a worker slot, whoever has heard of it."""
    how = settings(16, retry=Retry(max_retry_after_s=30))
    fetches = [
        run(tmp_path / name, 5_000, service.url, budget, document(client, budget), path=f"/{name}/", how=how)
        for name in ("refused", "other")
    ]
    until(lambda: len(service.arrived_at("/refused/")) > 5 and len(service.arrived_at("/other/")) > 5)
    service.refuse(3_000, "/refused/")

    for fetch in fetches:
        with pytest.raises(LongWait) as error:
            assert fetch.result
        assert error.value.seconds > 1_000


def test_a_backfill_waits_for_a_nightly_fetch(
    tmp_path: Path, client: Client, service: TimedService, budget: ApiBudget
) -> None:
    """It says so, and goes on when that has ended."""
    backfill = run(tmp_path / "b", 5_000, service.url, budget, document(client, budget), path="/b/", rank=Rank.BACKFILL)
    until(lambda: len(service.arrived_at("/b/")) > 50, backfill)
    nightly = run(tmp_path / "n", 900, service.url, budget, document(client, budget), path="/n/")

    assert nightly.result.done == 900
    beside = [moment for moment in service.arrived_at("/b/") if moment < max(service.arrived_at("/n/"))]
    until(lambda: len(service.arrived_at("/b/")) > len(beside) + 50, backfill)
    backfill.fetch.stop()
    backfill.thread.join()

    assert f"fetches that go first, and need all of the request budget {budget.name!r}" in waits(backfill)


def test_an_operator_slows_running_fetches_down(
    tmp_path: Path, client: Client, service: TimedService, budget: ApiBudget
) -> None:
    """And stops them, by one update of the document; the log says who has done it."""
    fetch = run(tmp_path, 5_000, service.url, budget, document(client, budget))
    until(lambda: len(service.arrived) > 50, fetch)
    client[budget.database].budgets.update_one(
        {"_id": budget.name}, {"$set": {"override": {"rate_per_s": 0, "by": "ann"}}}
    )

    until(lambda: any("an operator to allow requests again" in why for why in waits(fetch)), fetch)

    arrived = len(service.arrived)
    client[budget.database].budgets.update_one({"_id": budget.name}, {"$unset": {"override": 1}})
    until(lambda: len(service.arrived) > arrived + 50, fetch)
    fetch.fetch.stop()
    fetch.thread.join()
    name = budget.name
    assert fetch.notes == [
        f"The request budget {name!r} allows 0 requests per second. ann has set 0 requests per second in its document.",
        f"The request budget {name!r} allows 100 requests per second. ",
    ]


@pytest.mark.parametrize("offline_per_s", [0, 100])
def test_a_fetch_goes_on_when_mongodb_is_back(
    tmp_path: Path, service: TimedService, budget: ApiBudget, offline_per_s: float
) -> None:
    """While MongoDB is away it waits, and says so; or sends what it may offline."""
    budget = replace(budget, offline_rate_per_s=offline_per_s)
    with Mongod.start(tmp_path / "mongod") as first, Client(first.uri) as client:
        fetches = [
            run(tmp_path / name, 5_000, service.url, budget, document(client, budget), path=f"/{name}/")
            for name in ("a", "b")
        ]
        until(lambda: all(len(service.arrived_at(f"/{name}/")) > 50 for name in ("a", "b")), *fetches)
        first.stop()
        until(lambda: all(fetch.notes for fetch in fetches), *fetches)
        if offline_per_s:
            # More than any slots from before.
            arrived = len(service.arrived)
            until(lambda: len(service.arrived) > arrived + 600, *fetches)
        else:
            until(lambda: all(any("MongoDB to answer" in why for why in waits(fetch)) for fetch in fetches), *fetches)
        arrived = len(service.arrived)
        with Mongod.start(tmp_path / "mongod", first.port):
            until(lambda: all(len(fetch.notes) == 2 for fetch in fetches), *fetches)
            until(lambda: len(service.arrived) > arrived + 300, *fetches)
            for fetch in fetches:
                fetch.fetch.stop()
                fetch.thread.join()

    then = "then its part of 100 requests per second" if offline_per_s else "then it waits"
    for fetch in fetches:
        away, back = fetch.notes
        assert then in away
        assert back == f"The request budget {budget.name!r} gives slots again."
    # As in the test of the rate.
    assert max(service.windows(min(service.arrived), max(service.arrived))) <= 125
