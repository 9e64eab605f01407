"""The turns of a list whose pages are requested one after another, under the request budget of its API."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from airflow_fanout.control.budget import LocalBudget
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.reserved import ReservedBudget
from airflow_fanout.launch.budget_user import BudgetUser
from airflow_fanout.launch.messages import BudgetUse, ReservedSlots
from airflow_fanout.launch.reserving import Reserver
from airflow_fanout.model.settings import FetchSettings

# What a list has requested in this time says how much it will request next.
LATELY_S = 2.0
# At the beginning, and beyond what it has used.
FEW = 4
# How often the reserver hears what is needed, at the least.
TOLD_S = 0.5
# The log says what a page waits for that waits longer.
LONG_WAIT_S = 5.0


class ListTurns:
    """Waits for a slot before each page, as an engine does before each of its requests.

    Nobody knows how many pages a list has. So it reserves a few slots more than twice those that it has used lately.

    :param note: takes a sentence for the log.
    """

    def __init__(self, user: BudgetUser, note: Callable[[str], None]) -> None:
        self._note, self._name = note, user.budget.name
        self._changed = threading.Condition()
        self._budget = ReservedBudget(LocalBudget(None), user.budget.name, time.monotonic)
        self._reserver = Reserver(user, FetchSettings(concurrency=1), note)
        self._paused_until_s = self._closed_until_s = 0.0
        self._sent_s: deque[float] = deque()
        self._stack = ExitStack()
        self._stack.enter_context(self._reserver.reserving(self._take))

    def wait(self) -> None:
        """Wait until the next request may be sent, however long that takes; the log says for what.

        :raises FanoutError: if the budget can't be used.
        """
        begun_s, noted = time.monotonic(), ""
        with self._changed:
            while True:
                now_s = time.monotonic()
                wait_s = max(self._budget.next_s, self._paused_until_s) - now_s
                if wait_s <= 0 and self._budget.at_once != 0:
                    break
                if self._reserver.failure is not None:
                    raise self._reserver.failure
                why = self._budget.why or f"its share of the request budget {self._name!r}"
                if why != noted and now_s - begun_s > LONG_WAIT_S:
                    noted = why
                    self._note(f"The list waits for {why}{self._until(now_s)}.")
                self._tell()
                self._changed.wait(min(max(wait_s, 0.01), TOLD_S))
            self._budget.sent(now_s)
            self._sent_s.append(now_s)
            self._tell()

    def _until(self, now_s: float) -> str:
        """Return until when a quota or quiet hours let nothing through; empty if they don't hold anything back."""
        left_s = self._closed_until_s - now_s
        if left_s <= 0:
            return ""
        # Rounded up, so that nobody looks too early.
        moment = datetime.now(UTC) + timedelta(seconds=math.ceil(left_s))
        return f", until {moment:%Y-%m-%d %H:%M:%S} UTC"

    def paused(self, pause_s: float) -> None:
        """Note that the API has asked that nobody sends for so long."""
        with self._changed:
            self._tell(pause_s=pause_s)

    def close(self) -> None:
        """Leave the budget to the others."""
        with self._changed:
            self._tell(is_last=True)
        self._reserver.heard(0, None)
        self._stack.close()

    def _tell(self, *, pause_s: float = 0.0, is_last: bool = False) -> None:
        now_s, budget = time.monotonic(), self._budget
        while self._sent_s and self._sent_s[0] < now_s - LATELY_S:
            self._sent_s.popleft()
        use = BudgetUse(
            sent=budget.sent_count,
            given_up=budget.given_up,
            held=budget.held,
            needs=0 if is_last else FEW + 2 * len(self._sent_s),
            has_at_once=1 if budget.at_once is None else budget.at_once,
            pause_s=pause_s,
            is_last=is_last,
        )
        self._reserver.heard(0, use)

    def _take(self, _place: int, message: ReservedSlots) -> None:
        with self._changed:
            self._budget.share(message.share_per_s, message.all_per_s)
            moments = (moment / MICRO for slots in message.slots for moment in slots.moments())
            void_from_us = message.void_from_us
            if void_from_us is None:
                self._budget.take(moments)
            else:
                self._budget.take(moments, void_from_us / MICRO)
            self._budget.at_once, self._budget.why = message.at_once, message.why
            self._paused_until_s = message.paused_until_us / MICRO
            self._closed_until_s = message.closed_until_us / MICRO
            self._changed.notify()
