"""One run of the report, from its start to its end, as Airflow's REST interface tells it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from harness.airflow import AirflowClient

TASKS = ("extract", "fetch", "validate", "load")
ENDED = frozenset({"success", "failed"})
POLL_S = 0.3
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Moment:
    """A run as it is now: its state, its tasks' states, and the fetch's progress once there is any."""

    state: str
    tasks: dict[str, dict[str, Any]]
    progress: dict[str, Any] = field(default_factory=dict)

    @property
    def current(self) -> str:
        """The task that runs, or is about to."""
        return next((name for name in TASKS if self.tasks.get(name, {}).get("state") not in ENDED), TASKS[-1])


def start_daily_run(client: AirflowClient, dag_id: str) -> str:
    """Let the scheduler start the DAG's newest daily run, again if it has run before; return its id."""
    client.wait_parsed(dag_id)
    before = {run["dag_run_id"] for run in client.runs(dag_id)}
    client.unpause(dag_id)
    run = _newest_due(client, dag_id)
    if run["dag_run_id"] in before and run["state"] in ENDED:
        client.clear_run(dag_id, run["dag_run_id"])
    return str(run["dag_run_id"])


def _newest_due(client: AirflowClient, dag_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        dag, runs = client.dag(dag_id), client.runs(dag_id)
        due = dag and dag["next_dagrun_run_after"]
        # Nothing is due any more: the newest run is that of today.
        if runs and due and datetime.fromisoformat(due) > datetime.now(UTC):
            return dict(runs[-1])
        time.sleep(POLL_S)
    raise TimeoutError(f"the scheduler has started no run of {dag_id} within {PATIENCE_S:g} s")


def moments(client: AirflowClient, dag_id: str, run_id: str) -> Iterator[Moment]:
    """Yield the run's state a few times a second, until it has ended."""
    while True:
        state = client.run(dag_id, run_id)["state"]
        tasks = {task["task_id"]: task for task in client.task_instances(dag_id, run_id)}
        fetching = tasks.get("fetch", {}).get("state") in {"running", "success"}
        progress = client.task_state(dag_id, run_id, "fetch").get("progress", {}) if fetching else {}
        yield Moment(state, tasks, progress)
        if state in ENDED:
            return
        time.sleep(POLL_S)
