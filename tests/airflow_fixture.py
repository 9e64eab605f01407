"""One Airflow for all tests that want a scheduler; wire it by ``pytest_plugins = ["tests.airflow_fixture"]``.

A test adds its DAG file by ``add_dag`` and talks to Airflow by ``airflow_client``. All tests of a session share this
Airflow, and several run at the same time: a test leaves alone whatever it hasn't added itself.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.airflow import AirflowClient, AirflowHome, AirflowSite, environment
from tests.shared import Servers

AddDag = Callable[[str, str], Path]


@dataclass(frozen=True)
class SharedAirflow:
    """The Airflow that the tests share, as one of their processes sees it."""

    site: AirflowSite
    check: Callable[[], None]
    _clients: dict[str, AirflowClient] = field(default_factory=dict)

    @property
    def home(self) -> AirflowHome:
        """Where it lives."""
        return self.site.home

    @property
    def environment(self) -> dict[str, str]:
        """The environment of one of its processes."""
        return environment(self.home, port=self.site.port, execution_port=self.site.execution_port)

    def client(self, user: str = "admin") -> AirflowClient:
        """Return the user's session; its waiting ends with ComponentEnded when a component does."""
        if user not in self._clients:
            self._clients[user] = self.site.client(user, check=self.check)
        return self._clients[user]

    def close(self) -> None:
        """Close all sessions."""
        for client in self._clients.values():
            client.close()


@pytest.fixture(scope="session")
def airflow(servers: Servers) -> Iterator[SharedAirflow]:
    """The shared Airflow, healthy, started when the first test asks for it."""
    shared = SharedAirflow(servers.ask("airflow"), check=lambda: servers.ask("check_airflow"))
    yield shared
    shared.close()


@pytest.fixture
def airflow_client(airflow: SharedAirflow) -> AirflowClient:
    """The administrator's session; fails the test at once if a component of Airflow has ended before."""
    airflow.check()
    return airflow.client()


class AddedDags:
    """The DAG files that a test has added to the shared Airflow."""

    def __init__(self, airflow: SharedAirflow, client: AirflowClient) -> None:
        self._folder = airflow.home.dags
        self._client = client
        self._files: list[Path] = []
        self._dag_ids: list[str] = []

    def file(self, name: str, source: str) -> Path:
        """Write a DAG file, which isn't parsed yet."""
        file = self._folder / f"{name}.py"
        self._files.append(file)
        # As one step: half a file is a broken DAG.
        draft = file.with_suffix(".draft")
        draft.write_text(textwrap.dedent(source))
        return draft.replace(file)

    def parsed(self, dag_id: str, file: Path, *, paused: bool) -> None:
        """Wait until a DAG of the file is parsed."""
        self._dag_ids.append(dag_id)
        self._client.wait_parsed(dag_id, file=file)
        if not paused:
            self._client.unpause(dag_id)

    def remove(self) -> None:
        """Remove the files, and keep their DAGs from beginning runs."""
        for file in self._files:
            file.unlink(missing_ok=True)
        for dag_id in self._dag_ids:
            if self._client.dag(dag_id):
                self._client.pause(dag_id)


@pytest.fixture
def added_dags(airflow: SharedAirflow, airflow_client: AirflowClient) -> Iterator[AddedDags]:
    """The DAG files that this test adds; they are gone when it is over."""
    added = AddedDags(airflow, airflow_client)
    yield added
    added.remove()


@pytest.fixture
def add_dag(added_dags: AddedDags) -> AddDag:
    """``add_dag(dag_id, source)`` writes the DAG's file, waits until it is parsed, and unpauses it.

    When the test is over the DAG is paused and its file is gone: use a dag_id of the test's own.
    """

    def add(dag_id: str, source: str) -> Path:
        file = added_dags.file(dag_id, source)
        added_dags.parsed(dag_id, file, paused=False)
        return file

    return add
