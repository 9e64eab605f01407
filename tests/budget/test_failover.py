from __future__ import annotations

import os
import signal
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.budget_state import BudgetAsk, LedgerAnswer, Limits, Rank
from airflow_fanout.control.frames import MICRO
from airflow_fanout.launch.messages import ProgressReport
from airflow_fanout.mongo.budgets import BudgetDocument
from airflow_fanout.mongo.errors import MongoUnreachable
from harness.mongod import Mongod, ReplicaSet
from tests.budget.service import TimedService
from tests.budget.shards import Run, document, run

pytestmark = pytest.mark.slow

Client = MongoClient[dict[str, Any]]
BUDGET = ApiBudget(name="calls", rate_per_s=100)
FETCHES = 4
# What another fetch asks for that needs one request.
ANOTHER = BudgetAsk(
    client="another",
    rank=Rank.NIGHTLY,
    queue="dag",
    weight=1_000,
    limits=Limits(rate_micro=100 * MICRO),
    wants_micro=MICRO,
    needs=1,
    wants_at_once=1,
)


class NotedSlots:
    """A budget's document that notes the moments of all slots that it gives, by the servers' clock.

    :param moments: where.
    """

    def __init__(self, document: BudgetDocument, moments: list[int]) -> None:
        self._document, self._moments = document, moments

    def ask(self, ask: BudgetAsk, timeout_s: float) -> LedgerAnswer:
        """Ask the document."""
        answer = self._document.ask(ask, timeout_s)
        self._moments.extend(moment for slots in answer.reservation.slots for moment in slots.moments())
        return answer


@pytest.fixture
def service() -> Iterator[TimedService]:
    """An API of the test's own."""
    with TimedService().running() as service:
        yield service


@pytest.fixture
def replica_set(tmp_path: Path) -> Iterator[ReplicaSet]:
    """Three members."""
    with ReplicaSet.start(tmp_path / "mongo") as replica_set:
        yield replica_set


class Fetches:
    """Several fetches under one budget, each with a client of its own; `slots` has the moments of all their slots."""

    def __init__(self, uri: str, service: TimedService, folder: Path, clients: ExitStack, each: int) -> None:
        self.slots: list[int] = []
        self._service = service
        self.all = [
            run(
                folder / f"{number}",
                each,
                service.url,
                BUDGET,
                NotedSlots(document(clients.enter_context(Client(uri)), BUDGET), self.slots),
                path=f"/{number}/",
            )
            for number in range(FETCHES)
        ]

    @property
    def running(self) -> list[Run]:
        """The fetches that haven't ended: the first one may have begun seconds before the others."""
        return [fetch for fetch in self.all if not fetch.results]

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that comes while fetches go on."""
        while not condition():
            assert self.running, [fetch.results for fetch in self.all]
            time.sleep(0.02)

    def go_on(self, requests: int) -> None:
        """Wait until this number of further requests has arrived."""
        due = len(self._service.arrived) + requests
        self.until(lambda: len(self._service.arrived) >= due)


@pytest.fixture
def begin(replica_set: ReplicaSet, service: TimedService, tmp_path: Path) -> Iterator[Callable[[int], Fetches]]:
    """Begin fetches with a number of parameters each."""
    with ExitStack() as clients:
        yield lambda each: Fetches(replica_set.uri, service, tmp_path, clients, each)


@contextmanager
def others_suspended(replica_set: ReplicaSet, primary: Mongod) -> Iterator[list[Mongod]]:
    """Keep the other members, which are given, from taking over what the primary writes."""
    others = [member for member in replica_set.members if member is not primary]
    for member in others:
        os.kill(member.pid, signal.SIGSTOP)
    yield others
    for member in others:
        os.kill(member.pid, signal.SIGCONT)


def most_in_5_s(moments: list[int]) -> int:
    """Return the most slots of any five seconds."""
    ordered = sorted(moments)
    return max(bisect_left(ordered, moment + 5 * MICRO) - place for place, moment in enumerate(ordered))


def assert_kept(fetches: Fetches, service: TimedService, each: int, most_per_s: float) -> None:
    """Assert that all is done, each request was sent once, and there were never more than the budget allows."""
    assert [fetch.result.done for fetch in fetches.all] == [each] * FETCHES
    assert len(service.arrived) == FETCHES * each
    assert set(Counter(service.lines).values()) == {1}
    assert len(set(fetches.slots)) == len(fetches.slots) >= FETCHES * each
    assert most_in_5_s(fetches.slots) <= 1.02 * 5 * BUDGET.rate_per_s
    assert max(service.windows(min(service.arrived), max(service.arrived))) <= most_per_s


def says_for_what_it_waits(fetch: Run) -> bool:
    """Return whether the log and the progress of a fetch have said that MongoDB doesn't answer."""
    progress = [message.progress for message in fetch.heard if isinstance(message, ProgressReport)]
    waits = [each.wait.why for each in progress if each.wait is not None]
    return "can't be asked for slots" in "".join(fetch.notes) and any("MongoDB to answer" in why for why in waits)


@pytest.mark.parametrize(
    ("each", "most_per_s"),
    # As in `test_fetches`: on a busy machine some requests arrive later than they were sent, and so nearer to others.
    [(250, 125.0), pytest.param(1_500, 103.0, marks=pytest.mark.long)],
    ids=["short", "full"],
)
def test_no_slot_is_given_twice_when_the_primary_changes(
    begin: Callable[[int], Fetches], replica_set: ReplicaSet, service: TimedService, each: int, most_per_s: float
) -> None:
    """It is killed with what nobody else has, it steps down, and it is the last of two: nobody has more than the rate.

    All is done in the end, and meanwhile the fetches say what they wait for.
    """
    fetches = begin(each)
    fetches.go_on(150)
    first = replica_set.primary()
    with others_suspended(replica_set, first) as others:
        # What the primary takes now, nobody else has: it is no reservation.
        with Client(replica_set.uri) as client, pytest.raises(MongoUnreachable):
            document(client, BUDGET).ask(ANOTHER, 1.0)
        first.kill()
    replica_set.step_up(others[0])
    fetches.go_on(each // 4)
    replica_set.step_down()
    fetches.go_on(each // 4)
    last = replica_set.primary()
    last.kill()
    fetches.until(lambda: all(map(says_for_what_it_waits, fetches.running)))
    held_up = fetches.running
    for member in (first, last):
        replica_set.start_again(member)

    assert_kept(fetches, service, each, most_per_s)
    assert len(held_up) > 1
    for fetch in held_up:
        assert fetch.notes[-1] == f"The request budget {BUDGET.name!r} gives slots again."
