"""A DAG run as a test sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from airflow_fanout.model.outcome import Record
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.results import Results
from harness.airflow import AirflowClient

# Nothing that works takes so long, on however busy a machine; a test that waits longer is stuck.
HANG_S = 300.0


@dataclass(frozen=True)
class Run:
    """One run of a DAG."""

    client: AirflowClient
    dag_id: str
    run_id: str

    @classmethod
    def trigger(
        cls,
        client: AirflowClient,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        *,
        logical_date: datetime | None = None,
    ) -> Self:
        """Start a run."""
        return cls(client, dag_id, client.trigger(dag_id, conf=conf, logical_date=logical_date))

    @property
    def states(self) -> dict[str, str | None]:
        """The state of each task instance."""
        return self.client.task_states(self.dag_id, self.run_id)

    def ended(self, *, timeout_s: float = HANG_S) -> str:
        """Wait for the run's end and return its state."""
        return str(self.client.wait_run(self.dag_id, self.run_id, timeout_s=timeout_s)["state"])

    def succeeded(self) -> None:
        """Wait for the run's end; unless it is a success, fail with the logs of the tasks that failed."""
        state = self.ended()
        failed = [task for task in self.client.task_instances(self.dag_id, self.run_id) if task["state"] == "failed"]
        assert state == "success", "\n".join(self.log(task["task_id"], task["map_index"]) for task in failed)

    def clear(self, *tasks: str | tuple[str, int]) -> None:
        """Let tasks, and what follows them, be run again; all of the run if none is named."""
        if tasks:
            self.client.clear_tasks(self.dag_id, self.run_id, tasks)
        else:
            self.client.clear_run(self.dag_id, self.run_id)

    def task(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return a task instance."""
        return self.client.task_instance(self.dag_id, self.run_id, task_id, map_index=map_index)

    def tries(self, task_id: str, map_index: int = -1) -> int:
        """Return how many tries a task has had."""
        return int(self.task(task_id, map_index)["try_number"])

    def returned(self, task_id: str, map_index: int = -1) -> Any:
        """Return what a task returned."""
        return self.client.xcom(self.dag_id, self.run_id, task_id, map_index=map_index)

    def log(self, task_id: str, map_index: int = -1) -> str:
        """Return the log of a task's latest try."""
        return self.client.task_log(self.dag_id, self.run_id, task_id, map_index=map_index)

    def fetching(self, done: int, *, map_index: int = -1, within_s: float = HANG_S) -> None:
        """Wait until the running fetch says to have done so many parameters."""
        until(lambda: self._done(map_index) >= done, within_s=within_s, what=f"{done} done by fetch of {self.run_id}")

    def _done(self, map_index: int) -> int:
        label = "fetch" if map_index < 0 else f"fetch[{map_index}]"
        if label not in self.states:
            return 0
        assert self.states[label] != "failed", self.log("fetch", map_index)
        shown = self.client.task_state(self.dag_id, self.run_id, "fetch", map_index=map_index)
        return int(shown.get("progress", {}).get("done", 0))

    def records(self) -> list[Record]:
        """Return the records of the journal that count."""
        listed = self.returned("extract")
        directory = list_at((listed[0] if isinstance(listed, list) else listed)["directory"])
        return list(Results(directory, read_manifest(directory)).records())

    def shown(self) -> str:
        """Return all that the UI can show of the run: XComs, rendered fields, logs."""
        entries = self.client.xcoms(self.dag_id, self.run_id)
        keys = [(entry["task_id"], entry["key"], entry["map_index"]) for entry in entries]
        values = [self.client.xcom(self.dag_id, self.run_id, task, key=key, map_index=at) for task, key, at in keys]
        tasks = self.client.task_instances(self.dag_id, self.run_id)
        names = [task["task_id"] for task in tasks if task["start_date"]]
        stored = [self.client.task_state(self.dag_id, self.run_id, name) for name in names]
        return json.dumps([keys, values, tasks, stored, *map(self.log, names)])


def until(look: Callable[[], Any], *, what: str, within_s: float = HANG_S) -> Any:
    """Look until there is something, and return it."""
    begun = time.monotonic()
    while not (found := look()):
        waited_s = time.monotonic() - begun
        assert waited_s < within_s, f"not within {within_s:g} s: {what}"
        # Each look costs Airflow's servers some milliseconds, of which the tasks of other tests have more use.
        time.sleep(min(0.1 + waited_s / 20, 1.0))
    return found
