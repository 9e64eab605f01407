"""What all tests share: the path of their children, the servers of a session, and the order of the tests."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Mapping
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from harness.processes.keeper import PR_SET_PDEATHSIG
from tests import guard
from tests.distribution import Distribution, place_in_the_order
from tests.shared import Desk, OwnServers, Servers, ServersElsewhere

pytest_plugins = ["tests.airflow_fixture", "tests.s3_fixture"]

ROOT = Path(__file__).parents[1]
GUARD = pytest.StashKey["subprocess.Popen[bytes]"]()
SERVERS = pytest.StashKey[Servers]()
DESK = pytest.StashKey[Desk]()


def pytest_configure(config: pytest.Config) -> None:
    """Prepare this process, the first one or a worker of pytest-xdist, for the tests and what they start."""
    _let_children_import()
    if given := _given_to_worker(config):
        _end_with_parent()
        _begin_at_its_own_part(config)
        # What it loads and finds stays. To look for garbage in it again and again takes a quarter of the time.
        gc.disable()
        config.stash[SERVERS] = ServersElsewhere(*given["servers"])
    else:
        config.stash[GUARD] = _guarded()
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
    return Distribution(config, log, partial(config.stash[SERVERS].ask, "end_airflow"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers with the session."""
    if desk := config.stash.get(DESK, None):
        desk.close()
    if isinstance(servers := config.stash.get(SERVERS, None), OwnServers):
        servers.stop()
    if started := config.stash.get(GUARD, None):
        started.communicate()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what takes longest first, if several processes run the tests; else files stay in their order."""
    if _given_to_worker(config):
        items.sort(key=lambda item: (place_in_the_order(item), item.path))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let a worker look for garbage from its first test on."""
    if _given_to_worker(session.config):
        gc.enable()


def _given_to_worker(config: pytest.Config) -> Mapping[str, Any] | None:
    return getattr(config, "workerinput", None)


def _guarded() -> subprocess.Popen[bytes]:
    """Mark whatever is started from now on, and start the one that ends it when this process is gone."""
    os.environ.pop(guard.MARK, None)
    command = [sys.executable, "-P", guard.__file__, mark := uuid4().hex]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    os.environ[guard.MARK] = mark
    return started


def _end_with_parent() -> None:
    """Have this worker killed when pytest's first process is; it would go on for seconds, or stay in a long call."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _begin_at_its_own_part(config: pytest.Config) -> None:
    """Let each worker collect all tests, but begin with another part of them than the others do.

    Where nothing is compiled yet, pytest takes ten seconds of processor time to rewrite the assertions of all tests.
    So each worker rewrites its part, and by then finds the next one rewritten.
    """
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        files = sorted((ROOT / "tests").rglob("test_*.py"))
        parts = sorted({str(ROOT / "tests" / file.relative_to(ROOT / "tests").parts[0]) for file in files})
        sizes = [sum(file.stat().st_size for file in files if str(file).startswith(part)) for part in parts]
        worker = _given_to_worker(config) or {}
        place = int(worker["workerid"].removeprefix("gw")) / worker["workercount"]
        first = bisect_left(list(accumulate(sizes)), place * sum(sizes))
        config.args = parts[first:] + parts[:first]


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
