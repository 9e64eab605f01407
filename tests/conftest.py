"""What all tests share: the path of their children, the servers of a session, and the order of the tests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.distribution import Distribution, place_in_the_order
from tests.shared import Desk, OwnServers, Servers, ServersElsewhere

pytest_plugins = ["tests.airflow_fixture"]

ROOT = Path(__file__).parents[1]
SERVERS = pytest.StashKey[Servers]()
DESK = pytest.StashKey[Desk]()


def pytest_configure(config: pytest.Config) -> None:
    """Prepare this process, the first one or a worker of pytest-xdist, for the tests and what they start."""
    _let_children_import()
    if given := _given_to_worker(config):
        config.stash[SERVERS] = ServersElsewhere(*given["servers"])
    else:
        config.stash[SERVERS] = OwnServers(partial(_folder, config))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist, before it begins, where to ask for the servers."""
    stash = node.config.stash
    if DESK not in stash:
        stash[DESK] = Desk(stash[SERVERS])
    node.workerinput["servers"] = stash[DESK].place


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Distribution:
    """Distribute the tests over the workers in our way."""
    return Distribution(config, log)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers with the session."""
    if desk := config.stash.get(DESK, None):
        desk.close()
    if isinstance(servers := config.stash.get(SERVERS, None), OwnServers):
        servers.stop()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what takes longest first, if several processes run the tests; else files stay in their order."""
    if _given_to_worker(config):
        items.sort(key=place_in_the_order)


def _given_to_worker(config: pytest.Config) -> Mapping[str, Any] | None:
    return getattr(config, "workerinput", None)


def _folder(config: pytest.Config, name: str) -> Path:
    # What the fixture `tmp_path_factory` gives; no fixture lives as long as this process.
    made: Path = config._tmp_path_factory.mktemp(name)  # type: ignore[attr-defined]
    return made


def _let_children_import() -> None:
    """Let processes started by tests, wherever they run, import what the tests import."""
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    ours = [str(ROOT / "plugins"), str(ROOT)]
    others = (path for path in inherited if Path(path).is_absolute() and path not in ours)
    os.environ["PYTHONPATH"] = os.pathsep.join([*ours, *others])


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Servers:
    """The servers that all tests of the session share."""
    return pytestconfig.stash[SERVERS]


@pytest.fixture(scope="session")
def mongo_uri(servers: Servers) -> str:
    """The address of the shared MongoDB: use a database or a collection of the test's own."""
    return str(servers.ask("mongo_uri"))
