"""A run, as the page shows it: who started it, which day it is about, and how far each of its reports is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from airflow_fanout.alerts.started import ORIGINS, shown_params
from airflow_fanout.page.advice import advice_on
from airflow_fanout.page.known_dag import KnownDag
from airflow_fanout.page.outline import Outline
from airflow_fanout.page.rows import StoredRun, StoredTask, day_of
from airflow_fanout.page.steps import steps_of
from airflow_fanout.page.words import sentence_of

ALIVE = ("queued", "running")
# Of each run, the page says how it came about.
ALL_ORIGINS = {**ORIGINS, "scheduled": "by its schedule"}
MOST_PARAMS = 50


def run_view(
    run: StoredRun, dag: KnownDag, tasks: Sequence[StoredTask], now: datetime, secret_names: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a run as plain values; its params are masked as in alerts.

    :param dag: its DAG.
    :param tasks: the tasks of all of its reports.
    :param now: by which the times of what goes on are counted.
    :param secret_names: parts of names of params that are secret, besides the usual ones.
    """
    reports = [_report(outline, run, tasks, now) for outline in dag.reports]
    params = shown_params(run.conf, dag.choices, secret_names)
    return {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "state": run.state,
        "alive": run.state in ALIVE,
        "origin": origin_of(run),
        "by": run.by,
        "backfill_id": run.backfill_id,
        "day": next((day for report in reports if (day := report["day"])), None),
        "params": [*islice(params, MOST_PARAMS)],
        "start": run.start,
        "end": run.end,
        "seconds": None if run.start is None else ((run.end or now) - run.start).total_seconds(),
        "reports": reports,
    }


def origin_of(run: StoredRun) -> str:
    """Return how a run came about, in words."""
    return ALL_ORIGINS.get(run.run_type, run.run_type)


def _report(outline: Outline, run: StoredRun, tasks: Sequence[StoredTask], now: datetime) -> dict[str, Any]:
    steps = steps_of(outline, tasks, now)
    by_name = {step["name"]: step for step in steps}
    advice = None if run.state in ALIVE else advice_on(steps)
    return {
        "name": outline.name,
        "day": day_of(by_name.get("extract", {}).get("numbers", {}).get("day")),
        "says": msgspec.to_builtins(sentence_of(run.state, steps, now)),
        "advice": None if advice is None else msgspec.to_builtins(advice),
        "steps": steps,
    }
