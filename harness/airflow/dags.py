"""DAGs as Airflow's DAG processor found them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from harness.airflow.errors import DagImportFailed, DagNotParsed, RequestRefused
from harness.airflow.paths import dag_path
from harness.airflow.session import PATIENCE_S, Json, Session

if TYPE_CHECKING:
    from pathlib import Path


class Dags(Session):
    """DAGs: are they parsed, do they run."""

    def dag(self, dag_id: str) -> Json | None:
        """Return the DAG as Airflow knows it, or None while it is not parsed."""
        try:
            return self.request("GET", dag_path(dag_id))
        except RequestRefused as refused:
            if refused.status == 404:
                return None
            raise

    def import_errors(self) -> list[Json]:
        """List the DAG files that can't be imported: filename, stack_trace, timestamp."""
        return list(self._pages("/api/v2/importErrors", "import_errors"))

    def wait_parsed(
        self, dag_id: str, *, file: Path | None = None, since: datetime | None = None, timeout_s: float = PATIENCE_S
    ) -> Json:
        """Wait until the DAG is parsed (again, after ``since``) and return it.

        Raises DagImportFailed as soon as the given file can't be imported. Without a file nothing says which of the
        import errors is meant: DagNotParsed has all of them, when the time is up.
        """

        def parsed() -> Json | None:
            dag = self.dag(dag_id)
            if dag and not dag["is_stale"] and _is_after(dag["last_parsed_time"], since):
                return dag
            if file:
                self._raise_import_error(file, since)
            return None

        return self._wait(parsed, timeout_s, lambda: DagNotParsed(dag_id, timeout_s, self.import_errors()))

    def unpause(self, dag_id: str) -> Json:
        """Let the scheduler start the DAG's runs; a new DAG is paused."""
        return self.request("PATCH", dag_path(dag_id), json={"is_paused": False})

    def pause(self, dag_id: str) -> Json:
        """Keep the scheduler from starting further runs and tasks of the DAG."""
        return self.request("PATCH", dag_path(dag_id), json={"is_paused": True})

    def _raise_import_error(self, file: Path, since: datetime | None) -> None:
        for error in self.import_errors():
            if file.match(error["filename"]) and _is_after(error["timestamp"], since):
                raise DagImportFailed(error["filename"], error["stack_trace"])


def _is_after(moment: str, since: datetime | None) -> bool:
    return since is None or datetime.fromisoformat(moment) > since
