"""What the parent of the engines knows of their request budget: for the log, the state store and the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec.structs import replace

from airflow_fanout.control.allowance import Allowance
from airflow_fanout.control.budget_state import Reservation
from airflow_fanout.control.forecast import forecast
from airflow_fanout.control.frames import MICRO
from airflow_fanout.launch.budget_user import BudgetUser
from airflow_fanout.model.budget_status import BudgetStatus


class BudgetView:
    """Keeps the newest answer as a `status`, `None` before the first, and reports once what is to be expected.

    :param needed: the least number of requests that the fetch needs.
    :param note: takes a sentence for the log.
    """

    def __init__(self, user: BudgetUser, needed: int, note: Callable[[str], None]) -> None:
        self._user, self._needed, self._note = user, needed, note
        self._forecast = ""
        self.status: BudgetStatus | None = None

    def answered(self, answer: Reservation, reserved: int) -> None:
        """Take an answer.

        :param reserved: how many requests are reserved, and not sent.
        """
        if self.status is None:
            allowance, rate_micro = self._user.budget.allowance or Allowance(), answer.limits.rate_micro
            expected = forecast(allowance, answer.usage, self._needed, rate_micro / MICRO or None, answer.now_us)
            self._forecast = expected.sentence()
            user, rank = self._user, self._user.rank.name.lower()
            self._note(
                f"The request budget {user.budget.name!r} (rank: {rank}, share of {user.queue!r}): {self._forecast}"
            )
        # Moments of the ledger's clock mean nothing to anybody else.
        wall_us = time.time_ns() // 1_000 - answer.now_us
        renewal_us = None if answer.renewal_us is None else answer.renewal_us + wall_us
        self.status = BudgetStatus(
            name=self._user.budget.name,
            queue=self._user.queue,
            rank=self._user.rank.name.lower(),
            rate_per_s=answer.limits.rate_micro / MICRO,
            share_per_s=answer.share_micro / MICRO,
            reserved=reserved,
            clients=answer.clients,
            left=answer.left,
            renewal=None if renewal_us is None else renewal_us / MICRO,
            waits_for=answer.waits_for if answer.is_closed and answer.waits_for else None,
            forecast=self._forecast,
        )

    def is_offline(self) -> None:
        """Note that the budget can't be reached."""
        if self.status is not None:
            self.status = replace(self.status, is_offline=True)


class UnusedSlots:
    """Counts the reserved requests that aren't sent, which are given back to the quotas.

    What was sent without a reservation, while the budget was out of reach, is taken from them afterwards.
    """

    def __init__(self) -> None:
        self._counted_us: tuple[int, int] = (0, 0)
        self._given_up: dict[int, int] = {}
        self._unused = 0

    def answered(self, counted_us: int) -> None:
        """Note for which moment the newest reservation counts."""
        self._counted_us = (self._counted_us[1] or counted_us, counted_us)

    def heard(self, place: int, given_up: int) -> None:
        """Note how many slots an engine has given up since it began."""
        # One that was restarted counts from 0.
        self._unused += max(0, given_up - self._given_up.get(place, 0))
        self._given_up[place] = given_up

    def ended(self, place: int, held: int) -> None:
        """Note that an engine has ended in good order, and how many slots it still held."""
        self._given_up.pop(place, None)
        self._unused += held

    def offline(self, slots: int) -> None:
        """Note that slots were used without a reservation, unless they are given up."""
        self._unused -= slots

    def take(self) -> tuple[tuple[int, int], ...]:
        """Return what the next ask says: a number, below 0 for what is owed, and when it counts.

        What isn't used is of one of the last two reservations: it goes back to the older one, which may be over.
        """
        unused, self._unused = self._unused, 0
        if not unused:
            return ()
        return ((self._counted_us[0] if unused > 0 else 0, unused),)

    def untold(self, unused: tuple[tuple[int, int], ...]) -> None:
        """Note that the ask may not have arrived: what is owed is reported again, what is given back is lost."""
        self._unused += sum(min(0, requests) for _, requests in unused)


def why_no_share(name: str, reservation: Reservation) -> str:
    """Return what a fetch waits for that has no share of a budget, by the budget's name."""
    if reservation.at_once == 0:
        return f"requests of other fetches to end, which have all that the request budget {name!r} allows at once"
    if not reservation.limits.rate_micro:
        return f"an operator to allow requests again: the request budget {name!r} is set to 0"
    if reservation.is_behind_own:
        return f"its turn: other fetches use its queue's share of the request budget {name!r}"
    return f"fetches that go first, and need all of the request budget {name!r}"
