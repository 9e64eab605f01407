from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import pytest
from pymongo import MongoClient

from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.budget_state import BudgetAsk, BudgetState, LedgerAnswer, Limits, Rank
from airflow_fanout.control.elapsed import earlier
from airflow_fanout.control.frames import MICRO
from airflow_fanout.mongo.budget_errors import BudgetUnreadable
from airflow_fanout.mongo.budgets import BudgetDocument, changes, override_of
from airflow_fanout.mongo.errors import MongoUnreachable
from harness.processes import free_port

if TYPE_CHECKING:
    from pymongo.collection import Collection

PATIENCE_S = 60.0
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
UNREADABLE = "{} has set an override whose {} can't be read: it doesn't count."


@pytest.fixture
def client(mongo_uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """A client of the real MongoDB."""
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        yield client


@pytest.fixture
def budget() -> ApiBudget:
    """A budget of the test's own."""
    return ApiBudget(name=uuid4().hex, rate_per_s=100, database="test_budgets")


@pytest.fixture
def budgets(client: MongoClient[dict[str, Any]], budget: ApiBudget) -> Collection[dict[str, Any]]:
    """The collection of the documents."""
    return client[budget.database].budgets


def document(client: MongoClient[dict[str, Any]], budget: ApiBudget) -> BudgetDocument:
    """Return the document, as one client has it."""
    return BudgetDocument(client, budget.database, budget.name)


def ask(name: str, needs: int = 10**6, **fields: Any) -> BudgetAsk:
    """Return what a client asks for that can use everything."""
    return BudgetAsk(
        client=name,
        rank=Rank.NIGHTLY,
        queue="dag",
        weight=1_000,
        limits=Limits(rate_micro=100 * MICRO),
        wants_micro=100 * MICRO,
        needs=needs,
        wants_at_once=10,
        **fields,
    )


def moments(answer: LedgerAnswer) -> list[int]:
    """Return when an answer lets its client send."""
    return [moment for slots in answer.reservation.slots for moment in slots.moments()]


def test_clients_that_ask_at_the_same_time_never_get_the_same_slot(
    client: MongoClient[dict[str, Any]], budget: ApiBudget
) -> None:
    """Each decision is made on the one before it, whoever was quicker."""
    answers: list[LedgerAnswer] = []

    def run(name: str) -> None:
        own = document(client, budget)
        answers.extend(own.ask(ask(name), PATIENCE_S) for _ in range(10))

    threads = [threading.Thread(target=run, args=(f"c{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    given = [moment for answer in answers for moment in moments(answer)]
    assert len(answers) == 60
    assert len(given) == len(set(given)) > 100
    assert client[budget.database].budgets.find_one({"_id": budget.name}, {"version": 1})["version"] == 60  # type: ignore[index]


def test_slots_are_moments_of_this_machines_clock(client: MongoClient[dict[str, Any]], budget: ApiBudget) -> None:
    """As far as it can be known: the first one is between the question and a lease after the answer."""
    asked_us = time.monotonic_ns() // 1_000
    answer = document(client, budget).ask(ask("a"), PATIENCE_S)
    answered_us = time.monotonic_ns() // 1_000

    first_us = min(moments(answer)) - answer.ahead_us
    assert asked_us - 1_000 <= first_us <= answered_us + 1_000


@pytest.mark.parametrize("ahead_us", [300_000, -300_000, 5 * MICRO, -5 * MICRO])
def test_another_servers_clock_gives_no_moment_twice(
    client: MongoClient[dict[str, Any]], budget: ApiBudget, budgets: Collection[dict[str, Any]], ahead_us: int
) -> None:
    """After a failover the clock may be ahead or behind: what is reserved stays as far away as it was.

    This server's clock goes on. So the state is made one of a server that was as much behind, and the clients' clocks
    are put back: by these, the server's clock was put forward.
    """
    put_back_us = 0

    def clock_us() -> int:
        return time.monotonic_ns() // 1_000 - put_back_us

    clients = {name: BudgetDocument(client, budget.database, budget.name, clock_us=clock_us) for name in "abc"}
    given = [moment for name, own in clients.items() for moment in moments(own.ask(ask(name), PATIENCE_S))]
    put_back_us = ahead_us
    written = budgets.find_one({"_id": budget.name})
    assert written is not None
    behind = earlier(msgspec.convert(written["state"], BudgetState), ahead_us)
    budgets.update_one({"_id": budget.name}, {"$set": {"state": msgspec.to_builtins(behind)}})
    for name in "cbacab":
        given += moments(clients[name].ask(ask(name), PATIENCE_S))

    ordered = sorted(given)
    in_a_second = [bisect_left(ordered, moment + MICRO) - place for place, moment in enumerate(ordered)]
    assert 90 <= max(in_a_second) <= 102


def test_an_operator_sets_another_rate_in_the_document(
    client: MongoClient[dict[str, Any]], budget: ApiBudget, budgets: Collection[dict[str, Any]]
) -> None:
    """It counts from the next question on, isn't overwritten, and the log says who has set it and until when."""
    own = document(client, budget)
    before = own.ask(ask("a"), PATIENCE_S)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    override = {"rate_per_s": 20, "by": "ann", "until": until}
    budgets.update_one({"_id": budget.name}, {"$set": {"override": override}})

    after = own.ask(ask("a"), PATIENCE_S)

    assert before.reservation.limits.rate_micro == 100 * MICRO
    assert after.reservation.limits.rate_micro == 20 * MICRO
    assert after.remark == f"ann has set 20 requests per second until {until:%Y-%m-%d %H:%M} UTC in its document."
    assert budgets.find_one({"_id": budget.name})["override"]["by"] == "ann"  # type: ignore[index]


@pytest.mark.parametrize(
    ("written", "remark"),
    [
        (None, ""),
        ({"rate_per_s": 5, "until": NOW - timedelta(seconds=1)}, ""),
        (
            {"rate_per_s": "fast", "by": "ann"},
            UNREADABLE.format("ann", "rate_per_s"),
        ),
        ({"by": "ann"}, "ann has set an override with neither rate_per_s nor concurrency: it doesn't count."),
        ({"rate_per_s": -1}, UNREADABLE.format("Somebody", "rate_per_s")),
        ({"concurrency": 2.5}, UNREADABLE.format("Somebody", "concurrency")),
        (
            {"rate_per_s": 5, "until": "noon"},
            UNREADABLE.format("Somebody", "until"),
        ),
    ],
)
def test_an_override_that_is_over_or_cannot_be_read_does_not_count(written: object, remark: str) -> None:
    """The connections' limits count, and the log says what is wrong."""
    assert override_of(written, NOW) == (None, remark)


def test_a_rate_of_zero_stops_all(client: MongoClient[dict[str, Any]], budget: ApiBudget) -> None:
    """An operator who wants no requests at all writes 0; nobody gets a slot until there is another number."""
    client[budget.database].budgets.insert_one({"_id": budget.name, "override": {"rate_per_s": 0}, "version": 0})
    client[budget.database].budgets.update_one({"_id": budget.name}, {"$set": {"state": {"format": 1}}})

    answer = document(client, budget).ask(ask("a"), PATIENCE_S)

    assert (answer.reservation.limits.rate_micro, moments(answer)) == (0, [])


def test_a_document_of_another_version_is_left_alone(
    client: MongoClient[dict[str, Any]], budget: ApiBudget, budgets: Collection[dict[str, Any]]
) -> None:
    """Two versions that decide differently must not share a budget."""
    other = {"_id": budget.name, "version": 7, "state": {"format": 99}}
    budgets.insert_one(other)

    with pytest.raises(BudgetUnreadable, match="its format is 99, and this version knows 1"):
        document(client, budget).ask(ask("a"), PATIENCE_S)

    assert budgets.find_one({"_id": budget.name}) == other


def test_a_mongodb_that_is_away_is_worth_another_question(budget: ApiBudget) -> None:
    """The error says so, and which MongoDB it is."""
    address = f"mongodb://127.0.0.1:{free_port()}/?directConnection=true"
    with MongoClient[dict[str, Any]](address) as nowhere, pytest.raises(MongoUnreachable) as error:
        document(nowhere, budget).ask(ask("a"), 0.5)

    assert error.value.retry
    assert "mongo_default" in str(error.value)


def test_only_what_has_changed_is_written(
    client: MongoClient[dict[str, Any]], budget: ApiBudget, budgets: Collection[dict[str, Any]]
) -> None:
    """The state is what was decided, whoever has come and gone; the oplog doesn't grow with the clients."""
    own = document(client, budget)
    for name in ("a", "b", "c"):
        own.ask(ask(name), PATIENCE_S)
    before = budgets.find_one({"_id": budget.name})
    own.ask(ask("b", leaves=True), PATIENCE_S)
    own.ask(ask("a"), PATIENCE_S)
    after = budgets.find_one({"_id": budget.name})

    assert before is not None
    assert after is not None
    assert set(before["state"]["clients"]) == {"a", "b", "c"}
    assert set(after["state"]["clients"]) == {"a", "c"}
    update = changes(before["state"], after["state"])
    assert "state.clients.c" not in update["$set"]
    assert update["$unset"] == {"state.clients.b": ""}
