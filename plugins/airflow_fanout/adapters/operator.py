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

    def begin(self, context: Context) -> FetchTask:
        """Return the task of this execution, which is ended with the operator.

        A DAG file that is parsed doesn't load what a task needs.
        """
        from airflow_fanout.adapters.fetch_task import FetchTask

        self._task = FetchTask(self, context)
        return self._task

    def resume(self, context: Context, event: Any = None) -> Any:  # noqa: ARG002 - Airflow's signature
        """Go on after a long wait."""
        return self.execute(context)

    def on_kill(self) -> None:
        """End the engine with the task."""
        if self._task is not None:
            self._task.stop()
