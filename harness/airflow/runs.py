"""Runs of a DAG, and the task instances that each consists of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.airflow.errors import RunNotFinished
from harness.airflow.paths import UNMAPPED, dag_path, run_path
from harness.airflow.session import PATIENCE_S, Json, Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

RUN_ENDED = frozenset({"success", "failed"})


class Runs(Session):
    """Runs: created, watched, cleared."""

    def trigger(
        self,
        dag_id: str,
        *,
        logical_date: datetime | None = None,
        conf: Mapping[str, Any] | None = None,
        run_id: str | None = None,
    ) -> str:
        """Create a run and return its id; it starts only if the DAG isn't paused."""
        run = {
            "logical_date": logical_date and logical_date.isoformat(),
            "conf": dict(conf or {}),
            "dag_run_id": run_id,
        }
        return str(self.request("POST", f"{dag_path(dag_id)}/dagRuns", json=run)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Json:
        """Return one run: state, conf, logical_date, start_date, end_date and more."""
        return self.request("GET", run_path(dag_id, run_id))

    def runs(self, dag_id: str) -> list[Json]:
        """List the runs of a DAG, the oldest first."""
        return list(self._pages(f"{dag_path(dag_id)}/dagRuns", "dag_runs", order_by="run_after"))

    def wait_run(self, dag_id: str, run_id: str, *, timeout_s: float = PATIENCE_S) -> Json:
        """Wait for the run's end, be it success or failed, and return the run."""

        def ended() -> Json | None:
            run = self.run(dag_id, run_id)
            return run if run["state"] in RUN_ENDED else None

        return self._wait(
            ended,
            timeout_s,
            lambda: RunNotFinished(dag_id, run_id, timeout_s, self.task_states(dag_id, run_id)),
        )

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """List the task instances of a run, each mapped one by itself."""
        return list(self._pages(f"{run_path(dag_id, run_id)}/taskInstances", "task_instances"))

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task instance, under ``task_id``, or ``task_id[map_index]`` if mapped."""
        return {_label(task): task["state"] for task in self.task_instances(dag_id, run_id)}

    def clear_run(self, dag_id: str, run_id: str, *, only_failed: bool = False) -> None:
        """Let all tasks of the run, or those that failed, be run again."""
        self.request("POST", f"{run_path(dag_id, run_id)}/clear", json={"dry_run": False, "only_failed": only_failed})

    def clear_tasks(
        self,
        dag_id: str,
        run_id: str,
        tasks: Sequence[str | tuple[str, int]],
        *,
        downstream: bool = True,
        only_failed: bool = False,
    ) -> list[Json]:
        """Let tasks, or instances as (task, map index), and what follows them be run again; list them."""
        wanted = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(tasks),
            "include_downstream": downstream,
            "only_failed": only_failed,
        }
        cleared = self.request("POST", f"{dag_path(dag_id)}/clearTaskInstances", json=wanted)
        return list(cleared["task_instances"])


def _label(task: Json) -> str:
    return task["task_id"] if task["map_index"] == UNMAPPED else f"{task['task_id']}[{task['map_index']}]"
