from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.budget_state import Rank
from harness.mongod import Mongod
from tests.budget.service import TimedService
from tests.budget.shards import Run, document, run
from tests.engine.harness import settings

pytestmark = [pytest.mark.slow, pytest.mark.long]

Client = MongoClient[dict[str, Any]]
# What a busy service's own clock may add: an answer's turn in its loop.
JITTER = 0.01


@pytest.fixture
def service() -> Iterator[TimedService]:
    """An API of the test's own."""
    with TimedService().running() as service:
        yield service


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[Mongod]:
    """A MongoDB of the test's own, so that its operations can be counted."""
    with Mongod.start(tmp_path / "mongod") as mongod:
        yield mongod


def operations(client: Client) -> int:
    """Return how many operations of clients the MongoDB has carried out."""
    commands = client.admin.command("serverStatus")["metrics"]["commands"]
    return sum(
        commands[name]["total"] for name in ("aggregate", "find", "insert", "update", "findAndModify", "getMore")
    )


@pytest.fixture
def begin(mongod: Mongod, service: TimedService, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Begin a fetch with a client of its own, as a task has one."""
    with ExitStack() as stack:

        def begin(name: str, count: int, budget: ApiBudget, **more: Any) -> Run:
            ledger = document(stack.enter_context(Client(mongod.uri)), budget)
            return run(tmp_path / name, count, service.url, budget, ledger, path=f"/{name}/", **more)

        yield begin


@pytest.fixture
def client(mongod: Mongod) -> Iterator[Client]:
    """A client for looking."""
    with Client(mongod.uri) as client:
        yield client


@pytest.mark.parametrize("rate", [0.5, 100, 600, 3_000])
def test_eight_shards_two_dags_and_a_backfill_use_one_budget(
    begin: Callable[..., Run], service: TimedService, client: Client, rate: float
) -> None:
    """Between 93 and 102 % in every window of five seconds, by the service's clock, while shards come and go.

    MongoDB has at most ten operations per second.
    """
    budget, how = ApiBudget(name="calls", rate_per_s=rate), settings(64 if rate > 1_000 else 16)
    needs = max(1, round(2.4 * rate))
    more: dict[str, Any] = {"budget": budget, "how": how}
    fetches = [begin(f"a{shard}", needs, dag_id="a", **more) for shard in range(4)]
    fetches += [begin(f"c{day}", 2 * needs, rank=Rank.BACKFILL, **more) for day in range(2)]
    while len(service.arrived) < 5 * rate:
        time.sleep(0.05)
    counted, begun = operations(client), time.monotonic()
    fetches += [begin(f"b{shard}", 2 * needs, dag_id="b", **more) for shard in range(4)]
    for fetch in fetches:
        assert fetch.result.done == fetch.result.total
    per_s = (operations(client) - counted) / (time.monotonic() - begun)

    needed = 16 * needs
    assert len(service.arrived) == needed
    assert set(Counter(service.lines).values()) == {1}
    arrived = sorted(service.arrived)
    rates = service.windows(arrived[0] + 4, arrived[-1] - 3)
    print(f"{rate}: {min(rates)} to {max(rates)} requests per second, {per_s:.1f} operations per second")
    # A window has a whole number of requests.
    assert min(rates) >= 0.93 * rate - 0.2
    assert max(rates) <= (1.02 + JITTER) * rate + 0.2
    assert per_s <= 10


def test_a_nightly_fetch_beside_a_backfill_of_ten_days_takes_hardly_longer(
    begin: Callable[..., Run], service: TimedService, client: Client
) -> None:
    """Each run has eight shards, and the nightly one 6,000 requests: at most 1.2 times the 60 s that these take alone.

    MongoDB has at most ten operations per second of all 88 fetches.
    """
    budget, shards = ApiBudget(name="calls", rate_per_s=100), 8
    backfill = [
        begin(f"b{day}-{shard}", 6_000 // shards, budget, rank=Rank.BACKFILL)
        for day in range(10)
        for shard in range(shards)
    ]
    while sum(bool(fetch.heard) for fetch in backfill) < len(backfill) or len(service.arrived) < 500:
        time.sleep(0.1)
    nightly = [begin(f"n{shard}", 6_000 // shards, budget) for shard in range(shards)]
    while not all(fetch.heard for fetch in nightly):
        time.sleep(0.05)
    counted, begun = operations(client), time.monotonic()
    for fetch in nightly:
        assert fetch.result.done == 6_000 // shards
    per_s = (operations(client) - counted) / (time.monotonic() - begun)
    night = service.arrived_at("/n")
    for fetch in backfill:
        fetch.fetch.stop()
    for fetch in backfill:
        fetch.thread.join()

    took_s = max(night) - begun
    print(f"{took_s:.1f} s, {took_s / 60:.2f} times as long as alone, {per_s:.1f} operations per second")
    assert len(night) == 6_000
    assert took_s <= 1.2 * 60
    assert per_s <= 10


def test_no_window_has_more_while_mongodb_is_away(
    begin: Callable[..., Run], service: TimedService, mongod: Mongod, tmp_path: Path
) -> None:
    """Eight fetches send what they may offline, together no more than the rate; before, meanwhile and after it."""
    budget = ApiBudget(name="calls", rate_per_s=100, offline_rate_per_s=100)
    fetches = [begin(f"{number}", 1_000, budget) for number in range(8)]
    while len(service.arrived) < 1_000:
        time.sleep(0.05)
    mongod.stop()
    away = time.monotonic()
    time.sleep(25)
    back = time.monotonic()
    with Mongod.start(tmp_path / "mongod", mongod.port):
        time.sleep(20)
        for fetch in fetches:
            fetch.fetch.stop()
        for fetch in fetches:
            fetch.thread.join()

    # With eight fetches, each has slots for up to four seconds, and waits two seconds for an answer.
    offline = service.windows(away + 8, back)
    rates = service.windows(min(service.arrived), max(service.arrived))
    print(f"offline {min(offline)} to {max(offline)}; all the time at most {max(rates)}")
    assert max(rates) <= 100 * (1.02 + JITTER)
    assert min(offline) >= 90
