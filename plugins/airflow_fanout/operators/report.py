"""The tasks of a report, whether they come after each other, and whether Airflow maps them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_fanout.adapters.report_tasks import ReportTask, of_unknown_list, tasks_of
from airflow_fanout.adapters.team import alerts_problem
from airflow_fanout.operators.fetch import GeventFetchOperator
from airflow_fanout.operators.load import MongoLoadOperator
from airflow_fanout.operators.validate import ValidateOperator
from airflow_fanout.preflight.findings import Findings
from airflow_fanout.preflight.order import order_problems

if TYPE_CHECKING:
    from airflow.sdk import DAG

NOT_CONDITIONAL = (
    "None with Request(conditional=True), which needs the results of the last good run: keep_days=0 removes them"
)
KINDS = (GeventFetchOperator, ValidateOperator, MongoLoadOperator)


class Report:
    """The tasks of a DAG that take the list of an extract."""

    def __init__(self, extract: Any, dag: DAG) -> None:
        self.fetches, self.validates, self.loads = (list(tasks_of(extract, dag, kind)) for kind in KINDS)
        self._extract = extract
        self._dag = dag

    def check_order(self, findings: Findings) -> None:
        """Add the tasks that would run before what they need, or beside it."""
        if unknown := [task for kind in KINDS for task in of_unknown_list(self._dag, kind)]:
            for task_id in unknown:
                findings.skip(task_id, "a template names its list")
            return
        problems = order_problems(
            {task.task_id: task.downstream_task_ids for task in self._dag.tasks},
            fetches=[task.task_id for task in self.fetches],
            validates=[task.task_id for task in self.validates],
            loads=[task.task_id for task in self.loads],
        )
        for task_id, problem in problems.items():
            findings.add(task_id, [problem])

    def check_shards(self, most: int, findings: Findings) -> None:
        """Add that there are more shards than Airflow maps a task over."""
        shards = self._extract.shards or 1
        if shards > most and any(task.is_mapped for task in self.fetches):
            problem = f"shards is {shards:,}, and Airflow maps a task over {most:,} ([core] max_map_length)"
            findings.add(self._extract.task_id, [problem])

    def check_kept(self, findings: Findings) -> None:
        """Add that a load which removes what is staged would take it from other tasks."""
        operators = [(task.task_id, task.operator) for task in (*self.loads, *self.fetches) if task.operator]
        requests = [getattr(operator, "written", None) for _, operator in operators]
        conditional = any(request.conditional for request in requests if request is not None)
        for task_id, operator in operators:
            if getattr(operator, "keep_days", None) != 0:
                continue
            others = [load.task_id for load in self.loads if load.task_id != task_id]
            if others:
                findings.add(task_id, [f"keep_days is 0, and {', '.join(others)} would find nothing to load any more"])
            if conditional:
                findings.add(task_id, [f"keep_days is 0: expected {NOT_CONDITIONAL}"])

    def check_alerts(self, findings: Findings) -> None:
        """Add that the DAG's alerts would look into the staging area of another team."""
        for name in ("on_failure_callback", "on_success_callback"):
            callbacks = getattr(self._dag, name, None) or ()
            for callback in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
                # Notifications and operators don't know each other: it is ours if it has what Alerts have.
                owner: Any = getattr(callback, "__self__", None)
                if hasattr(owner, "channels") and hasattr(owner, "team") and (problem := alerts_problem(owner.team)):
                    findings.add(name, [problem])


def made(tasks: Iterable[ReportTask], findings: Findings) -> Iterator[ReportTask]:
    """Yield the tasks whose operators can be made now; add why the others can't."""
    for task in tasks:
        if task.problem:
            findings.add(task.task_id, [task.problem])
        elif task.operator is None:
            findings.skip(task.task_id, f"it is mapped over {', '.join(task.mapped_over)}")
        else:
            yield task
