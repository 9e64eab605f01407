"""All reports: a row for each, with its last good day, its next run, and its last runs as a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from airflow_fanout.page.known_dag import KnownDag
from airflow_fanout.page.late import Late, late
from airflow_fanout.page.rows import NextRun, StoredRun, day_of

RECENT_RUNS = 30


def reports_view(
    dags: Mapping[str, KnownDag],
    runs: Sequence[StoredRun],
    sums: Iterable[Any],
    following: Mapping[str, NextRun],
    passed: Mapping[int, datetime],
    now: datetime,
) -> list[dict[str, Any]]:
    """Return a row for each DAG that has reports, as plain values, those that need somebody first.

    :param runs: the newest ones of all of these DAGs, the newest first.
    :param sums: what their load tasks have returned.
    :param following: the next run of each DAG.
    :param passed: the deadlines that these runs have missed, by the run's id.
    """
    loaded = {row.dag_run_id: row for row in sums if row.documents is not None}
    by_dag: dict[str, list[StoredRun]] = {dag_id: [] for dag_id in dags}
    for run in runs:
        by_dag[run.dag_id].append(run)
    rows = []
    for dag_id, dag in dags.items():
        coming = following.get(dag_id, NextRun())
        missed = late(by_dag[dag_id], passed, coming, dag.deadlines, now)
        rows.append(_row(dag_id, by_dag[dag_id], loaded, coming, missed))
    return sorted(rows, key=lambda row: (row["state"] != "failed", row["late"] is None, row["dag_id"]))


def _row(
    dag_id: str, runs: Sequence[StoredRun], loaded: Mapping[int, Any], following: NextRun, missed: Late | None
) -> dict[str, Any]:
    newest = runs[0] if runs else None
    last_load = loaded.get(newest.id) if newest and newest.state == "success" else None
    is_partial = last_load is not None and last_load.left_out
    good = next((run for run in runs if run.state == "success" and run.id in loaded), None)
    return {
        "dag_id": dag_id,
        "paused": following.paused,
        "due": following.due,
        "late": msgspec.to_builtins(missed),
        "state": "partial" if is_partial else newest.state if newest else "none",
        "run_id": newest.run_id if newest else None,
        "good_day": (day_of(loaded[good.id].day) or str(good.run_after.date())) if good else None,
        "good_run_id": good.run_id if good else None,
        "documents": loaded[good.id].documents if good else None,
        "runs": [
            {
                "run_id": run.run_id,
                "state": run.state,
                "documents": loaded[run.id].documents if run.id in loaded else None,
                "seconds": (run.end - run.start).total_seconds() if run.start and run.end else None,
            }
            for run in reversed(runs)
        ],
    }
