"""The servers that all tests of a session share: a MongoDB, a StatsD server, an Airflow with a PostgreSQL.

Each is started in pytest's first process, when a test asks for it. Under pytest-xdist the tests run in workers, which
ask that process over a socket. Whatever it has started ends with it, however it ends.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext, suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Protocol

from harness.airflow import Airflow, AirflowHome, AirflowSite
from harness.airflow.connections import mongo_connection
from harness.mongod import Mongod
from tests.metadata import copied, migrate_postgres, migrate_sqlite
from tests.postgres import create_database, postgres, sql_alchemy_conn
from tests.statsd import Received, StatsdServer

ROOT = Path(__file__).parents[1]
PLUGINS = ROOT / "plugins"
# What the DAG files of tests import from the folder that they are in.
MODULES = (ROOT / "tests" / "integration" / "dags" / "subscribers.py",)
HOST = "127.0.0.1"
# Every test of the shared Airflow shows that what it tests works below a path; tests/page has an Airflow at the root.
PATH = "/airflow"
# A fetch waits for its service most of the time: more of them than there are cores fit side by side.
PARALLELISM = 12
CONFIG = {
    # A scheduler that looks for work three times a second takes as much of it as the tasks do.
    "scheduler.scheduler_idle_sleep_time": "0.8",
    # A file that changes is parsed at once, whatever this says; the others would be parsed again and again. A callback
    # that comes while its file is being parsed waits for the next time: that must be sooner than a test loses patience.
    "dag_processor.min_file_process_interval": "120",
}


class Servers(Protocol):
    """Whom to ask for a server, in the process that has it or in another one."""

    def ask(self, name: str, *arguments: Any) -> Any:
        """Call the method of `OwnServers` of that name; what it raises is raised here."""


class OwnServers:
    """The servers of this process."""

    def __init__(self, directory: Callable[[str], Path]) -> None:
        """Take the function that makes a folder for a server's files."""
        self._directory = directory
        self._running = ExitStack()
        self._started: dict[str, Any] = {}
        # One for each name: who wants a MongoDB doesn't wait for an Airflow.
        self._starting: dict[str, Lock] = {}
        self._ending_airflow: Thread | None = None

    def ask(self, name: str, *arguments: Any) -> Any:
        """Call one of the methods below."""
        return getattr(self, name)(*arguments)

    def mongo_uri(self) -> str:
        """Return the address of the MongoDB."""
        return str(self._once("mongo", lambda: Mongod.start(self._directory("mongo"))).uri)

    def postgres_port(self) -> int:
        """Return the port of the PostgreSQL: use a database or a table of the test's own."""
        port: int = self._once("postgres", postgres)
        return port

    def migrated_file(self) -> Path:
        """Return a SQLite file with Airflow's tables, for tests to copy."""
        file: Path = self._once("sqlite", lambda: nullcontext(migrate_sqlite(self._directory("metadata"))))
        return file

    def migrated_database(self, name: str) -> int:
        """Make a database with Airflow's tables in the PostgreSQL, and return its port."""
        port = self.postgres_port()
        migrated = self._once("migrated", lambda: nullcontext(migrate_postgres(self._directory("metadata"), port)))
        create_database(port, name, migrated)
        return port

    def airflow(self) -> AirflowSite:
        """Return where the Airflow is found, once it is healthy."""
        assert self._ending_airflow is None, "a test that shares the Airflow belongs to APART in tests/distribution.py"
        site: AirflowSite = self._once("airflow", self._airflow).site
        return site

    def check_airflow(self) -> None:
        """Raise ComponentEnded if a component of the Airflow has ended."""
        self._started["airflow"].check()

    def end_airflow(self) -> None:
        """Begin to end the Airflow: no test will ask for it."""
        if "airflow" in self._started:
            self._ending_airflow = Thread(target=self._started["airflow"].stop, name="the end of Airflow")
            self._ending_airflow.start()

    def metrics_of(self, dag_id: str) -> list[Received]:
        """Return what the tasks of a DAG have told the StatsD server so far, in the order of its arrival."""
        return list(self._statsd().of_dag(dag_id))

    def stop(self) -> None:
        """End all servers, the last one first."""
        if self._ending_airflow:
            self._ending_airflow.join()
        self._running.close()
        self._started.clear()

    def _statsd(self) -> StatsdServer:
        found: StatsdServer = self._once("statsd", StatsdServer)
        return found

    def _airflow(self) -> Airflow:
        place = self._directory("airflow")
        home = AirflowHome(
            directory=place / "home",
            dags=place / "dags",
            plugins=PLUGINS,
            connections={
                "hostless": '{"conn_type": "http"}',
                # What a driver takes, and Airflow doesn't.
                "mongo_address": self.mongo_uri(),
                "mongo_default": mongo_connection(self.mongo_uri()),
            },
            config={**CONFIG, **self._statsd().config, "database.sql_alchemy_conn": self._metadata()},
            path=PATH,
            parallelism=PARALLELISM,
        )
        home.dags.mkdir()
        for module in MODULES:
            shutil.copy(module, home.dags)
        return Airflow(copied(home, self), triggerer=True)

    def _metadata(self) -> str:
        # SQLite has one writer at a time: with a dozen tasks side by side, some wait longer than Airflow bears.
        return sql_alchemy_conn(self.migrated_database("shared"), "shared")

    def _once(self, name: str, start: Callable[[], Any]) -> Any:
        with self._starting.setdefault(name, Lock()):
            if name not in self._started:
                self._started[name] = self._running.enter_context(start())
            return self._started[name]


class Desk:
    """Where other processes ask for the servers of this one, until it is closed."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._key = secrets.token_bytes()
        self._listener = Listener((HOST, 0), authkey=self._key)
        Thread(target=self._accept, name="desk", daemon=True).start()

    @property
    def place(self) -> tuple[Any, bytes]:
        """The address and the key, for `ServersElsewhere`."""
        return self._listener.address, self._key

    def close(self) -> None:
        """Let nobody ask any more."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                Thread(target=self._answer, args=(self._listener.accept(),), name="desk", daemon=True).start()

    def _answer(self, asking: Connection) -> None:
        with asking, suppress(EOFError, OSError):
            while True:
                name, arguments = asking.recv()
                asking.send(self._outcome(name, arguments))

    def _outcome(self, name: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
        try:
            return True, self._servers.ask(name, *arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test that asked fails with it
            return False, error


class ServersElsewhere:
    """The servers of another process, by its desk."""

    def __init__(self, address: tuple[str, int], key: bytes) -> None:
        self._desk = Client(tuple(address), authkey=key)
        self._one_at_a_time = Lock()

    def ask(self, name: str, *arguments: Any) -> Any:
        """Ask the other process, and wait for its answer."""
        with self._one_at_a_time:
            self._desk.send((name, arguments))
            good, answer = self._desk.recv()
        if not good:
            raise answer
        return answer


def connections(service_url: str, mongo_uri: str) -> Mapping[str, str]:
    """Return the connections of an Airflow that a test has for itself."""
    return {"call_api": service_url, "mongo_default": mongo_connection(mongo_uri)}
