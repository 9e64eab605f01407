"""What goes wrong between this process and an Airflow, named by what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

TAIL_LINES = 30


class RequestRefused(RuntimeError):
    """Airflow answered with an error."""

    def __init__(self, method: str, path: str, status: int, detail: str) -> None:
        super().__init__(method, path, status, detail)
        self.method = method
        self.path = path
        self.status = status
        self.detail = detail

    def __str__(self) -> str:
        return f"Airflow answered {self.status} to {self.method} {self.path}: {self.detail}"


class DagImportFailed(RuntimeError):
    """A DAG file could not be imported."""

    def __init__(self, file: str, stack_trace: str) -> None:
        super().__init__(file, stack_trace)
        self.file = file
        self.stack_trace = stack_trace

    def __str__(self) -> str:
        return f"The DAG file {self.file} can't be imported:\n{self.stack_trace}"


class DagNotParsed(TimeoutError):
    """The DAG processor has not found the DAG in time; ``import_errors`` are Airflow's, of all files."""

    def __init__(self, dag_id: str, timeout_s: float, import_errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(dag_id, timeout_s, import_errors)
        self.dag_id = dag_id
        self.timeout_s = timeout_s
        self.import_errors = import_errors

    def __str__(self) -> str:
        broken = "".join(f"\n{error['filename']}:\n{error['stack_trace']}" for error in self.import_errors)
        why = f"These files can't be imported:{broken}" if broken else "Is its file in the DAGs folder?"
        return f"No DAG {self.dag_id} after {self.timeout_s} s. {why}"


class RunNotFinished(TimeoutError):
    """A DAG run has not reached its end in time; ``tasks`` holds the state of each task instance."""

    def __init__(self, dag_id: str, run_id: str, timeout_s: float, tasks: Mapping[str, str | None]) -> None:
        super().__init__(dag_id, run_id, timeout_s, tasks)
        self.dag_id = dag_id
        self.run_id = run_id
        self.timeout_s = timeout_s
        self.tasks = tasks

    def __str__(self) -> str:
        return f"Run {self.run_id} of {self.dag_id} has not ended after {self.timeout_s} s: {dict(self.tasks)}"


class BackfillNotCompleted(TimeoutError):
    """A backfill of a DAG has not been completed in time."""

    def __init__(self, dag_id: str, timeout_s: float) -> None:
        super().__init__(dag_id, timeout_s)
        self.dag_id = dag_id
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return f"A backfill of {self.dag_id} is not completed after {self.timeout_s} s"


class TaskNotInState(TimeoutError):
    """A task instance has not reached one of the wanted states in time."""

    def __init__(self, task_id: str, wanted: Collection[str], state: str | None, timeout_s: float) -> None:
        super().__init__(task_id, wanted, state, timeout_s)
        self.task_id = task_id
        self.wanted = wanted
        self.state = state
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        wanted = " or ".join(sorted(self.wanted))
        return f"Task {self.task_id} is {self.state}, not {wanted}, after {self.timeout_s} s"


class ComponentEnded(RuntimeError):
    """A component of Airflow ended by itself."""

    def __init__(self, name: str, exit_code: int, log: Path) -> None:
        super().__init__(name, exit_code, log)
        self.name = name
        self.exit_code = exit_code
        self.log = log

    def __str__(self) -> str:
        tail = _tail(self.log)
        return f"Airflow's {self.name} ended with code {self.exit_code}. The end of {self.log}:\n{tail}"


class AirflowNotHealthy(TimeoutError):
    """All components run, but some have not reported in time."""

    def __init__(self, missing: frozenset[str], timeout_s: float, logs: Path) -> None:
        super().__init__(missing, timeout_s, logs)
        self.missing = missing
        self.timeout_s = timeout_s
        self.logs = logs

    def __str__(self) -> str:
        names = ", ".join(sorted(self.missing))
        ends = "\n".join(f"The end of {log}:\n{_tail(log)}" for log in sorted(self.logs.glob("*.log")))
        return f"Airflow was not healthy after {self.timeout_s} s, missing: {names}.\n{ends}"


def _tail(log: Path) -> str:
    if not log.exists():
        return "(nothing)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
