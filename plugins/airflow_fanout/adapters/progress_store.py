"""Where the progress of a task goes, so that others see it while the task works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class ProgressStore(Protocol):
    """Keeps the last progress of one task."""

    def put(self, progress: Mapping[str, Any]) -> None:
        """Keep a progress, plain JSON, in place of the one before.

        It raises only what ends the task as well: `ConnectionError` and `EOFError` if its supervisor is gone.
        """


class TaskState:
    """Airflow's state store of a task, under the key `progress`. Airflow has it from version 3.3 on.

    :param context: the task's.
    :param log: gets one warning if the store keeps nothing.
    """

    def __init__(self, context: Mapping[str, Any], log: Any) -> None:
        self._context = context
        self._log = log
        self._has_failed = False

    def put(self, progress: Mapping[str, Any]) -> None:
        """Keep a progress in place of the one before."""
        try:
            self._context["task_state_store"].set("progress", dict(progress))
        except (ConnectionError, EOFError):
            # Nobody will hear of the end, and another try may have begun.
            raise
        except Exception as error:  # noqa: BLE001 - a picture of the work is not worth the work
            if not self._has_failed:
                self._log.warning("The progress could not be shown: %s: %s", type(error).__name__, error)
            self._has_failed = True
