"""Which runs' directories have had their time."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec


class RunStatus(StrEnum):
    """What a run is to whoever may still want its files."""

    ALIVE = "alive"  # queued or running: so is a run whose task is deferred, or waits for its next try
    FAILED = "failed"  # clearing it goes on where it stopped
    UNKNOWN = "unknown"  # its directory's name doesn't say which run it is
    OVER = "over"  # it has succeeded, or Airflow has forgotten it


class RetentionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How many days a directory stays after its last change.

    :param days: when its run has succeeded, or is no longer known to Airflow.
    :param failed_days: when its run has failed, and may be completed by clearing it.
    """

    days: int
    failed_days: int

    def goes(self, idle_days: float, ask: Callable[[], RunStatus]) -> RunStatus | None:
        """Return the status with which a run's directory goes; `None` if it stays, as that of a run that is alive does.

        :param idle_days: for how long nothing has changed in it.
        :param ask: returns the run's status; it is called only if the directory goes with any.
        """
        if idle_days < min(self.days, self.failed_days):
            return None
        status = ask()
        is_old = idle_days >= (self.days if status is RunStatus.OVER else self.failed_days)
        return status if is_old and status is not RunStatus.ALIVE else None
