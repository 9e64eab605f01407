from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_fanout.engine.parentage import GRACE_S
from airflow_fanout.staging.journal import read_records
from tests.engine.harness import frozen, journal
from tests.engine.test_process import is_running
from tests.http.servers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_fanout.staging.directory import ListDirectory

ROOT = Path(__file__).resolve().parents[2]
LONGEST_S = 5.0

PARENT = """
import sys
from airflow_fanout.launch.messages import Output
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.staging.folder import list_at
from tests.engine.harness import job, settings

def fetch(session, number):
    import time
    if number < 5:
        return number
    if number == 5:
        print("working")
    {work}

with EngineProcess(job(list_at(sys.argv[1]), fetch, how=settings(1))) as engine:
    for said in engine.listen():
        if isinstance(said, Output):
            print(engine.pid, flush=True)
"""
WORKS = {
    "burns": "while True: pass",
    "clings": "exec('while True:\\n try: time.sleep(300)\\n except BaseException: pass')",
}


@pytest.fixture
def ends() -> Iterator[list[int]]:
    """Give a list of process ids; what is in it is killed after the test, should it still be there."""
    pids: list[int] = []
    yield pids
    for pid in filter(is_running, pids):
        os.kill(pid, signal.SIGKILL)


def orphaned(directory: ListDirectory, work: str) -> int:
    """Start a parent whose engine does some work, kill the parent, and return the engine's process id."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", PARENT.format(work=work), str(directory)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        engine = int(parent.stdout.readline())
        assert is_running(engine)
        parent.kill()
    return engine


@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_engine_ends_with_its_parent(tmp_path: Path, ends: list[int], work: str) -> None:
    """A parent's death by SIGKILL leaves no engine after five seconds, whatever the author's function does."""
    engine = orphaned(frozen(tmp_path, range(6)), work)
    ends.append(engine)
    assert until(lambda: not is_running(engine), LONGEST_S)


def test_orphan_stops_in_good_order(tmp_path: Path, ends: list[int]) -> None:
    """An engine whose parent is gone begins nothing new, and what it has finished is in the journal."""
    directory = frozen(tmp_path, range(100))
    engine = orphaned(directory, "time.sleep(0.4); return number")
    ends.append(engine)
    # Not by force, which comes later.
    assert until(lambda: not is_running(engine), GRACE_S - 0.5)
    done = [record.index for record in read_records(journal(directory))]
    assert done == list(range(len(done)))
    assert 5 < len(done) < 10
