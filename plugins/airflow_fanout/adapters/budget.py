"""The request budget that the connection of an API names, and the MongoDB that keeps its state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk import BaseHook

from airflow_fanout.adapters.mongo import mongo_login
from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.budget_state import Rank
from airflow_fanout.errors import BadConnection, BadSetting, FanoutError
from airflow_fanout.launch.budget_user import BudgetUser
from airflow_fanout.launch.list_turns import ListTurns

if TYPE_CHECKING:
    from airflow.sdk import Context

# The name in the extra of a connection.
BUDGET = "budget"
# By the type of the DAG run; all others come by a schedule, of time or of assets.
RANKS = {"manual": Rank.MANUAL, "asset_materialization": Rank.MANUAL, "backfill": Rank.BACKFILL}
# For so long a check waits for MongoDB.
CHECK_S = 10.0


def budget_of(conn_id: str) -> ApiBudget | None:
    """Return the request budget in the extra of an API's connection; `None` if there is none.

    :raises BadConnection: if it can't be read, or can't work.
    """
    written = BaseHook.get_connection(conn_id).extra_dejson.get(BUDGET)
    return None if written is None else to_budget(conn_id, written)


def to_budget(conn_id: str, written: object) -> ApiBudget:
    """Return a budget as it is written in an extra.

    :raises BadConnection: which names the field, the value, and what is expected.
    """
    names = ", ".join(ApiBudget.__struct_fields__)
    if not isinstance(written, Mapping):
        example = '{"budget": {"name": "calls", "rate_per_s": 100}}'
        raise BadConnection(conn_id, f'has a "{BUDGET}" in its extra that isn\'t an object, such as {example}')
    if unknown := [name for name in written if name not in ApiBudget.__struct_fields__]:
        raise BadConnection(
            conn_id, f'has "{unknown[0]}" in the "{BUDGET}" of its extra, which has no such field. It has: {names}'
        )
    try:
        return msgspec.convert(dict(written), ApiBudget)
    except (BadSetting, msgspec.ValidationError) as error:
        problem = str(error).rstrip(".")
    raise BadConnection(conn_id, f'has a "{BUDGET}" in its extra that can\'t work: {problem}')


def rank_of(run_type: object) -> Rank:
    """Return who goes first, by the type of a DAG run."""
    # The text of Airflow's enumeration is its name in one place, and its value in another.
    value = run_type.value if isinstance(run_type, Enum) else run_type
    return RANKS.get(str(value), Rank.NIGHTLY)


@contextmanager
def budget_user(
    conn_id: str, dag_id: str, context: Context, *, within_s: float = CHECK_S
) -> Iterator[BudgetUser | None]:
    """Give who uses the request budget of an API's connection, while the context lasts; `None` if it has no budget.

    :param dag_id: whose share it uses, unless the connection names a tenant.
    :param within_s: for how long MongoDB is waited for at the beginning, in seconds.
    :raises BadConnection: if the budget can't work, or the connection of its MongoDB.
    :raises FanoutError: if its document can't be used; a MongoDB that doesn't answer is no reason not to begin.
    """
    budget = budget_of(conn_id)
    if budget is None:
        yield None
        return
    from airflow_fanout.mongo.budgets import BudgetDocument

    rank = rank_of(context["dag_run"].run_type)
    with mongo_login(budget.mongo_conn_id) as login:
        document = BudgetDocument(
            login.client, budget.database, budget.name, conn_id=login.conn_id, auth_source=login.auth_source
        )
        try:
            document.check(within_s)
        except FanoutError as error:
            if not error.retry:
                raise
        yield BudgetUser(budget, document, rank=rank, dag_id=dag_id)


def check_budget(conn_id: str, *, within_s: float = CHECK_S) -> None:
    """Check the request budget of an API's connection, if it has one, as far as that sends no request to the API.

    :raises FanoutError: for what keeps a fetch from using it; with `retry`, if MongoDB doesn't answer.
    """
    budget = budget_of(conn_id)
    if budget is None:
        return
    from airflow_fanout.mongo.budgets import BudgetDocument

    with mongo_login(budget.mongo_conn_id) as login:
        names: dict[str, Any] = {"conn_id": login.conn_id, "auth_source": login.auth_source}
        BudgetDocument(login.client, budget.database, budget.name, **names).check(within_s)


def check_without_budget(conn_id: str) -> None:
    """Raise `BadConnection` for a connection with a request budget, which would not be kept here."""
    if budget_of(conn_id) is not None:
        problem = 'has a "budget" in its extra, which only a fetch with a fixed http_conn_id keeps'
        raise BadConnection(conn_id, f"{problem}; give its parameters a report of their own")


class BudgetTurns:
    """The turns of a list under a request budget, and the MongoDB connection that they need."""

    def __init__(self, turns: ListTurns, stack: ExitStack) -> None:
        self._turns, self._stack = turns, stack
        self.wait, self.paused = turns.wait, turns.paused

    def close(self) -> None:
        """Leave the budget to the others."""
        self._turns.close()
        self._stack.close()


def turns_of(conn_id: str, dag_id: str, context: Context, *, note: Callable[[str], None]) -> BudgetTurns | None:
    """Return what lets the requests of a list through; `None` if the API of a connection has no request budget.

    :param note: takes a sentence for the log.
    :raises FanoutError: as `budget_user` does.
    """
    with ExitStack() as stack:
        user = stack.enter_context(budget_user(conn_id, dag_id, context))
        return None if user is None else BudgetTurns(ListTurns(user, note), stack.pop_all())
