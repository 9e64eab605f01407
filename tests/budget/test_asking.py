"""When a fetch's parent asks for slots: in virtual time, of a budget in memory."""

from __future__ import annotations

from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.budget_state import BudgetAsk, BudgetState, LedgerAnswer, Rank
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.questions import LEASE_US
from airflow_fanout.control.reservations import reserve
from airflow_fanout.launch.budget_user import BudgetUser
from airflow_fanout.launch.messages import BudgetUse, ReservedSlots
from airflow_fanout.launch.reserving import RETRY_US, Reserver
from airflow_fanout.model.settings import FetchSettings

AHEAD_US = 1_795_000_000 * MICRO


class Memory:
    """Keeps a budget's state; its clock is far ahead of the clients'."""

    def __init__(self) -> None:
        self.now_us = 77 * MICRO
        self.state = BudgetState()

    def ask(self, ask: BudgetAsk, timeout_s: float) -> LedgerAnswer:  # noqa: ARG002 - the protocol has it
        self.state, reservation = reserve(self.state, ask, AHEAD_US + self.now_us)
        return LedgerAnswer(reservation=reservation, ahead_us=AHEAD_US)


def reserver(memory: Memory) -> Reserver:
    """Return a parent whose engine needs a thousand requests."""
    user = BudgetUser(ApiBudget(name="calls", rate_per_s=100), memory, rank=Rank.NIGHTLY, dag_id="dag")
    asking = Reserver(user, FetchSettings(), lambda _text: None, now_us=lambda: memory.now_us)
    asking.heard(0, use())
    return asking


def use(needs: int = 1_000, pause_s: float = 0.0) -> BudgetUse:
    """Return what an engine says that has sent nothing yet."""
    return BudgetUse(sent=0, given_up=0, held=0, needs=needs, has_at_once=32, pause_s=pause_s)


def test_without_news_a_parent_asks_when_it_is_asked_to() -> None:
    """Once in a lease, however far ahead the clock of the budget is."""
    memory, told = Memory(), list[ReservedSlots]()
    asking = reserver(memory)
    asking.ask(lambda _place, message: told.append(message))

    assert sum(slots.count for slots in told[0].slots) >= 100
    assert asking.asks_us == memory.now_us + LEASE_US


def test_a_pause_that_nobody_else_knows_of_is_worth_a_question() -> None:
    """The parent asks sooner than its lease ends, and only once for the same pause."""
    memory = Memory()
    asking, others = reserver(memory), [reserver(memory) for _ in range(20)]
    for each in (*others, asking):
        each.ask(lambda _place, _message: None)
    asked_us, in_turn_us = memory.now_us, asking.asks_us
    memory.now_us += MICRO // 10
    asking.heard(0, use(pause_s=30.0))
    assert in_turn_us > asking.asks_us == asked_us + RETRY_US
    memory.now_us = asking.asks_us
    asking.ask(lambda _place, _message: None)

    assert memory.state.paused_until_us == AHEAD_US + asked_us + MICRO // 10 + 30 * MICRO
    assert asking.asks_us > memory.now_us + LEASE_US


def test_the_last_requests_of_a_fetch_get_slots_that_are_still_to_come() -> None:
    """However often a client asks for one slot in the middle of a frame, it can use the slot that it gets."""
    memory, told = Memory(), list[ReservedSlots]()
    asking = reserver(memory)
    asking.heard(0, use(needs=5))
    for step_us in (0, 1_010_000, 1_123_456, 1_249_999, 1_000_000):
        memory.now_us += step_us
        told.clear()
        asking.heard(0, use(needs=1))
        asking.ask(lambda _place, message: told.append(message))
        moments = [moment for slots in told[0].slots for moment in slots.moments()]
        assert [moment for moment in moments if moment >= memory.now_us] != []


def test_a_fetch_that_waits_for_its_turn_says_so() -> None:
    """Eight others of its DAG send, and it has no slots."""
    memory, told = Memory(), list[ReservedSlots]()
    asking, others = reserver(memory), [reserver(memory) for _ in range(8)]
    for each in others:
        each.ask(lambda _place, _message: None)
    asking.ask(lambda _place, message: told.append(message))

    assert told[0].slots == ()
    assert told[0].why == "its turn: other fetches use its queue's share of the request budget 'calls'"
