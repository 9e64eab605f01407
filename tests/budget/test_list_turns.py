from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from msgspec.structs import replace
from pymongo import MongoClient

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.paging import PageNumber
from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.budget_state import Rank
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.quota import Quota
from airflow_fanout.launch.budget_user import BudgetUser
from airflow_fanout.launch.list_turns import ListTurns
from airflow_fanout.mongo.budget_errors import BudgetUnreadable
from airflow_fanout.sources.http_list import HttpList
from tests.budget.service import TimedService
from tests.budget.shards import document
from tests.http.servers import Server, as_json

if TYPE_CHECKING:
    from tests.http.servers import Connection, Seen

Client = MongoClient[dict[str, Any]]


@pytest.fixture
def client(mongo_uri: str) -> Iterator[Client]:
    """A client of the real MongoDB."""
    with Client(mongo_uri) as client:
        yield client


@pytest.fixture
def budget() -> ApiBudget:
    """A budget of the test's own."""
    return ApiBudget(name=uuid4().hex, rate_per_s=20, database="test_budgets")


def user(client: Client, budget: ApiBudget) -> BudgetUser:
    """Return a user of a budget."""
    return BudgetUser(budget, document(client, budget), rank=Rank.NIGHTLY, dag_id="dag")


def test_the_pages_of_a_list_wait_for_their_slots(client: Client, budget: ApiBudget) -> None:
    """Thirty pages at 20 per second take a second and a half; then the list has left the budget."""
    turns, begun_s = ListTurns(user(client, budget), print), time.monotonic()
    for _ in range(30):
        turns.wait()
    took_s = time.monotonic() - begun_s
    turns.close()
    turns.close()

    # A slot may be used a little late, and the next one in time.
    assert took_s >= 29 / 20 - 0.25
    [left] = client[budget.database].budgets.find({"_id": budget.name})
    assert left["state"]["clients"] == {}


def test_a_pause_that_a_list_has_heard_of_holds_for_all(client: Client, budget: ApiBudget) -> None:
    """It comes to the document, by which everybody else hears of it."""
    turns = ListTurns(user(client, budget), print)
    turns.wait()
    turns.paused(3_600)

    state = {"paused_until_us": 0, "now_us": 0}
    while not state["paused_until_us"]:
        [document] = client[budget.database].budgets.find({"_id": budget.name})
        state = document["state"]
        time.sleep(0.05)
    turns.close()

    assert 3_500 * MICRO < state["paused_until_us"] - state["now_us"] <= 3_600 * MICRO


def test_a_long_wait_is_said(client: Client, budget: ApiBudget) -> None:
    """And for what, so that nobody looks for a fault of the API's."""
    override = {"rate_per_s": 0, "by": "ann"}
    # As an operator does who is there before the first fetch.
    client[budget.database].budgets.update_one({"_id": budget.name}, {"$set": {"override": override}}, upsert=True)
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        if "waits" in text:
            client[budget.database].budgets.update_one({"_id": budget.name}, {"$unset": {"override": 1}})

    turns = ListTurns(user(client, budget), note)
    turns.wait()
    turns.close()

    why = f"an operator to allow requests again: the request budget {budget.name!r} is set to 0"
    assert f"The list waits for {why}." in notes


def test_a_list_with_more_pages_than_the_quota_waits_for_its_renewal(
    client: Client, budget: ApiBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page is lost or requested twice; the log says what is waited for, and until when."""
    monkeypatch.setattr("airflow_fanout.launch.list_turns.LONG_WAIT_S", 0.2)
    budget = replace(budget, quotas=(Quota(requests=4, per=2),))
    notes: list[str] = []
    doing: set[str] = set()

    def note(text: str) -> None:
        notes.append(text)
        doing.add(reading.doing[0])

    def page(seen: Seen, _connection: Connection) -> bytes:
        number = int(seen.target.partition("page=")[2])
        return as_json([2 * number, 2 * number + 1] if number < 6 else [])

    source = HttpList(http_conn_id="call_api", endpoint="/list", pages=PageNumber())
    with Server(page) as server:
        turns = ListTurns(user(client, budget), note)
        reading = source.read(Endpoint(base_url=server.origin), turns=turns)
        items = list(reading)

    assert items == list(range(2, 12))
    assert [seen.target for seen in server.seen] == [f"/list?page={number}" for number in range(1, 7)]
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    text = rf"The list waits for the renewal of the quota, 4 requests in any 2 s, until {moment}\."
    assert any(re.fullmatch(text, each) for each in notes), notes
    assert doing == {"waiting for its turn in the request budget of the API"}


def test_a_budget_that_cannot_be_used_is_an_error(client: Client, budget: ApiBudget) -> None:
    """And no list that waits for ever."""
    client[budget.database].budgets.insert_one({"_id": budget.name, "state": {"format": 99}})
    turns = ListTurns(user(client, budget), print)

    with pytest.raises(BudgetUnreadable):
        turns.wait()
    turns.close()


def test_each_page_of_an_http_list_takes_its_turn(client: Client, budget: ApiBudget) -> None:
    """Every request for a page waits for one, and the last page leaves the budget to the others."""
    turns = ListTurns(user(client, budget), print)
    source = HttpList(http_conn_id="call_api", endpoint="/list", pages=PageNumber(), max_pages=8)
    with TimedService().running() as service:
        reading = source.read(Endpoint(base_url=service.url), turns=turns)
        items = [next(reading) for _ in range(3)]
        held = client[budget.database].budgets.find_one({"_id": budget.name})
        reading.close()

    left = client[budget.database].budgets.find_one({"_id": budget.name})
    assert items == [1, 2, 3]
    assert held is not None
    assert left is not None
    assert (len(held["state"]["clients"]), len(left["state"]["clients"])) == (1, 0)
