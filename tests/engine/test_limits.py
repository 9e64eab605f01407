from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_fanout.launch.errors import TooFewFiles
from airflow_fanout.launch.limits import RESERVE, allow_files, check_files

ROOT = Path(__file__).resolve().parents[2]


def in_a_child(code: str, soft: int, hard: int) -> str:
    """Run code under limits on open files, and return what it prints."""
    limits = f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"'
    environment = {"PYTHONPATH": str(ROOT / "plugins")}
    done = subprocess.run(
        ["bash", "-c", limits, "bash", sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout + done.stderr


RAISE = """
import resource
from airflow_fanout.launch.limits import allow_files
allow_files({concurrency}, resource.getrlimit, resource.setrlimit)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_concurrency_that_fits() -> None:
    """What the concurrency needs is its connections and a reserve."""
    assert check_files(100, 1024) == 100 + RESERVE
    assert check_files(1024 - RESERVE, 1024) == 1024
    assert check_files(10**6, resource.RLIM_INFINITY) == 10**6 + RESERVE


def test_concurrency_that_does_not_fit_is_refused() -> None:
    """A concurrency that the limit can't carry is refused with what it needs, what there is, and what would go."""
    with pytest.raises(TooFewFiles) as caught:
        check_files(300, 256)
    error = caught.value
    assert (error.concurrency, error.needed, error.limit, error.possible) == (300, 364, 256, 192)
    assert {"300", "364", "256", "192"} <= set(re.findall(r"\d+", str(error)))


def test_high_soft_limit_stays() -> None:
    """A limit that is high enough isn't touched."""
    changed: list[object] = []
    allow_files(100, lambda _: (4096, 8192), lambda *change: changed.append(change))
    allow_files(100, lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY), lambda *change: changed.append(change))
    assert changed == []


def test_low_hard_limit_is_refused_by_a_real_process() -> None:
    """Under `ulimit -n 256`, a concurrency of 300 is refused with both numbers."""
    said = in_a_child(RAISE.format(concurrency=300), soft=256, hard=256)
    assert "TooFewFiles" in said
    assert "300" in said
    assert "256" in said


def test_low_soft_limit_is_raised_in_a_real_process() -> None:
    """When only the soft limit is low, it is raised to what the concurrency needs."""
    assert in_a_child(RAISE.format(concurrency=300), soft=256, hard=1024) == f"{300 + RESERVE} 1024\n"
