"""A hundred requests at a time where 256 open files are allowed."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.airflow.home import COMMAND
from harness.processes import Kept
from harness.service import DemoService
from tests.airflow_fixture import SharedAirflow
from tests.integration.engines import is_engine
from tests.integration.own import OwnReports

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

LIMIT = 256
# Soft and hard: nobody below can raise it.
LIMITED = ("bash", "-c", f'ulimit -n {LIMIT} && exec "$@"', "bash")
SAMPLE_S = 0.1


class Limited:
    """`airflow dags test` of one DAG, in a tree of processes that all have the limit.

    It stores all DAGs that it finds, as the DAG processor does: it finds those of one file only, so that the two never
    add the same DAG at the same time.
    """

    def __init__(self, airflow: SharedAirflow, dag_id: str, file: Path) -> None:
        self.log = airflow.home.logs / f"limited-{dag_id}.txt"
        folder = airflow.home.directory / f"only-{dag_id}"
        folder.mkdir()
        shutil.copy(file, folder)
        command = (*LIMITED, *COMMAND, "dags", "test", dag_id, "2026-11-11")
        self._kept = Kept.start(
            command,
            env={**airflow.environment, "AIRFLOW__CORE__DAGS_FOLDER": str(folder)},
            cwd=airflow.home.directory,
            log=self.log,
        )
        self.peak = {"engine": 0, "task": 0, "together": 0}

    def run(self) -> int:
        """Wait for the end, counting open files meanwhile, and return the exit code."""
        with self._kept as kept:
            while kept.poll() is None:
                self._sample(kept.pid)
                time.sleep(SAMPLE_S)
            return kept.wait()

    def _sample(self, pid: int) -> None:
        try:
            task = psutil.Process(pid)
            now = {"task": task.num_fds(), "engine": 0}
            now["engine"] = sum(child.num_fds() for child in task.children(recursive=True) if is_engine(child))
        except psutil.NoSuchProcess:
            return
        now["together"] = now["task"] + now["engine"]
        self.peak = {name: max(self.peak[name], count) for name, count in now.items()}


def test_20000_parameters_with_256_open_files(
    own_reports: OwnReports, airflow: SharedAirflow, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """The classic script's fault is gone: it ended with "Too many open files", and then MongoDB couldn't be opened.

    It opened a connection for each request, and wrote to MongoDB from among them. Here 20,000 requests share a
    hundred connections, in a process that never meets MongoDB; the load task writes afterwards.
    """
    service.set_faults(latency_ms=20)
    dag_id = own_reports.dag("many", paused=True)
    limited = Limited(airflow, dag_id, *own_reports.files)
    code = limited.run()
    print(f"\nopen files at the peak, of {LIMIT}: {limited.peak}")
    assert code == 0, _tail(limited.log)
    assert limited.peak["engine"] > 100
    assert limited.peak["together"] < 200
    assert loaded[dag_id].count_documents({}) == 20_000
    stats = service.stats()
    assert (stats["by_path"], stats["asked"]["most"]) == ({"/calls": 20_000}, 10)
    assert stats["connections"] <= 100


@pytest.mark.long
def test_a_concurrency_beyond_the_limit_is_refused(
    own_reports: OwnReports, airflow: SharedAirflow, service: DemoService
) -> None:
    """A concurrency that 256 open files can't carry is refused with both numbers, before anything is sent."""
    limited = Limited(airflow, own_reports.dag("too_many", paused=True), *own_reports.files)
    assert limited.run() != 0
    said = limited.log.read_text()
    assert "A concurrency of 300 needs 364 open files, but this worker allows 256." in said
    assert "Set concurrency to at most 192" in said
    assert service.stats()["requests"] == 0


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-40:])
