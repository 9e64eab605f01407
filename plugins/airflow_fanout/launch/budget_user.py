"""Who uses a request budget, and where its state is kept."""

from __future__ import annotations

from typing import Protocol

from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.budget_state import BudgetAsk, LedgerAnswer, Limits, Rank
from airflow_fanout.control.frames import MICRO


class Ledger(Protocol):
    """Where the state of a budget is kept, and changed by one at a time."""

    def ask(self, ask: BudgetAsk, timeout_s: float) -> LedgerAnswer:
        """Change the state by an ask, and return the answer.

        :raises FanoutError: if it can't be reached in time (`retry`), or will never answer this client.
        """


class BudgetUser:
    """Who uses a request budget: a fetch, by its rank and queue."""

    def __init__(self, budget: ApiBudget, ledger: Ledger, *, rank: Rank, dag_id: str) -> None:
        self.budget = budget
        self.ledger = ledger
        self.rank = rank
        self.queue = budget.tenant or dag_id
        self.weight = max(1, round(1_000 * budget.weights.get(self.queue, 1.0)))
        self.limits = Limits(
            rate_micro=round(budget.rate_per_s * MICRO),
            at_once=budget.concurrency,
            offline_micro=round(budget.offline_rate_per_s * MICRO),
        )
