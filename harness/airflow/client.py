"""Airflow's REST interface, as far as the demo, the tests and the benchmark need it; answers are Airflow's own JSON."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

import requests

from harness.airflow.errors import (
    BackfillNotCompleted,
    DagImportFailed,
    DagNotParsed,
    RequestRefused,
    RunNotFinished,
    TaskNotInState,
)
from harness.airflow.task_log import log_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

Json = dict[str, Any]
Found = TypeVar("Found")

RUN_ENDED = frozenset({"success", "failed"})
TASK_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
UNMAPPED = -1
# The longer the wait, the longer between two looks: each costs the server some milliseconds.
POLL_S, SELDOM_S, SLOWING = 0.2, 1.0, 20
# On a machine with nothing else to do an answer takes a second or two; what takes this long is stuck.
PATIENCE_S = 300.0
# Airflow answers at most this many rows at once.
PAGE = 100
# Longer than a writer may wait for the metadata database.
REQUEST_TIMEOUT_S = 60.0

_BACKFILLS = "/api/v2/backfills"
_NOT_FOUND = 404
_JSON = {"Accept": "application/json"}


class AirflowClient:
    """A session with Airflow's REST interface, nobody's until logged in; a refusal is a RequestRefused.

    ``check`` is called while a method waits; what it raises ends the waiting.
    """

    def __init__(self, url: str, *, check: Callable[[], None] = lambda: None) -> None:
        self.url = url
        self._check = check
        self._session = requests.Session()
        # The environment may name a proxy, or a netrc entry that would replace the token.
        self._session.trust_env = False

    def log_in(self, user: str, password: str) -> Self:
        """Exchange a name and a password for a token, which is good for a day."""
        token = self.request("POST", "/auth/token", json={"username": user, "password": password})
        self._session.headers["Authorization"] = f"Bearer {token['access_token']}"
        return self

    def __repr__(self) -> str:
        return f"<AirflowClient {self.url}>"

    def close(self) -> None:
        """Close the connections; a closed client opens new ones if it is used again."""
        self._session.close()

    def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Json | None = None
    ) -> Json:
        """Send one request to a path of the server and return its JSON object, empty for no content."""
        answer = self._session.request(
            method, self.url + path, params=params, json=json, timeout=REQUEST_TIMEOUT_S, headers=_JSON
        )
        if not answer.ok:
            raise RequestRefused(method, path, answer.status_code, answer.text)
        body: Json = answer.json() if answer.content else {}
        return body

    # DAGs

    def dag(self, dag_id: str) -> Json | None:
        """Return the DAG as Airflow knows it, or None while it is not parsed."""
        return _or_none(lambda: self.request("GET", _dag(dag_id)), _NOT_FOUND)

    def import_errors(self) -> list[Json]:
        """List the DAG files that can't be imported: filename, stack_trace, timestamp."""
        return list(self._pages("/api/v2/importErrors", "import_errors"))

    def wait_parsed(
        self, dag_id: str, *, file: Path | None = None, since: datetime | None = None, timeout_s: float = PATIENCE_S
    ) -> Json:
        """Wait until the DAG is parsed (again, after ``since``) and return it.

        Raises DagImportFailed as soon as the given file can't be imported. Without a file nothing says which of the
        import errors is meant: they are then told by DagNotParsed, when the time is up.
        """

        def parsed() -> Json | None:
            dag = self.dag(dag_id)
            if dag and not dag["is_stale"] and (since is None or _moment(dag["last_parsed_time"]) > since):
                return dag
            if file:
                self._raise_import_error(file, since)
            return None

        return self._wait(parsed, timeout_s, lambda: DagNotParsed(dag_id, timeout_s, self.import_errors()))

    def unpause(self, dag_id: str) -> Json:
        """Let the scheduler start the DAG's runs; a new DAG is paused."""
        return self.request("PATCH", _dag(dag_id), json={"is_paused": False})

    def pause(self, dag_id: str) -> Json:
        """Keep the scheduler from starting further runs and tasks of the DAG."""
        return self.request("PATCH", _dag(dag_id), json={"is_paused": True})

    # Runs

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
        return str(self.request("POST", f"{_dag(dag_id)}/dagRuns", json=run)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Json:
        """Return one run: state, conf, logical_date, start_date, end_date and more."""
        return self.request("GET", _run(dag_id, run_id))

    def runs(self, dag_id: str) -> list[Json]:
        """List the runs of a DAG, the oldest first."""
        return list(self._pages(f"{_dag(dag_id)}/dagRuns", "dag_runs", order_by="run_after"))

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

    def clear_run(self, dag_id: str, run_id: str, *, only_failed: bool = False) -> None:
        """Let all tasks of the run, or those that failed, be run again."""
        self.request("POST", f"{_run(dag_id, run_id)}/clear", json={"dry_run": False, "only_failed": only_failed})

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
        cleared = self.request("POST", f"{_dag(dag_id)}/clearTaskInstances", json=wanted)
        return list(cleared["task_instances"])

    # Task instances

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """List the task instances of a run, each mapped one by itself."""
        return list(self._pages(f"{_run(dag_id, run_id)}/taskInstances", "task_instances"))

    def task_instance(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = UNMAPPED) -> Json:
        """Return one task instance: state, try_number, pid, rendered_fields and more."""
        return self.request("GET", _task(dag_id, run_id, task_id, map_index))

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task instance, under ``task_id``, or ``task_id[map_index]`` if mapped."""
        return {_label(task): task["state"] for task in self.task_instances(dag_id, run_id)}

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
        self.request("PATCH", _task(dag_id, run_id, task_id, map_index), json={"new_state": state})

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
        path = f"{_run(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/logs/{tried}"
        answer = self.request("GET", path, params={"map_index": map_index, "full_content": True})
        return "\n".join(log_line(event) for event in answer["content"])

    # What tasks leave behind

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, *, key: str = "return_value", map_index: int = UNMAPPED
    ) -> Any:
        """Return one XCom's value."""
        path = f"{_xcoms(dag_id, run_id, task_id)}/{_quoted(key)}"
        return self.request("GET", path, params={"map_index": map_index, "deserialize": True})["value"]

    def xcoms(self, dag_id: str, run_id: str, task_id: str = "~") -> list[Json]:
        """List the XComs of a run, or of one of its tasks, without their values: key, task_id, map_index."""
        return list(self._pages(_xcoms(dag_id, run_id, task_id), "xcom_entries"))

    def task_state(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = UNMAPPED) -> Json:
        """Return the task's state store, key to value, also while the task runs."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/state-store"
        entries = self._pages(path, "task_state_store", map_index=map_index)
        return {entry["key"]: entry["value"] for entry in entries}

    def asset_events(self, **wanted: str | int) -> list[Json]:
        """List asset events, the oldest first, narrowed by ``source_dag_id=`` or ``source_run_id=``."""
        return list(self._pages("/api/v2/assets/events", "asset_events", order_by="timestamp", **wanted))

    # Backfills

    def create_backfill(
        self,
        dag_id: str,
        start: datetime,
        end: datetime,
        *,
        max_active_runs: int = 10,
        reprocess: str = "none",
        backwards: bool = False,
        conf: Mapping[str, Any] | None = None,
    ) -> int:
        """Create a backfill from start to end, both included, and return its id.

        Dates that have a run get another as ``reprocess`` says: "none", "failed" or "completed" ones.
        """
        wanted = {
            "dag_id": dag_id,
            "from_date": start.isoformat(),
            "to_date": end.isoformat(),
            "max_active_runs": max_active_runs,
            "reprocess_behavior": reprocess,
            "run_backwards": backwards,
            "dag_run_conf": dict(conf or {}),
        }
        return int(self.request("POST", _BACKFILLS, json=wanted)["id"])

    def backfills(self, dag_id: str) -> list[Json]:
        """List the backfills of a DAG; its runs' states tell sooner than ``completed_at`` if one is done."""
        return list(self._pages(_BACKFILLS, "backfills", dag_id=dag_id))

    def wait_backfills(self, dag_id: str, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until all backfills of the DAG are completed, which the scheduler looks after every 30 s.

        Until then Airflow refuses to create another one.
        """

        def completed() -> bool | None:
            return all(backfill["completed_at"] for backfill in self.backfills(dag_id)) or None

        self._wait(completed, timeout_s, lambda: BackfillNotCompleted(dag_id, timeout_s))

    def _pages(self, path: str, key: str, **params: Any) -> Iterator[Json]:
        offset = 0
        while True:
            page = self.request("GET", path, params={**params, "limit": PAGE, "offset": offset})
            yield from page[key]
            offset += PAGE
            if offset >= page["total_entries"]:
                return

    def _wait(self, look: Callable[[], Found | None], timeout_s: float, late: Callable[[], Exception]) -> Found:
        begun = time.monotonic()
        while (found := look()) is None:
            self._check()
            waited_s = time.monotonic() - begun
            if waited_s > timeout_s:
                raise late()
            time.sleep(min(POLL_S + waited_s / SLOWING, SELDOM_S))
        return found

    def _raise_import_error(self, file: Path, since: datetime | None) -> None:
        for error in self.import_errors():
            is_meant = file.match(error["filename"])
            if is_meant and (since is None or _moment(error["timestamp"]) > since):
                raise DagImportFailed(error["filename"], error["stack_trace"])


def _or_none(ask: Callable[[], Json], status: int) -> Json | None:
    try:
        return ask()
    except RequestRefused as refused:
        if refused.status == status:
            return None
        raise


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _label(task: Json) -> str:
    return task["task_id"] if task["map_index"] == UNMAPPED else f"{task['task_id']}[{task['map_index']}]"


def _quoted(name: str) -> str:
    return quote(name, safe="~")


def _dag(dag_id: str) -> str:
    return f"/api/v2/dags/{_quoted(dag_id)}"


def _run(dag_id: str, run_id: str) -> str:
    return f"{_dag(dag_id)}/dagRuns/{_quoted(run_id)}"


def _task(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    mapped = "" if map_index == UNMAPPED else f"/{map_index}"
    return f"{_run(dag_id, run_id)}/taskInstances/{_quoted(task_id)}{mapped}"


def _xcoms(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/xcomEntries"
