"""Whether a run still goes on, and whether Airflow still needs its files."""

from __future__ import annotations

from typing import Protocol

from airflow_fanout.staging.retention import RunStatus
from airflow_fanout.staging.store import StagedRun

ALIVE = ["queued", "running"]


class Airflow(Protocol):
    """The part of a task instance that knows of all runs."""

    def get_dr_count(self, dag_id: str, *, run_ids: list[str], states: list[str]) -> int:
        """Return how many of these runs are in one of these states."""


def is_alive(airflow: Airflow, dag_id: str, run_id: str) -> bool:
    """Return whether a run waits for its beginning, or goes on."""
    return bool(airflow.get_dr_count(dag_id, run_ids=[run_id], states=ALIVE))


def status_of(run: StagedRun, airflow: Airflow) -> RunStatus:
    """Return what a run is to whoever may still want its files."""
    if run.dag_id is None or run.run_id is None:
        return RunStatus.UNKNOWN
    for status, states in ((RunStatus.ALIVE, ALIVE), (RunStatus.FAILED, ["failed"])):
        if airflow.get_dr_count(run.dag_id, run_ids=[run.run_id], states=states):
            return status
    return RunStatus.OVER
