from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_fanout.launch.cores import usable_cores, useful_processes


@pytest.mark.parametrize(
    ("concurrency", "declarative", "parameters", "cores", "processes"),
    [
        (32, True, 1_000_000, 8, 1),
        (500, True, 1_000_000, 8, 1),
        (1_000, True, 1_000_000, 8, 2),
        (10_000, True, 1_000_000, 4, 4),
        (100, False, 1_000_000, 8, 1),
        (101, False, 1_000_000, 8, 2),
        (1_000, True, 4_999, 8, 1),
        (1_000, True, 0, 8, 1),
        (1_000, True, 10_000, 1, 1),
    ],
)
def test_as_many_as_are_useful(
    concurrency: int, declarative: bool, parameters: int, cores: int, processes: int
) -> None:
    """One for so many requests at once, never more than cores, and none that isn't worth its start."""
    assert processes == useful_processes(
        concurrency=concurrency, declarative=declarative, parameters=parameters, cores=cores
    )


def test_a_container_may_use_its_quota_only(tmp_path: Path) -> None:
    """The cores are those that the process may run on, and whole cores of its container's quota."""
    mine = len(os.sched_getaffinity(0))
    assert usable_cores(tmp_path) == mine
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cores(tmp_path) == mine
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert usable_cores(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert usable_cores(tmp_path) == 1


def test_the_older_form_of_a_quota_is_read(tmp_path: Path) -> None:
    """Control groups of version 1 have the quota and its period in two files; -1 is no quota."""
    folder = tmp_path / "cpu"
    folder.mkdir()
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    (folder / "cpu.cfs_quota_us").write_text("100000\n")
    assert usable_cores(tmp_path) == 1
    (folder / "cpu.cfs_quota_us").write_text("-1\n")
    assert usable_cores(tmp_path) == len(os.sched_getaffinity(0))
