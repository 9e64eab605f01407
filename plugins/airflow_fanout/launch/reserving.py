"""Reserves slots for the engines of a fetch: a thread of the task's that asks where the budget is kept."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from airflow_fanout.control.api_budget import MOST_PER_S
from airflow_fanout.control.budget_state import BudgetAsk, LedgerAnswer
from airflow_fanout.control.demand import Demand
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.offline import OfflineSlots
from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.budget_user import BudgetUser
from airflow_fanout.launch.budget_view import BudgetView, UnusedSlots, why_no_share
from airflow_fanout.launch.messages import BudgetUse, ReservedSlots
from airflow_fanout.launch.slot_shares import shared_out
from airflow_fanout.model.settings import FetchSettings

# While the ledger doesn't answer, it is asked again after so long.
RETRY_US = MICRO
# What a pause is longer by than the one that is known is worth a question, but not more than one in so long.
NEWS_US = MICRO // 2
# How long an ask may take in all, and the last one, which nothing waits for but the end of the task.
TIMEOUT_S, GOODBYE_S = 2.0, 5.0

Tell = Callable[[int, ReservedSlots], None]


class Reserver:
    """Asks for slots, and shares them out among the engines. `failure` is what keeps it from going on.

    :param settings: those of the whole fetch.
    :param note: takes a sentence for the log; called by another thread.
    :param view: takes what an operator sees of the budget; without one, the log says nothing of what is to be expected.
    :param now_us: the time of the monotonic clock, in microseconds.
    :param name: what it is known by, as no other ever is; a random name, if not given.
    :param delay_us: how long it waits before it asks for the first time, in microseconds.
    """

    def __init__(
        self,
        user: BudgetUser,
        settings: FetchSettings,
        note: Callable[[str], None],
        view: BudgetView | None = None,
        *,
        now_us: Callable[[], int] = lambda: time.monotonic_ns() // 1_000,
        name: str | None = None,
        delay_us: int = 0,
    ) -> None:
        most_per_s = settings.throttle.rate_per_s or MOST_PER_S
        self._user, self._settings, self._note, self._now_us = user, settings, note, now_us
        self._name = name or uuid.uuid4().hex
        self._demand = Demand(round(most_per_s * MICRO))
        self._offline = OfflineSlots()
        self._changed = threading.Condition()
        self._is_over = False
        self._uses: dict[int, BudgetUse] = {}
        self._pause_until_us = self._known_pause_us = 0
        self._asked_us, self._asks_us = 0, now_us() + delay_us
        self._counted = (0, 0)
        self._remark, self._turn = "", 0
        self._at_once: int | None = 0
        self._unused = UnusedSlots()
        self.view = view or BudgetView(user, 0, lambda _forecast: None)
        self.failure: BaseException | None = None

    @contextmanager
    def reserving(self, tell: Tell) -> Iterator[None]:
        """Reserve slots while the context lasts, once an engine says what it needs.

        :param tell: sends a message to the engine of a number; called by another thread.
        """
        thread = threading.Thread(target=self._run, args=(tell,), name="fanout-budget", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify()
            # It says goodbye, so that the others have its share at once; if nobody answers, they have it soon.
            thread.join(TIMEOUT_S + GOODBYE_S)

    def heard(self, place: int, use: BudgetUse | None) -> None:
        """Note what an engine says of its slots; `None` when it has ended."""
        with self._changed:
            if use is None:
                last = self._uses.pop(place, None)
                # Nobody knows in which of its slots one has sent that was killed.
                self._unused.ended(place, last.held if last and last.is_last else 0)
                return
            self._uses[place] = use
            self._unused.heard(place, use.given_up)
            if use.pause_s:
                self._pause_until_us = max(self._pause_until_us, self._now_us() + round(use.pause_s * MICRO))
            self._changed.notify()

    def _run(self, tell: Tell) -> None:
        try:
            while self._wait():
                self.ask(tell)
            self.leave()
        except FanoutError as error:
            # Who can't say goodbye is missed soon enough.
            self.failure = None if error.retry else error
        except BaseException as error:  # noqa: BLE001 - whatever it is, the task raises it, and not this thread
            self.failure = error

    def _wait(self) -> bool:
        """Wait until it is time to ask; return whether it is."""
        with self._changed:
            while not self._is_over:
                now_us, asks_us = self._now_us(), self.asks_us
                if self._uses and now_us >= asks_us:
                    break
                self._changed.wait((asks_us - now_us) / MICRO if self._uses else None)
            return not self._is_over

    @property
    def asks_us(self) -> int:
        """When it is time to ask again; a pause that nobody else knows of is worth a question of its own."""
        is_news = self._pause_until_us > self._known_pause_us + NEWS_US
        return min(self._asks_us, self._asked_us + RETRY_US) if is_news else self._asks_us

    def ask(self, tell: Tell) -> None:
        """Ask for slots, and tell the engines theirs."""
        try:
            answer = self._ask_ledger(leaves=False)
        except FanoutError as error:
            if not error.retry:
                raise
            self._go_on_without(error, tell)
            return
        self._say_what_counts(answer)
        reservation, ahead_us = answer.reservation, answer.ahead_us
        self._asks_us = reservation.asks_us - ahead_us
        # Without a pause it is a moment long ago: any other one would be news for ever.
        self._known_pause_us = max(0, reservation.paused_until_us - ahead_us)
        was_off, from_us = self._offline.is_on, reservation.from_us - ahead_us
        slots = [replace(each, begin_us=each.begin_us - ahead_us) for each in reservation.slots]
        whole = ReservedSlots(
            slots=(*self._offline.end(self._now_us(), from_us, reservation), *slots),
            share_per_s=reservation.share_micro / MICRO,
            all_per_s=reservation.limits.rate_micro / MICRO,
            at_once=reservation.at_once,
            void_from_us=from_us if was_off else None,
            paused_until_us=self._known_pause_us,
            why="" if reservation.share_micro else why_no_share(self._user.budget.name, reservation),
        )
        if reservation.is_closed and reservation.renewal_us is not None:
            closed_until_us = reservation.renewal_us - ahead_us
            whole = replace(whole, why=reservation.waits_for or whole.why, closed_until_us=closed_until_us)
        self._at_once = reservation.at_once
        self._share_out(whole, tell)

    def _share_out(self, whole: ReservedSlots, tell: Tell) -> None:
        with self._changed:
            uses = dict(self._uses)
            if self._offline.is_on:
                self._unused.offline(sum(slots.count for slots in whole.slots))
        self._turn += 1
        for place, message in shared_out(whole, uses, self._turn).items():
            tell(place, message)

    def leave(self) -> None:
        """Say that nothing more is needed, if anything was asked for."""
        if self._asked_us:
            self._ask_ledger(leaves=True)

    def _ask_ledger(self, *, leaves: bool) -> LedgerAnswer:
        with self._changed:
            uses, pause_us = list(self._uses.values()), self._pause_until_us - self._now_us()
            unused = self._unused.take()
        before_us, self._asked_us = self._asked_us, self._now_us()
        self._count(uses, self._asked_us - before_us)
        ask = BudgetAsk(
            client=self._name,
            rank=self._user.rank,
            queue=self._user.queue,
            weight=self._user.weight,
            limits=self._user.limits,
            wants_micro=self._demand.wants_micro,
            needs=sum(max(0, use.needs - use.held) for use in uses),
            wants_at_once=self._settings.concurrency,
            has_at_once=sum(use.has_at_once for use in uses),
            lasts_us=round(self._settings.timeouts.total_s * MICRO),
            pause_us=max(0, pause_us),
            leaves=leaves,
            allowance=self._user.budget.allowance,
            unused=unused,
        )
        try:
            answer = self._user.ledger.ask(ask, GOODBYE_S if leaves else TIMEOUT_S)
        except FanoutError:
            with self._changed:
                self._unused.untold(unused)
            raise
        reserved = sum(slots.count for slots in answer.reservation.slots)
        with self._changed:
            self._unused.answered(answer.reservation.counted_us)
        self.view.answered(answer.reservation, reserved + sum(use.held for use in uses))
        return answer

    def _count(self, uses: Sequence[BudgetUse], passed_us: int) -> None:
        counted = (sum(use.sent for use in uses), sum(use.missed for use in uses))
        sent, missed = (now - before for now, before in zip(counted, self._counted, strict=True))
        self._counted = counted
        # An engine that was restarted counts from 0.
        if sent >= 0 and missed >= 0:
            at_once = self._settings.concurrency if self._at_once is None else self._at_once
            self._demand.note(sent, missed, passed_us, self._user.limits.rate_micro, at_once)

    def _go_on_without(self, error: FanoutError, tell: Tell) -> None:
        """Use what may be sent while the ledger doesn't answer, and say so."""
        now_us = self._now_us()
        self._asks_us = now_us + RETRY_US
        self.view.is_offline()
        if not self._offline.is_on:
            offline_per_s = self._user.budget.offline_rate_per_s
            then = f"its part of {offline_per_s:g} requests per second" if offline_per_s else "it waits"
            self._note(
                f"The request budget {self._user.budget.name!r} can't be asked for slots. The fetch uses those that it "
                f"holds, then {then}. {error}"
            )
        self._share_out(
            ReservedSlots(
                slots=self._offline.slots(now_us, now_us + RETRY_US + round(TIMEOUT_S * MICRO)),
                share_per_s=self._offline.rate_micro / MICRO,
                all_per_s=self._user.budget.rate_per_s,
                at_once=self._at_once,
                why=f"MongoDB to answer, which keeps the request budget {self._user.budget.name!r}",
            ),
            tell,
        )

    def _say_what_counts(self, answer: LedgerAnswer) -> None:
        name = self._user.budget.name
        if self._offline.is_on:
            self._note(f"The request budget {name!r} gives slots again.")
        if answer.remark != self._remark:
            self._remark = answer.remark
            rate_per_s = answer.reservation.limits.rate_micro / MICRO
            self._note(f"The request budget {name!r} allows {rate_per_s:g} requests per second. {answer.remark}")
