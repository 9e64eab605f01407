"""Shows what an engine says, above all its progress: in the task's log, its state store, and the run's directory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, assert_never

from msgspec.structs import replace

from airflow_fanout.adapters.course import Course
from airflow_fanout.adapters.progress_store import ProgressStore
from airflow_fanout.launch.messages import (
    DamagedPart,
    Ended,
    Failed,
    FetchMessage,
    Output,
    ProgressReport,
    Remark,
    Warned,
)
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.waits import Reason
from airflow_fanout.staging.live import ProgressSnapshot
from airflow_fanout.staging.store import Location

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

# Each second into the state store; into the log each second at first, then every tenth, and whenever a wait begins or
# ends.
LOGGED_EACH_SECOND = 10
MOST_CAUSES = 8
# Into the run's directory.
GLIMPSED_EACH_SECOND = 5


class Reporter:
    """Takes what an engine says, above all of its progress.

    :param store: gets it each second.
    :param glimpse: the file for those who can't ask Airflow: the callback of a deadline.
    """

    def __init__(self, log: Logger, store: ProgressStore, glimpse: Location) -> None:
        self._log = log
        self._store = store
        self._location = glimpse
        self._course = Course()
        self._seconds = 0
        self._waits_for: Reason | None = None

    def hear(self, message: FetchMessage) -> None:
        """Take a message of the engines: show the progress, and write all else into the log."""
        match message:
            case ProgressReport():
                self.show(message.progress)
            case Ended():
                self.end(message.progress)
            case Failed():
                # An engine that has failed itself has no progress to tell.
                pass
            case Output(text):
                self._log.info("[engine] %s", text)
            case Remark(text):
                self._log.info("%s", text)
            case Warned(text):
                self._log.warning("%s", text)
            case DamagedPart(path):
                self._log.error("The journal part %s is damaged; its parameters are fetched again.", path)
            case _:
                assert_never(message)

    def show(self, progress: Progress) -> None:
        """Show what is done so far; called about once a second."""
        self._seconds += 1
        if self._seconds % GLIMPSED_EACH_SECOND == 1:
            self._glimpse(progress)
        self._course.add(progress)
        self._store.put({**progress.now(), **self._picture(progress)})
        reason = progress.wait.reason if progress.wait else None
        is_new, self._waits_for = reason != self._waits_for, reason
        if is_new or self._seconds <= LOGGED_EACH_SECOND or self._seconds % LOGGED_EACH_SECOND == 0:
            self._log.info("%s", progress.line())

    def end(self, progress: Progress) -> None:
        """Keep how far it has come: what is stored is what the task returns, whatever was shown before."""
        self._glimpse(progress)
        self._store.put({**progress.summary(), **self._picture(progress)})

    def defer(self, progress: Progress, waits_for: str, until: datetime) -> None:
        """Keep how far it has come, what it waits for without a worker slot, and until when."""
        snapshot = ProgressSnapshot.of(progress, datetime.now(UTC))
        self._write(replace(snapshot, rate_per_s=0.0, waits_for=waits_for, deferred_until=until))
        deferred = {"waits_for": waits_for, "deferred_until": until.isoformat(timespec="seconds")}
        budget = {"budget": progress.budget.plain()} if progress.budget else {}
        self._store.put({**progress.summary(), **deferred, **budget, **self._picture(progress)})

    def _picture(self, progress: Progress) -> dict[str, Any]:
        """Return what only the page shows: why attempts have failed, and the moments of the plots."""
        return {"failures": dict(progress.failures.most_common(MOST_CAUSES)), "course": self._course.table()}

    def _glimpse(self, progress: Progress) -> None:
        self._write(ProgressSnapshot.of(progress, datetime.now(UTC)))

    def _write(self, snapshot: ProgressSnapshot) -> None:
        try:
            snapshot.write(self._location)
        except OSError as error:
            self._log.warning("The progress could not be written: %s: %s", type(error).__name__, error)
