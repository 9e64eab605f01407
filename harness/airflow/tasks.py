"""Task instances, and what they leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.airflow.errors import TaskNotInState
from harness.airflow.paths import UNMAPPED, quoted, run_path, task_path, xcoms_path
from harness.airflow.session import PATIENCE_S, Json, Session
from harness.airflow.task_log import log_line

if TYPE_CHECKING:
    from collections.abc import Collection

TASK_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class Tasks(Session):
    """Single task instances: their states, logs, XComs, state stores and asset events."""

    def task_instance(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = UNMAPPED) -> Json:
        """Return one task instance: state, try_number, pid, rendered_fields and more."""
        return self.request("GET", task_path(dag_id, run_id, task_id, map_index))

    def rendered_fields(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = UNMAPPED) -> Json:
        """Return the template fields as the task saw them."""
        fields: Json = self.task_instance(dag_id, run_id, task_id, map_index=map_index)["rendered_fields"]
        return fields

    def wait_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        *,
        states: Collection[str] = TASK_ENDED,
        map_index: int = UNMAPPED,
        timeout_s: float = PATIENCE_S,
    ) -> Json:
        """Wait until the task instance is in one of the states, and return it."""

        def current() -> Json:
            return self.task_instance(dag_id, run_id, task_id, map_index=map_index)

        def reached() -> Json | None:
            task = current()
            return task if task["state"] in states else None

        return self._wait(reached, timeout_s, lambda: TaskNotInState(task_id, states, current()["state"], timeout_s))

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, *, map_index: int = UNMAPPED) -> None:
        """Set a state (success, failed, skipped), as the UI's buttons do; a running task is ended."""
        self.request("PATCH", task_path(dag_id, run_id, task_id, map_index), json={"new_state": state})

    def task_log(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        *,
        try_number: int | None = None,
        map_index: int = UNMAPPED,
    ) -> str:
        """Return the log of one try, by default the latest, a line an event; also while the task runs."""
        tried = try_number or self.task_instance(dag_id, run_id, task_id, map_index=map_index)["try_number"]
        path = f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task_id)}/logs/{tried}"
        answer = self.request("GET", path, params={"map_index": map_index, "full_content": True})
        return "\n".join(log_line(event) for event in answer["content"])

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, *, key: str = "return_value", map_index: int = UNMAPPED
    ) -> Any:
        """Return one XCom's value."""
        path = f"{xcoms_path(dag_id, run_id, task_id)}/{quoted(key)}"
        return self.request("GET", path, params={"map_index": map_index, "deserialize": True})["value"]

    def xcoms(self, dag_id: str, run_id: str, task_id: str = "~") -> list[Json]:
        """List the XComs of a run, or of one of its tasks, without their values: key, task_id, map_index."""
        return list(self._pages(xcoms_path(dag_id, run_id, task_id), "xcom_entries"))

    def task_state(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = UNMAPPED) -> Json:
        """Return the task's state store, key to value, also while the task runs."""
        path = f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task_id)}/state-store"
        entries = self._pages(path, "task_state_store", map_index=map_index)
        return {entry["key"]: entry["value"] for entry in entries}

    def asset_events(self, **wanted: str | int) -> list[Json]:
        """List asset events, the oldest first, narrowed by ``source_dag_id=`` or ``source_run_id=``."""
        return list(self._pages("/api/v2/assets/events", "asset_events", order_by="timestamp", **wanted))
