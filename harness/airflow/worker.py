"""A Celery worker of a running Airflow, as on a machine of its own: killed whole, with its disk."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil

from harness.airflow.errors import ComponentEnded
from harness.airflow.home import COMMAND, environment
from harness.airflow.keys import copy_keys
from harness.airflow.server import STOP_GRACE_S
from harness.processes import Kept, StoppedAtTheEnd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

    from harness.airflow.site import AirflowSite

READY = " ready."
START_LIMIT_S = 120.0
LOOK_AGAIN_S = 0.2
# Neither a log server, which would listen on every interface, nor talk with other workers, which delays the start.
ALONE = ("--skip-serve-logs", "--without-mingle", "--without-gossip")


def celery_config(broker_url: str, sql_alchemy_conn: str) -> Mapping[str, str]:
    """Return the settings of an Airflow whose tasks run on Celery workers: for its home and for each worker's."""
    return {
        "core.executor": "CeleryExecutor",
        "celery.broker_url": broker_url,
        "celery.result_backend": f"db+{sql_alchemy_conn}",
        "database.sql_alchemy_conn": sql_alchemy_conn,
    }


class CeleryWorker(StoppedAtTheEnd):
    """A running worker whose home, logs, temporary files and DAG files are in a directory that nobody else uses.

    Ends with its tasks: at the context's end, at ``stop()``, and when this process dies.
    """

    def __init__(self, name: str, directory: Path, kept: Kept, log: Path) -> None:
        self.name = name
        self.directory = directory
        self.log = log
        self._kept = kept

    @classmethod
    def start(cls, site: AirflowSite, name: str, directory: Path, *, slots: int) -> Self:
        """Start a worker that runs up to ``slots`` tasks at once; it isn't ready yet."""
        shutil.copytree(site.home.dags, directory / "dags")
        temporary = directory / "tmp"
        temporary.mkdir()
        home = replace(site.home, directory=directory, dags=directory / "dags")
        copy_keys(site.home.directory, directory)
        env = environment(home, port=site.port, execution_port=site.execution_port)
        command = (*COMMAND, "celery", "worker", "--celery-hostname", name, "--concurrency", str(slots), *ALONE)
        log = site.log(f"worker-{name}")
        kept = Kept.start(command, env=env | {"TMPDIR": str(temporary)}, cwd=directory, log=log)
        return cls(name, directory, kept, log)

    def __repr__(self) -> str:
        return f"<CeleryWorker {self.name} {self._kept!r}>"

    def wait_ready(self) -> None:
        """Wait until the worker takes tasks; raise ComponentEnded or TimeoutError if it doesn't."""
        deadline = time.monotonic() + START_LIMIT_S
        while READY not in self.output:
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self!r} is not ready after {START_LIMIT_S:g} s: {self.output}")
            time.sleep(LOOK_AGAIN_S)

    def check(self) -> None:
        """Raise ComponentEnded if the worker is no longer there."""
        if (code := self._kept.poll()) is not None:
            raise ComponentEnded(f"Celery worker {self.name}", code, self.log)

    @property
    def output(self) -> str:
        """All that the worker has printed."""
        return self.log.read_text(errors="replace")

    def runs(self, pid: int) -> bool:
        """Tell whether a process is one of those that the worker has started."""
        try:
            return any(parent.pid == self._kept.pid for parent in psutil.Process(pid).parents())
        except psutil.NoSuchProcess:
            return False

    def destroy(self) -> None:
        """Kill the worker and all that it has started, and remove its disk, as a machine is lost."""
        self._kept.stop(0)
        shutil.rmtree(self.directory)

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """End the worker and its tasks; stopping what is stopped does nothing."""
        self._kept.stop(grace_s)
