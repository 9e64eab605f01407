"""When a task goes on that waits for the API's budget, and when it makes no sense to wait again."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_fanout.launch.errors import BudgetWait, QuotaTooSmall

# A parameter that needs more requests than the quota has begins again after each renewal, and never ends.
MOST_STALLED = 3


def resumption(wait: BudgetWait, now: datetime, stalled: int) -> tuple[datetime, int]:
    """Return the moment, in whole seconds, and after how many waits in a row no parameter has come to its end.

    :param stalled: that number before this wait.
    :raises QuotaTooSmall: if it has waited again and again, and no parameter came to its end in between.
    """
    stalled = 0 if wait.has_moved else stalled + 1
    if stalled >= MOST_STALLED:
        raise QuotaTooSmall(wait.waits_for, stalled) from wait
    # Rounded up: a task that comes back too early would be sent away again.
    return (now + timedelta(seconds=wait.seconds + 1)).replace(microsecond=0), stalled
