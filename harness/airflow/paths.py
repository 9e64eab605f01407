"""Where Airflow's REST interface has what: paths below the server's address."""

from __future__ import annotations

from urllib.parse import quote

UNMAPPED = -1


def quoted(name: str) -> str:
    """Return the name as a part of a path; ``~``, which stands for all, stays."""
    return quote(name, safe="~")


def dag_path(dag_id: str) -> str:
    """Return the path of a DAG."""
    return f"/api/v2/dags/{quoted(dag_id)}"


def run_path(dag_id: str, run_id: str) -> str:
    """Return the path of a run."""
    return f"{dag_path(dag_id)}/dagRuns/{quoted(run_id)}"


def task_path(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Return the path of a task instance, a mapped one by its index."""
    mapped = "" if map_index == UNMAPPED else f"/{map_index}"
    return f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task_id)}{mapped}"


def xcoms_path(dag_id: str, run_id: str, task_id: str) -> str:
    """Return the path of a task's XComs."""
    return f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task_id)}/xcomEntries"
