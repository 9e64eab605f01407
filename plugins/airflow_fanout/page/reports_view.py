"""All reports: a row for each, with its last good day, its next run, and its last runs as a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_fanout.page.outline import Outline
from airflow_fanout.page.rows import StoredRun

RECENT_RUNS = 30


def reports_view(
    outlines: Mapping[str, Sequence[Outline]],
    runs: Sequence[StoredRun],
    sums: Iterable[Any],
    due: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return a row for each DAG that has reports, as plain values, those that need somebody first.

    :param runs: the newest ones of all of these DAGs, the newest first.
    :param sums: what their load tasks have returned.
    :param due: of each DAG, as `stored.next_runs` returns it.
    """
    loaded = {row.dag_run_id: row for row in sums if row.documents is not None}
    by_dag: dict[str, list[StoredRun]] = {dag_id: [] for dag_id in outlines}
    for run in runs:
        by_dag[run.dag_id].append(run)
    rows = [_row(dag_id, by_dag[dag_id], loaded, due.get(dag_id, {})) for dag_id in outlines]
    return sorted(rows, key=lambda row: (row["state"] != "failed", row["dag_id"]))


def _row(dag_id: str, runs: Sequence[StoredRun], loaded: Mapping[int, Any], due: Mapping[str, Any]) -> dict[str, Any]:
    newest = runs[0] if runs else None
    good = next((run for run in runs if run.state == "success" and run.id in loaded), None)
    return {
        "dag_id": dag_id,
        "paused": due.get("paused", False),
        "due": due.get("due"),
        "state": newest.state if newest else "none",
        "run_id": newest.run_id if newest else None,
        "good_day": str(loaded[good.id].day) if good else None,
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
