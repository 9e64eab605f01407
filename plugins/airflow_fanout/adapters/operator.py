"""What our operators have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

from airflow_fanout.adapters.openlineage import HasLineage
from airflow_fanout.adapters.templates import TextTemplates

if TYPE_CHECKING:
    from airflow_fanout.adapters.fetch_task import FetchTask


class FanoutOperator(TextTemplates, BaseOperator, HasLineage):
    """An operator of a report: its templates give texts, and it tells OpenLineage what it reads and writes."""


class EngineOperator(FanoutOperator):
    """An operator whose task runs engines: it ends them when it is killed, and goes on after a long wait."""

    _task: FetchTask | None = None
    stalled = 0

    def begin(self, context: Context) -> FetchTask:
        """Return the task of this execution, which is ended with the operator.

        A DAG file that is parsed doesn't load what a task needs.
        """
        from airflow_fanout.adapters.fetch_task import FetchTask

        self._task = FetchTask(self, context)
        return self._task

    def resume(self, context: Context, event: Any = None, stalled: int = 0) -> Any:  # noqa: ARG002 - Airflow's signature
        """Go on after a long wait.

        :param stalled: after how many executions in a row the task has waited without a new outcome.
        """
        self.stalled = stalled
        return self.execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a long wait also if no triggerer has ended it: then Airflow's scheduler does, a little later."""
        from airflow_fanout.adapters.deferral import is_overdue

        if is_overdue(next_method, next_kwargs):
            self.log.warning("No triggerer ended the wait of this task, so the scheduler did. Is a triggerer running?")
            return self.resume(context)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """End the engine with the task."""
        if self._task is not None:
            self._task.stop()
