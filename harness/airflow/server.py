"""A running Airflow: its components, each under a keeper, until the context ends."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from harness.airflow.client import AirflowClient
from harness.airflow.errors import AirflowNotHealthy, ComponentEnded
from harness.airflow.home import COMMAND, LOOPBACK, AirflowHome, environment, initialise
from harness.airflow.keys import ROLES
from harness.airflow.site import AirflowSite
from harness.processes import Kept, StoppedAtTheEnd, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# Each by itself: healthy in 7 s where `airflow standalone` takes 14, and without its log servers, which would
# listen on every interface, at ports that two Airflows can't share. The API server reads logs from disk.
SCHEDULER = ("scheduler", "--skip-serve-logs")
DAG_PROCESSOR = ("dag-processor",)
TRIGGERER = ("triggerer", "--skip-serve-logs")

# Two API servers, one for people and one for tasks. In a single one they lock each other out on SQLite: a person's
# request (trigger, mark, backfill) waits for the database on the event loop, which the task's request that holds it
# needs to get on, and both stand still until SQLite gives up: 5 s as Airflow comes, 20 s with the patience given here.
API_SERVER = ("api-server", "--apps", "core")
EXECUTION_API = ("api-server", "--apps", "execution")

POLL_S = 0.2
STOP_GRACE_S = 10.0
# When a scheduler dies, its tasks are asked to end. On a busy machine, one that is to tell the API server why it has
# failed takes its time; Airflow takes a task that was killed before it could for lost, and begins it again.
ORPHANS_GRACE_S = 60.0
# An API server has said all it had to say after 0.3 s; then it collects garbage for two to eight more.
SERVER_GRACE_S = 1.5


class Airflow(StoppedAtTheEnd):
    """A scheduler, a DAG processor and the API servers on loopback, healthy when the context begins.

    Ends with everything they started: at the context's end, at ``stop()``, and when this process dies.
    """

    def __init__(self, home: AirflowHome, *, triggerer: bool = False) -> None:
        self.home = home
        self.site = AirflowSite(home=home, port=home.port or free_port(), execution_port=free_port())
        self._jobs = {"scheduler": SCHEDULER, "dag-processor": DAG_PROCESSOR}
        if triggerer:
            self._jobs["triggerer"] = TRIGGERER
        self._servers = {
            "api-server": API_SERVER,
            "execution-api": (*EXECUTION_API, "--port", str(self.site.execution_port)),
        }
        self._running: dict[str, Kept] = {}
        self._clients: dict[str, AirflowClient] = {}
        self._anybody = AirflowClient(self.url)

    def __repr__(self) -> str:
        return f"<Airflow {self.url} in {self.home.directory}, running: {', '.join(self._running) or 'nothing'}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    @property
    def url(self) -> str:
        """The address of the user interface, and of the REST interface below it."""
        return self.site.url

    @property
    def logins(self) -> dict[str, str]:
        """The password of each user; a user is named like its role."""
        return self.site.logins

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each running component."""
        return {name: kept.pid for name, kept in self._running.items()}

    @property
    def running(self) -> frozenset[str]:
        """The names of the components that run."""
        return frozenset(name for name, kept in self._running.items() if kept.poll() is None)

    def client(self, user: str = ROLES[0]) -> AirflowClient:
        """Return the user's session with the REST interface, logged in; ``stop()`` closes it.

        Its waiting ends with ComponentEnded when a component does.
        """
        if user not in self._clients:
            self._clients[user] = self.site.client(user, check=self.check)
        return self._clients[user]

    def start(self, *, timeout_s: float = 120.0) -> None:
        """Start the components and wait until all are healthy; nothing is left running if one is not."""
        initialise(self.home)
        since = datetime.now(UTC)
        try:
            for name in self._servers | self._jobs:
                self._start(name)
            self._wait_healthy(since, timeout_s)
        except BaseException:
            self.stop()
            raise

    def end(self, name: str, grace_s: float = STOP_GRACE_S) -> None:
        """End one component and all it started, a scheduler's tasks too, as its machine's shutdown would."""
        self._running[name].stop(grace_s)

    def start_again(self) -> list[str]:
        """Start the components that have ended, as a service manager does, and name them; they aren't healthy yet."""
        ended = [name for name in self._running if name not in self.running]
        for name in ended:
            # Of what has ended, only pipes are left.
            self._running[name].stop(0)
            self._start(name)
        return ended

    def _start(self, name: str) -> None:
        env = environment(self.home, port=self.site.port, execution_port=self.site.execution_port)
        command = (*COMMAND, *(self._servers | self._jobs)[name])
        self._running[name] = Kept.start(
            command, env=env, cwd=self.home.directory, log=self.log(name), leftovers_grace_s=ORPHANS_GRACE_S
        )

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """End the components and their tasks; stopping what is stopped does nothing."""
        for client in (self._anybody, *self._clients.values()):
            client.close()
        self._clients.clear()
        # The servers last, since a task that is ended tells them so, and would wait for an answer.
        self._stop(self._jobs, grace_s)
        self._stop(self._servers, min(grace_s, SERVER_GRACE_S))

    def _stop(self, names: Iterable[str], grace_s: float) -> None:
        stopping = [self._running.pop(name) for name in names if name in self._running]
        with ThreadPoolExecutor(len(self._jobs)) as each:
            list(each.map(lambda kept: kept.stop(grace_s), stopping))

    def check(self) -> None:
        """Raise ComponentEnded if a component is no longer there."""
        for name, kept in self._running.items():
            if (code := kept.poll()) is not None:
                raise ComponentEnded(name, code, self.log(name))

    def log(self, name: str) -> Path:
        """The file that a component writes to."""
        return self.site.log(name)

    def _wait_healthy(self, since: datetime, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while missing := self._unanswered() or unreported(self._health(), self._jobs, since):
            self.check()
            if time.monotonic() > deadline:
                raise AirflowNotHealthy(missing, timeout_s, self.home.logs)
            time.sleep(POLL_S)

    def _unanswered(self) -> frozenset[str]:
        ports = {"api-server": self.site.port, "execution-api": self.site.execution_port}
        return frozenset(name for name, port in ports.items() if not _listens(port))

    def _health(self) -> Mapping[str, Any]:
        return self._anybody.request("GET", "/api/v2/monitor/health")


def unreported(health: Mapping[str, Any], jobs: Iterable[str], since: datetime) -> frozenset[str]:
    """Name the jobs that have not said since then that they are well.

    An Airflow that was killed has left its heartbeats in the database; they don't count for the next one.
    """
    return frozenset(job for job in jobs if not _is_well(health, job.replace("-", "_"), since))


def _is_well(health: Mapping[str, Any], job: str, since: datetime) -> bool:
    told = health.get(job) or {}
    beat = told.get(f"latest_{job}_heartbeat")
    return told.get("status") == "healthy" and beat is not None and datetime.fromisoformat(beat) >= since


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
