"""What a task of ours leaves behind when it fails, so that one message can tell of all that failed in a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout

from airflow_fanout.alerts.note import KEY, Counts, FailureNote, describe, fitting

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)
TIMED_OUT = (
    "The task took longer than its execution_timeout. Raise the timeout, or find out what was slow. What was "
    "fetched isn't requested again."
)


@contextmanager
def noted(context: Context, counts: Callable[[], Counts | None] = lambda: None) -> Iterator[None]:
    """Write a failure down as the task's XCom, and let it go on; Airflow removes the note when the task runs again.

    :param counts: what the task knows by then of missing parameters.
    """
    try:
        yield
    except AirflowSkipException:
        raise
    except (Exception, AirflowTaskTimeout) as error:
        _leave(context, error, counts)
        raise


def _leave(context: Context, error: BaseException, counts: Callable[[], Counts | None]) -> None:
    try:
        task = context["ti"]
        kind, message = describe(error)
        note = FailureNote(
            task_id=task.task_id,
            map_index=-1 if task.map_index is None else task.map_index,
            error=kind,
            message=TIMED_OUT if isinstance(error, AirflowTaskTimeout) else message,
            counts=counts(),
        )
        task.xcom_push(KEY, msgspec.to_builtins(fitting(note)))
    except Exception:
        log.warning("The failure could not be noted for the run's alert.", exc_info=True)
