"""Which directory of the staging area a report has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_fanout.adapters.border import staging_store
from airflow_fanout.staging.directory import ReportDirectory

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, TaskGroup


def report_directory(
    extract: BaseOperator, run_id: str, map_index: int = -1, mode: int | None = None
) -> ReportDirectory:
    """Return the directory of an extract's report in a run.

    :param map_index: the extract's; a task that isn't mapped has -1.
    :param mode: the mode of the folders that are made for it.
    """
    name = report_name(extract.task_id, extract.task_group, map_index)
    return ReportDirectory.of(staging_store(mode), dag_id=extract.dag_id, run_id=run_id, report=name)


def report_name(task_id: str, group: TaskGroup | None, map_index: int) -> str:
    """Return what an extract's report is called: a name that no other report of the DAG has.

    That is the id of its `FanoutTaskGroup`, else its own task id; for one of several mapped reports with its map
    index, behind a sign that no id has.
    """
    own = getattr(group, "extract", None)
    name = group.group_id if group is not None and own is not None and own.task_id == task_id else None
    return f"{name or task_id}@{map_index}" if map_index >= 0 else name or task_id
