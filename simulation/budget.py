"""The request budget in virtual time: its state, which MongoDB keeps, and the parents that reserve slots for engines.

The package's own parent and its engine's end are what asks and what sends; only MongoDB and the pipe are modelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, cast

from airflow_fanout.control.allotment import allot
from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.budget import LocalBudget
from airflow_fanout.control.budget_state import BudgetAsk, BudgetState, LedgerAnswer, Rank
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.questions import first_delay_us
from airflow_fanout.control.quota import Quota, to_us
from airflow_fanout.control.reserved import ReservedBudget
from airflow_fanout.engine.slots import SlotTaker
from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.budget_user import BudgetUser
from airflow_fanout.launch.messages import BudgetUse, ReservedSlots
from airflow_fanout.launch.reserving import Reserver
from airflow_fanout.model.settings import FetchSettings
from simulation.engine import VirtualEngine
from simulation.world import BEGINS, World

if TYPE_CHECKING:
    from airflow_fanout.engine.driver import Driver

# The moment at which each simulation begins, by MongoDB's clock.
BEGIN_US = to_us(BEGINS)
NAME = "simulated"


@dataclass(frozen=True, kw_only=True)
class BudgetModel:
    """A request budget.

    :param per_s: requests per second.
    :param at_once: requests under way at once; `None` for no limit.
    :param offline_per_s: requests per second while MongoDB can't be reached.
    :param quotas: how many requests the API sells in a period.
    :param answer_s: how long MongoDB takes to answer.
    :param away: when MongoDB can't be reached, each as two moments in seconds from the beginning.
    """

    per_s: float
    at_once: int | None = None
    offline_per_s: float = 0.0
    quotas: tuple[Quota, ...] = ()
    answer_s: float = 0.005
    away: Sequence[tuple[float, float]] = ()


class Unreachable(FanoutError):
    """MongoDB is away."""

    retry = True
    sentence = "MongoDB is away."


class Ledger:
    """The state of a budget, changed by the package's own decision; `asks_s` has the moments of all questions."""

    def __init__(self, world: World, model: BudgetModel) -> None:
        self._world, self.model = world, model
        self._state = BudgetState()
        self._numbers = count()
        self.asks_s: list[float] = []
        self.budget = ApiBudget(
            name=NAME,
            rate_per_s=model.per_s,
            concurrency=model.at_once,
            offline_rate_per_s=model.offline_per_s,
            quotas=model.quotas,
        )

    def new_name(self) -> str:
        """Return a name that no other client ever has."""
        return f"{next(self._numbers):06}"

    def ask(self, ask: BudgetAsk, timeout_s: float) -> LedgerAnswer:  # noqa: ARG002 - it answers at once, or never
        """Return the answer to a client; it comes at once, and is handed down as late as MongoDB would give it."""
        now_s = self._world.now_s
        if any(since_s <= now_s < until_s for since_s, until_s in self.model.away):
            raise Unreachable
        self.asks_s.append(now_s)
        self._state, reservation = allot(self._state, ask, BEGIN_US + _us(now_s))
        return LedgerAnswer(reservation=reservation, ahead_us=BEGIN_US)


class Parent:
    """A fetch's parent: it asks when it is time to, and its engine sends in the slots that it gets.

    :param rank: that of the run, and `queue` whose share it uses.
    :param shards: those of the run.
    """

    def __init__(
        self, world: World, ledger: Ledger, settings: FetchSettings, *, rank: Rank, queue: str, shards: int
    ) -> None:
        self._world, self._ledger, self._settings = world, ledger, settings
        user = BudgetUser(ledger.budget, ledger, rank=rank, dag_id=queue)
        self._reserver = Reserver(
            user,
            settings,
            lambda _text: None,
            now_us=lambda: _us(world.now_s),
            name=ledger.new_name(),
            delay_us=first_delay_us(shards, world.chance.uniform),
        )
        self.budget = HeardBudget(self, LocalBudget(settings.throttle.rate_per_s), world)
        self._engine: VirtualEngine | None = None
        self._taker: SlotTaker | None = None
        self._asks_s = -1.0

    def begin(self, engine: VirtualEngine) -> None:
        """Reserve for an engine from now on, until it ends; one that is killed says nothing more."""
        self._engine = engine
        # What it needs of a driver is what a virtual engine has.
        driver, world = cast("Driver", engine), self._world
        self._taker = SlotTaker(self.budget, engine.traffic, driver, self._settings, self._hear, world.clock)
        self.look()

    def end(self) -> None:
        """Say that nothing more is needed, and give back what isn't used."""
        if self._taker is not None:
            self._taker.tell(is_last=True)
        self._reserver.heard(0, None)
        try:
            self._reserver.leave()
        except Unreachable:
            return

    def tell(self) -> None:
        """Let the engine tell what has become of its slots."""
        if self._taker is not None:
            self._taker.tell()

    def look(self) -> None:
        """Plan the next question, unless it is planned already."""
        asks_s = max(self._world.now_s, self._reserver.asks_us / MICRO)
        if not self._world.now_s <= self._asks_s <= asks_s:
            self._asks_s = asks_s
            self._world.after(asks_s - self._world.now_s, self._ask)

    def _hear(self, use: BudgetUse) -> None:
        self._reserver.heard(0, use)

    def _ask(self, _about: None) -> None:
        if self._engine is None or self._engine.is_over:
            return
        if _us(self._world.now_s) >= self._reserver.asks_us - 1:
            self.tell()
            self._asks_s = -1.0
            answer_s = self._ledger.model.answer_s
            self._reserver.ask(lambda _place, message: self._world.after(answer_s, self._hand_down, message))
        self.look()

    def _hand_down(self, message: ReservedSlots) -> None:
        if self._taker is not None and self._engine is not None and not self._engine.is_over:
            self._taker.take(message)


class HeardBudget(ReservedBudget):
    """An engine's budget whose parent hears at once of a pause that the API asks for."""

    def __init__(self, parent: Parent, local: LocalBudget, world: World) -> None:
        super().__init__(local, NAME, world.clock)
        self._parent, self._world = parent, world

    def asked_to_wait(self, pause_s: float) -> None:
        """Note that the API has asked that nobody sends for so long, and let the parent know."""
        super().asked_to_wait(pause_s)
        self._world.after(0.0, self._tell)

    def _tell(self, _about: None) -> None:
        self._parent.tell()
        self._parent.look()


def _us(seconds: float) -> int:
    return round(seconds * MICRO)
