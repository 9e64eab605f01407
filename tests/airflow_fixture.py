"""One Airflow for all tests that want a scheduler; wire it by ``pytest_plugins = ["tests.airflow_fixture"]``.

A test adds its DAG file by ``add_dag`` and talks to Airflow by ``airflow_client``. What this one Airflow is
started with, ``airflow_connections`` and ``airflow_config``, a conftest.py overrides by fixtures of its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from demo.airflow import Airflow, AirflowClient, AirflowHome

PLUGINS = Path(__file__).parents[1] / "plugins"

AddDag = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def airflow_connections() -> Mapping[str, str]:
    """Connection id to URI or JSON, for the whole session."""
    return {}


@pytest.fixture(scope="session")
def airflow_config() -> Mapping[str, str]:
    """Further settings, ``"section.key"`` to text."""
    return {}


@pytest.fixture(scope="session")
def airflow_home(
    tmp_path_factory: pytest.TempPathFactory,
    airflow_connections: Mapping[str, str],
    airflow_config: Mapping[str, str],
) -> AirflowHome:
    """A home of its own with an empty folder of DAGs and the project's plugins."""
    directory = tmp_path_factory.mktemp("airflow")
    dags = directory / "dags"
    dags.mkdir()
    return AirflowHome(
        directory=directory / "home",
        dags=dags,
        plugins=PLUGINS,
        connections=airflow_connections,
        config=airflow_config,
    )


@pytest.fixture(scope="session")
def airflow(airflow_home: AirflowHome) -> Iterator[Airflow]:
    """A healthy Airflow, started when the first test asks for it."""
    with Airflow(airflow_home, triggerer=True) as running:
        yield running


@pytest.fixture
def airflow_client(airflow: Airflow) -> AirflowClient:
    """The administrator's session; fails the test at once if a component of Airflow has ended before."""
    airflow.check()
    return airflow.client()


@pytest.fixture
def add_dag(airflow: Airflow, airflow_client: AirflowClient) -> Iterator[AddDag]:
    """``add_dag(dag_id, source)`` writes the DAG's file, waits until it is parsed, and unpauses it.

    When the test is over the DAG is paused and its file is gone: use a dag_id of the test's own.
    """
    added: dict[str, Path] = {}

    def add(dag_id: str, source: str) -> Path:
        file = added[dag_id] = airflow.home.dags / f"{dag_id}.py"
        file.write_text(textwrap.dedent(source))
        airflow_client.wait_parsed(dag_id, file=file)
        airflow_client.unpause(dag_id)
        return file

    yield add
    for dag_id, file in added.items():
        file.unlink(missing_ok=True)
        if airflow_client.dag(dag_id):
            airflow_client.pause(dag_id)
