"""Which runs' directories have had their time."""

from __future__ import annotations

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

    def may_go(self, idle_days: float) -> bool:
        """Return whether there is any standing with which the directory would go."""
        return idle_days >= min(self.days, self.failed_days)

    def goes(self, standing: RunStatus, idle_days: float) -> bool:
        """Return whether the directory goes; that of a run that is alive never does."""
        if standing is RunStatus.ALIVE:
            return False
        return idle_days >= (self.days if standing is RunStatus.OVER else self.failed_days)
