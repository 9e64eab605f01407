"""A run, as the page shows it: who started it, which day it is about, and how far each of its reports is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from airflow_fanout.page.advice import advice_on
from airflow_fanout.page.outline import Outline
from airflow_fanout.page.rows import StoredRun, StoredTask
from airflow_fanout.page.steps import steps_of
from airflow_fanout.page.words import sentence_of

ALIVE = ("queued", "running")
# How a run came about, by Airflow's own types.
ORIGINS = {
    "scheduled": "by its schedule",
    "manual": "by hand",
    "backfill": "by a backfill",
    "asset_triggered": "by an asset",
    "asset_materialization": "by hand, for its asset",
    "operator_triggered": "by another DAG",
}
# A list of telephone numbers is nothing to show, and a text of a page is none to read.
LONGEST_PARAM = 200


def run_view(run: StoredRun, outlines: Sequence[Outline], tasks: Sequence[StoredTask], now: datetime) -> dict[str, Any]:
    """Return a run as plain values.

    :param outlines: the reports of its DAG.
    :param tasks: the tasks of all of them.
    :param now: by which the times of what goes on are counted.
    """
    reports = [_report(outline, run, tasks, now) for outline in outlines]
    return {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "state": run.state,
        "alive": run.state in ALIVE,
        "origin": origin_of(run),
        "by": run.by,
        "day": next((day for report in reports if (day := report["day"])), None),
        "params": {name: shown_param(value) for name, value in run.conf.items() if value not in (None, "", [], {})},
        "start": run.start,
        "end": run.end,
        "seconds": None if run.start is None else ((run.end or now) - run.start).total_seconds(),
        "reports": reports,
    }


def origin_of(run: StoredRun) -> str:
    """Return how a run came about, in words."""
    return ORIGINS.get(run.run_type, run.run_type)


def shown_param(value: Any) -> Any:
    """Return a param of a run as the page shows it: of a list only its length, since its items may be personal."""
    if isinstance(value, list | tuple | Mapping):
        return f"{len(value):,} {'value' if len(value) == 1 else 'values'}"
    text = str(value)
    return value if isinstance(value, bool | int | float) or len(text) <= LONGEST_PARAM else f"{text[:LONGEST_PARAM]}…"


def _report(outline: Outline, run: StoredRun, tasks: Sequence[StoredTask], now: datetime) -> dict[str, Any]:
    steps = steps_of(outline, tasks, now)
    by_name = {step["name"]: step for step in steps}
    advice = None if run.state in ALIVE else advice_on(steps)
    return {
        "name": outline.name,
        "day": by_name.get("extract", {}).get("numbers", {}).get("day"),
        "says": msgspec.to_builtins(sentence_of(run.state, steps)),
        "advice": None if advice is None else msgspec.to_builtins(advice),
        "steps": steps,
    }
