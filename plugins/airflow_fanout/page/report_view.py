"""A report over time: a row for each run, with its day, its outcome and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

import msgspec

from airflow_fanout.page.known_dag import KnownDag
from airflow_fanout.page.late import Late
from airflow_fanout.page.outline import Outline
from airflow_fanout.page.rows import RETURNED, NextRun, StoredBackfill, StoredDay, StoredRun, day_of
from airflow_fanout.page.run_view import origin_of

# A year of nights.
MOST_RUNS = 366


def report_view(
    dag_id: str,
    dag: KnownDag,
    runs: Sequence[StoredRun],
    sums: Iterable[Any],
    following: NextRun,
    late: Late | None,
    backfills: Iterable[StoredBackfill],
) -> dict[str, Any]:
    """Return the reports of a DAG over time, as plain values.

    :param runs: the newest first.
    :param sums: what the tasks of these runs have left, as `stored.sums` returns it.
    :param following: the run that comes next.
    """
    return {
        "dag_id": dag_id,
        "paused": following.paused,
        "due": following.due,
        "late": msgspec.to_builtins(late),
        "most": MOST_RUNS,
        "backfills": [_backfill(backfill, dag.zone) for backfill in backfills],
        "reports": _reports(dag.reports, runs[::-1], sums),
    }


def backfill_view(
    dag_id: str, dag: KnownDag, backfill: StoredBackfill, days: Sequence[StoredDay], sums: Iterable[Any]
) -> dict[str, Any]:
    """Return a backfill with its days, as plain values, and for each report what these days' runs have cost.

    :param days: in their order.
    :param sums: what the tasks of their runs have left.
    """
    runs = [day.run for day in days if day.run is not None]
    return {
        **_backfill(backfill, dag.zone),
        "dag_id": dag_id,
        "days_by_state": backfill.days,
        "days": [
            {
                "day": str(day.logical_date.astimezone(dag.zone).date()) if day.logical_date else day.partition or "",
                "state": day.state,
                "reason": day.reason,
                "run_id": day.run.run_id if day.run else None,
            }
            for day in days
        ],
        "reports": _reports(dag.reports, runs, sums),
    }


def _backfill(backfill: StoredBackfill, zone: tzinfo) -> dict[str, Any]:
    """Return a backfill with its first and last day in the DAG's time zone, as somebody has written them."""
    first, last = (str(moment.astimezone(zone).date()) for moment in (backfill.begin, backfill.end))
    return {**msgspec.to_builtins(backfill), "begin": first, "end": last}


def _reports(outlines: Sequence[Outline], runs: Sequence[StoredRun], sums: Iterable[Any]) -> list[dict[str, Any]]:
    by_run: dict[int, list[Any]] = {}
    for row in sums:
        by_run.setdefault(row.dag_run_id, []).append(row)
    return [
        {"name": outline.name, "runs": [_run(outline, run, by_run.get(run.id, [])) for run in runs]}
        for outline in outlines
    ]


def _run(outline: Outline, run: StoredRun, rows: Sequence[Any]) -> dict[str, Any]:
    """Return a run: each number from the step that knows it, and the outcomes from the last one that counted them."""
    by_step: dict[str, list[Any]] = {}
    for row in rows:
        if step := outline.step_of(row.task_id):
            by_step.setdefault(step, []).append(row)
    returned = {step: [row for row in of if row.key == RETURNED] for step, of in by_step.items()}
    fetched, validated, loaded = (returned.get(step, []) for step in ("fetch", "validate", "load"))
    seconds = max((row.seconds for row in fetched if row.seconds), default=None)
    parameters = _first(validated, "parameters") or _first(loaded, "parameters") or _total(fetched, "parameters")
    requests = _total(fetched, "requests")
    return {
        "run_id": run.run_id,
        "state": run.state,
        "origin": origin_of(run),
        "run_type": run.run_type,
        "backfill_id": run.backfill_id,
        "day": _day(run, [*loaded, *validated, *returned.get("extract", [])]),
        "start": run.start,
        "seconds": (run.end - run.start).total_seconds() if run.start and run.end else None,
        "parameters": parameters,
        "kinds": _kinds(by_step, validated, fetched),
        "coverage": _first(validated, "coverage"),
        "documents": _first(loaded, "documents"),
        "left_out": _first(loaded, "left_out") or 0,
        "requests": requests,
        "rate_per_s": round(requests / seconds, 1) if requests and seconds else None,
    }


def _day(run: StoredRun, rows: Iterable[Any]) -> str:
    return next((day for row in rows if (day := day_of(row.day))), str(run.run_after.date()))


def _kinds(by_step: Mapping[str, Sequence[Any]], validated: Sequence[Any], fetched: Sequence[Any]) -> dict[str, int]:
    """Return the outcomes by kind: as validate has counted them, else what a failure's note says, else fetch's."""
    if validated:
        return dict(validated[0].kinds or {})
    notes = [row.counts for step in ("validate", "fetch") for row in by_step.get(step, ()) if row.counts]
    if notes:
        causes: Counter[str] = Counter()
        for counts in notes:
            # A cause begins with its kind, as in "http_error 404".
            for cause, count in counts.get("causes", {}).items():
                causes[cause.partition(" ")[0]] += count
        total = max(counts.get("total", 0) for counts in notes)
        return {"ok": max(0, total - causes.total()), **causes}
    kinds: Counter[str] = Counter()
    for row in fetched:
        kinds.update(row.kinds or {})
    return dict(kinds)


def _first(rows: Sequence[Any], name: str) -> Any:
    return next((value for row in rows if (value := getattr(row, name)) is not None), None)


def _total(rows: Sequence[Any], name: str) -> int | None:
    values = [value for row in rows if (value := getattr(row, name)) is not None]
    return sum(values) if values else None
