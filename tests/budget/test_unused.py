"""What an engine has reserved and not sent, as its parent counts it."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from airflow_fanout.control.budget import LocalBudget
from airflow_fanout.control.reserved import ReservedBudget
from airflow_fanout.launch.budget_view import UnusedSlots
from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.errors import BudgetWait
from airflow_fanout.launch.messages import Ended
from airflow_fanout.launch.stop_reasons import LongPause
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.progress import Progress


def test_what_engines_have_given_up_goes_back_once() -> None:
    """To the older of the last two reservations, which may be over: never to one that comes after a renewal."""
    unused = UnusedSlots()
    assert unused.take() == ()
    unused.answered(100)
    unused.heard(0, 3)
    unused.heard(1, 2)
    assert unused.take() == ((100, 5),)
    unused.answered(200)
    unused.heard(0, 4)
    assert unused.take() == ((100, 1),)
    unused.answered(300)
    unused.heard(0, 4)
    assert unused.take() == ()


def test_an_engine_that_begins_again_counts_from_zero() -> None:
    """What it had given up before was told before."""
    unused = UnusedSlots()
    unused.answered(100)
    unused.heard(0, 5)
    unused.take()
    unused.heard(0, 0)
    unused.heard(0, 2)
    assert unused.take() == ((100, 2),)


def test_what_an_engine_still_holds_at_its_end_goes_back() -> None:
    """If it has said so itself."""
    unused = UnusedSlots()
    unused.answered(100)
    unused.heard(0, 1)
    unused.ended(0, 7)
    assert unused.take() == ((100, 8),)


def test_what_was_sent_without_a_reservation_is_owed() -> None:
    """Also if the ledger can't be told yet; what is given back to nobody is lost."""
    unused = UnusedSlots()
    unused.answered(100)
    unused.offline(10)
    unused.heard(0, 4)
    owed = unused.take()
    assert owed == ((0, -6),)
    unused.untold(owed)
    assert unused.take() == ((0, -6),)
    unused.heard(0, 9)
    given_back = unused.take()
    unused.untold(given_back)
    assert (given_back, unused.take()) == (((100, 5),), ())


@pytest.mark.parametrize(
    ("progress", "has_moved"),
    [
        (Progress(total=9, kinds=Counter({Kind.OK: 4}), resumed=4, requests=100), False),
        (Progress(total=9, kinds=Counter({Kind.OK: 5}), resumed=4, requests=100), True),
        (Progress(total=9, kinds=Counter({Kind.OK: 4}), resumed=4), True),
    ],
)
def test_a_fetch_that_sends_and_gets_nowhere_is_noticed(progress: Progress, has_moved: bool) -> None:
    """One that hasn't sent anything may still get somewhere."""
    with pytest.raises(BudgetWait) as wait:
        progress_at_end(Ended(LongPause(900.0, "the renewal"), progress), None)  # type: ignore[arg-type]
    assert (wait.value.waits_for, wait.value.has_moved) == ("the renewal", has_moved)


def test_an_engine_waits_until_its_budget_is_open() -> None:
    """And says what for."""
    now_s = 1_000.0
    budget = ReservedBudget(LocalBudget(None), "calls", lambda: now_s)
    budget.needs, budget.why, budget.closed_until_s = 5, "the renewal of the quota", 1_060.0
    assert budget.wait(now_s) == ("the renewal of the quota", 1_060.0)
    budget.closed_until_s = -math.inf
    assert budget.wait(now_s) == ("the renewal of the quota", None)
    budget.take([1_001.0])
    assert budget.wait(now_s) == ("the renewal of the quota", 1_001.0)
