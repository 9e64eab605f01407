"""clean: the staging area without the runs that nobody will go on with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from airflow.sdk import BaseOperator, Context

from airflow_fanout.adapters.border import airflow_errors, staging_store
from airflow_fanout.adapters.run_status import Airflow, status_of
from airflow_fanout.adapters.templates import TextTemplates
from airflow_fanout.model.rendered import is_yes, whole_number
from airflow_fanout.staging.errors import NotCleaned
from airflow_fanout.staging.left_out import RunLeftOut, forgotten
from airflow_fanout.staging.leftovers import Leftovers
from airflow_fanout.staging.retention import RetentionPolicy
from airflow_fanout.staging.store import Store

DAY_S = 86_400


class CleanStagingOperator(TextTemplates, BaseOperator):
    """Remove the directories of runs that are over from the staging area, of all DAGs.

    The directory of a run that Airflow calls queued or running is never touched; the histories of good runs stay, too.

    :param keep_days: for how many days after its last change a directory stays, when its run has succeeded or has been
        deleted; a number, or a template that gives one. With 0, it goes with the next cleaning.
    :param keep_failed_days: the same for a run that has failed: after that it can't be completed by clearing fetch.
    :param dry_run: whether to say only what would be removed; a template, such as `{{ params.dry_run }}`.

    Whatever it meets, it goes on with the rest. What isn't ours, and symbolic links, are left and told in the log; what
    can't be read or removed fails the task at its end, with one message.

    What a partial run has left out is removed, too, once the days for which later runs ask for it and then
    `keep_days` are over.

    Returns how many runs it has found, how many of them it has removed (or would), how many bytes they had, of how many
    runs it has removed what they left out, and how many entries of the staging area it has left because they aren't
    ours.
    """

    template_fields: Sequence[str] = ("keep_days", "keep_failed_days", "is_dry_run")
    ui_color = "#e8e4d8"

    def __init__(
        self,
        *,
        keep_days: int | str = 7,
        keep_failed_days: int | str = 30,
        dry_run: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.keep_days = keep_days
        self.keep_failed_days = keep_failed_days
        # Every operator of Airflow has a method named `dry_run`.
        self.is_dry_run = dry_run

    def execute(self, context: Context) -> dict[str, Any]:
        """Remove what has had its time."""
        with airflow_errors():
            keep = RetentionPolicy(
                days=whole_number("keep_days", self.keep_days, least=0),
                failed_days=whole_number("keep_failed_days", self.keep_failed_days),
            )
            dry_run = is_yes("dry_run", self.is_dry_run)
            store, left = staging_store(), Leftovers()
            if not dry_run:
                store.finish_removals(left)
            summary = self._sweep(store, left, keep, context["ti"], dry_run=dry_run)
            self.log.info("%s %s", "Would remove" if dry_run else "Removed", summary)
            for entry in left:
                self.log.warning("Left as it is: %s", entry)
            failures = [str(entry) for entry in left if entry.is_failure]
            if failures and not dry_run:
                raise NotCleaned(tuple(failures))
            return summary

    def _sweep(
        self, store: Store, left: Leftovers, keep: RetentionPolicy, airflow: Airflow, *, dry_run: bool
    ) -> dict[str, int]:
        summary = {"runs": 0, "removed": 0, "bytes": 0}
        for run in store.runs(left):
            summary["runs"] += 1
            with left.going_on():
                idle_days = (time.time() - run.changed()) / DAY_S
                if (status := keep.goes(idle_days, partial(status_of, run, airflow))) is not None:
                    self.log.info("%s: %s, unchanged for %.1f days", run, status, idle_days)
                    summary["bytes"] += run.size() if dry_run else run.remove()
                    summary["removed"] += 1
        return {
            **summary,
            "left_out": self._remove_left_outs(store, left, keep.days, dry_run=dry_run),
            "left": len(left),
        }

    def _remove_left_outs(self, store: Store, left: Leftovers, days: int, *, dry_run: bool) -> int:
        """Remove what partial runs have left out and no later run has asked for, and return of how many runs."""
        locations: list[RunLeftOut] = []
        for dag_key in store.names(""):
            # What can't be read, the walk over the runs has reported.
            with Leftovers().going_on():
                locations += forgotten(store, dag_key, days, self.log.warning)
        for location in () if dry_run else locations:
            with left.going_on():
                location.remove()
        return len(locations)
