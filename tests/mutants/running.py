"""Runs a module's tests over its changes, several at a time, each in a copy of the repository of its own."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import NoReturn

from hypothesis import settings

from harness.mongod import Mongod
from tests.mutants.modules import Module
from tests.mutants.sampling import Mutant

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("bench", "dags", "demo", "harness", "plugins", "tests", "pyproject.toml")
# The packages of the repository that a run imports again.
OURS = ("airflow_fanout", "harness", "tests")
# What every run of tests needs, and nobody changes: a run begins as a fork of a process that has it already.
WARM = ("pytest", "hypothesis", "bson", "msgspec", "psutil", "pymongo", "requests", "zstandard")
# The tests of a change that never ends are ended; an honest run on a busy machine isn't.
SLOWEST = 10
SPARE_S = 60.0
# A change may ask for memory without end; the tests as they are need a fraction of this.
MOST_BYTES = 4 << 30
LOG = Path("output.txt")
# Of a property so many examples: a change that is noticed is noticed by few, and one that isn't costs all of them.
EXAMPLES = 25


@dataclass(frozen=True)
class Tried:
    """What became of a change: whether a test failed over it."""

    mutant: Mutant
    killed: bool


class TestsFail(Exception):
    """The module's tests fail as they are, without any change."""


class Runner:
    """Tries changes in copies of the repository; made by `running`."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def tried(self, module: Module, mutants: Sequence[Mutant]) -> Iterator[Tried]:
        """Yield what became of each change.

        :raises TestsFail: if the module's tests don't pass without a change.
        """
        timeout_s = SPARE_S + SLOWEST * self._unchanged_s(module)
        futures = [self._pool.submit(_fails, module, mutant.code, timeout_s) for mutant in mutants]
        for mutant, future in zip(mutants, futures, strict=True):
            yield Tried(mutant, killed=bool(future.result()))

    def _unchanged_s(self, module: Module) -> float:
        begun = time.monotonic()
        if output := self._pool.submit(_fails, module, None, 3600.0).result():
            raise TestsFail(f"{module.name}: its tests fail as they are\n{output}")
        return time.monotonic() - begun


@contextmanager
def running(jobs: int) -> Iterator[Runner]:
    """Make copies of the repository for as many jobs, and a MongoDB; remove them in the end."""
    with tempfile.TemporaryDirectory(prefix="fanout-mutants-") as name, Mongod.start(Path(name) / "mongo") as mongod:
        pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_settle, initargs=(name, mongod.uri))
        try:
            yield Runner(pool)
        finally:
            pool.shutdown(cancel_futures=True)


def _settle(directory: str, mongo_uri: str) -> None:
    copy = Path(directory) / str(os.getpid())
    copy.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name)
        else:
            shutil.copy2(source, copy)
    os.chdir(copy)
    # The copy's modules, nobody else's; what this process itself needed of the repository, a run imports again.
    places = [str(copy / "plugins"), str(copy)]
    os.environ |= {"PYTHONPATH": os.pathsep.join(places), "MONGO_URI": mongo_uri}
    sys.path[:] = [*places, *(path for path in sys.path if path and ROOT not in (Path(path), Path(path).parent))]
    sys.dont_write_bytecode = True
    for name in WARM:
        import_module(name)
    # The tests' own profiles begin with the one that is loaded.
    settings.register_profile("few", max_examples=EXAMPLES, database=None)
    settings.load_profile("few")


def _fails(module: Module, code: str | None, timeout_s: float) -> str:
    """Return what pytest printed if a test fails over the module's code (`None`: as it is), else nothing."""
    original = module.path.read_text()
    try:
        if code is not None:
            module.path.write_text(code)
        run = os.fork()
        if not run:
            _test(module)
        passed = _passed(run, timeout_s)
    finally:
        module.path.write_text(original)
    return "" if passed else LOG.read_text() or "it took too long"


def _test(module: Module) -> NoReturn:
    status = 70
    try:
        status = _pytest(module)
    except BaseException:  # noqa: BLE001 - this process is a copy of the worker, which must not go on as a second one
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _pytest(module: Module) -> int:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    with LOG.open("wb") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    import pytest

    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    # The seed of hypothesis, so that a change is noticed each time or never; the warning is about what is warm.
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*options, *module.test_paths]))


def _passed(run: int, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        ended, status = os.waitpid(run, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.killpg(run, signal.SIGKILL)
    os.waitpid(run, 0)
    return False
