"""The engine's end of a request budget: slots come from its parent, which hears what has become of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import gevent
from gevent.event import Event

from airflow_fanout.control.budget import LocalBudget
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.reserved import ReservedBudget
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.driver import Driver
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.messages import BudgetUse, ReservedSlots
from airflow_fanout.launch.stop_reasons import LongPause
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.settings import FetchSettings

# How often the parent hears of a change.
TOLD_S = 0.2
# After this number of outcomes it is known how many requests each of them takes.
ENOUGH = 20


class SlotTaker:
    """Gives an engine's budget the slots that its parent has reserved.

    :param budget: where the slots are used, if it is one of slots.
    :param settings: the engine's.
    :param tell: tells the parent something.
    :param clock: the time of the clock that slots are moments of, in seconds.
    """

    def __init__(
        self,
        budget: LocalBudget | ReservedBudget,
        traffic: Traffic,
        driver: Driver,
        settings: FetchSettings,
        tell: Callable[[BudgetUse], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget = budget if isinstance(budget, ReservedBudget) else None
        self._traffic = traffic
        self._driver = driver
        self._settings = settings
        self._tell, self._clock = tell, clock
        self._told: BudgetUse | None = None
        self._given_up = 0

    def take(self, message: ReservedSlots) -> None:
        """Use other slots from now on."""
        budget = self._budget
        if budget is None:
            raise AssertionError("only an engine with a request budget gets slots")
        budget.share(message.share_per_s, message.all_per_s)
        void_from_s = math.inf if message.void_from_us is None else message.void_from_us / MICRO
        budget.take((moment_us / MICRO for slots in message.slots for moment_us in slots.moments()), void_from_s)
        budget.why, budget.at_once = message.why, message.at_once
        budget.closed_until_s = message.closed_until_us / MICRO
        most = self._settings.concurrency
        self._traffic.cap(most if message.at_once is None else min(most, message.at_once))
        self._pause(message.paused_until_us / MICRO)
        self._driver.wake()
        self.tell()
        # What was given up since the last answer comes back by the next one.
        is_final, self._given_up = self._given_up == budget.given_up, budget.given_up
        if is_final:
            self._stop_if_closed(budget)

    def _pause(self, until_s: float) -> None:
        now_s = self._clock()
        pause_s = until_s - now_s
        if pause_s <= 0:
            return
        self._traffic.pause(pause_s, now_s)
        if pause_s > self._settings.retry.max_retry_after_s:
            self._driver.stop(LongPause(pause_s))

    def run(self) -> None:
        """Tell the parent of each change, for ever; without slots, wait for ever."""
        while self._budget is not None:
            self.tell()
            gevent.sleep(TOLD_S)
        Event().wait()

    def _stop_if_closed(self, budget: ReservedBudget) -> None:
        """Stop when nothing more may be sent for longer than a worker slot is worth, and nothing is under way."""
        closed_s = budget.closed_until_s - self._clock()
        if closed_s <= self._settings.retry.max_retry_after_s or budget.held or self._traffic.in_flight:
            return
        reached = self._driver.progress()
        if reached.done < reached.total:
            # Calls and walks through pages that are between two requests end here, and begin again after that.
            self._driver.stop(LongPause(closed_s, budget.why), grace_s=0.0)

    def tell(self, *, is_last: bool = False) -> None:
        """Tell the parent what has become of the slots, if there are any, and that is news."""
        budget, in_flight = self._budget, self._traffic.in_flight
        if budget is None:
            return
        most = self._settings.concurrency if budget.at_once is None else budget.at_once
        budget.needs = needs_of(self._driver.progress())
        use = BudgetUse(
            sent=budget.sent_count,
            given_up=budget.given_up,
            missed=budget.missed,
            held=budget.held,
            needs=budget.needs,
            has_at_once=max(most, in_flight),
            pause_s=budget.pause_asked_s,
            is_last=is_last,
        )
        if use != self._told:
            self._tell(use)
            budget.pause_asked_s = 0.0
            self._told = use


def budget_of(job: Job) -> LocalBudget | ReservedBudget:
    """Return what a job's requests may be sent by: the author's rate, and slots if its API has a request budget."""
    local = LocalBudget(job.settings.throttle.rate_per_s)
    return local if job.budget is None else ReservedBudget(local, job.budget, time.monotonic)


def needs_of(progress: Progress) -> int:
    """Return about how many requests a fetch still has to send: at least one for each parameter, by its latest rate."""
    left = max(0, progress.total - progress.done - progress.in_flight)
    ended = progress.done - progress.resumed
    each = progress.requests / ended if ended >= ENOUGH else 1.0
    return math.ceil(left * each)
