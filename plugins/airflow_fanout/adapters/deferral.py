"""A task gives its worker slot back until it may send again, and goes on in the same try.

Airflow's part (3.3): a resumed task has its whole `execution_timeout` again, keeps its try number, its start date and
its XComs, and calls `on_execute_callback` once more. `dagrun_timeout` and deadlines go on while a task is deferred.
Clearing it, or marking it, ends the wait; `on_kill` isn't called then, and nothing runs that it could end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_fanout.launch.errors import BudgetWait
from airflow_fanout.launch.resumption import resumption

if TYPE_CHECKING:
    from airflow_fanout.adapters.operator import EngineOperator

# So long after its end Airflow's scheduler ends the wait itself: without a triggerer nobody else does.
OVERDUE = timedelta(minutes=5)


def hand_back(operator: EngineOperator, wait: BudgetWait, show: Callable[[str, datetime], object]) -> NoReturn:
    """Defer the task until the wait is over.

    :param show: is called with what is waited for, and until when.
    :raises QuotaTooSmall: if it has waited again and again, and no parameter came to its end in between.
    """
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger

    moment, stalled = resumption(wait, datetime.now(UTC), operator.stalled)
    show(wait.waits_for, moment)
    operator.log.warning(
        "%s The task gives its worker slot back until %s, and goes on in the same try. This needs a triggerer; "
        "without one, Airflow's scheduler resumes the task %d minutes later.",
        wait,
        moment.isoformat(),
        OVERDUE.total_seconds() // 60,
    )
    timeout = moment + OVERDUE - datetime.now(UTC)
    operator.defer(
        trigger=DateTimeTrigger(moment=moment), method_name="resume", kwargs={"stalled": stalled}, timeout=timeout
    )


def is_overdue(method: str, arguments: Mapping[str, Any] | None) -> bool:
    """Return whether Airflow resumes a task because nothing has ended its wait in time.

    Airflow then calls a method that isn't the task's, with the name of the failure.
    """
    from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason

    return method == TRIGGER_FAIL_REPR and (arguments or {}).get("error") == TriggerFailureReason.TRIGGER_TIMEOUT
