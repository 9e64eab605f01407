"""Run one DAG in one process, without a scheduler: slower per task, but nothing to start and stop."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.airflow.home import COMMAND, AirflowHome, environment, initialise
from harness.processes import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class SingleRun:
    """How a single run ended; the exit code is 0 when the DAG run was a success."""

    exit_code: int
    log: Path
    seconds: float

    @property
    def output(self) -> str:
        """All that Airflow and the tasks printed."""
        return self.log.read_text(errors="replace")


def run_dag(
    home: AirflowHome,
    dag_id: str,
    logical_date: datetime,
    conf: Mapping[str, Any] | None = None,
    *,
    timeout_s: float = 300.0,
) -> SingleRun:
    """Run all tasks of a DAG for a logical date, one after the other, by ``airflow dags test``.

    A run of the same date is repeated. Raises TimeoutError, with nothing left running, if it takes too long.
    """
    initialise(home)
    began = time.monotonic()
    log = home.logs / f"single-run-{time.time_ns()}.txt"
    given = ("--conf", json.dumps(conf)) if conf else ()
    command = (*COMMAND, "dags", "test", *given, dag_id, logical_date.isoformat())
    with Kept.start(command, env=environment(home), cwd=home.directory, log=log) as kept:
        exit_code = kept.wait(timeout_s)
    return SingleRun(exit_code=exit_code, log=log, seconds=time.monotonic() - began)
