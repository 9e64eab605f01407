"""How many processes a fetch is worth."""

from __future__ import annotations

import math
import os
from pathlib import Path

# The requests that one core can have under way without being late for any, at the usual latencies of APIs: some 20,000
# a second by libcurl, a few thousand by functions. The numbers are those of docs/speed.md, with room.
BY_CURL = 500
BY_FUNCTION = 100
# Starting an interpreter takes as long as this number of requests.
FEWEST_PARAMETERS = 5_000

CGROUPS = Path("/sys/fs/cgroup")


def useful_processes(*, concurrency: int, declarative: bool, parameters: int, cores: int) -> int:
    """Return how many processes are worth their start.

    :param concurrency: how many requests are under way at once.
    :param declarative: whether libcurl sends them, not an author's function.
    :param parameters: how many parameters there are to fetch.
    :param cores: how many cores this process may use.
    """
    by_concurrency = math.ceil(concurrency / (BY_CURL if declarative else BY_FUNCTION))
    return max(1, min(cores, by_concurrency, parameters // FEWEST_PARAMETERS))


def usable_cores(cgroups: Path = CGROUPS) -> int:
    """Return how many cores this process may use: those that it may run on, within its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroups)
    # Half a core is one process's worth, two and a half are two's.
    return cores if quota is None else max(1, min(cores, int(quota)))


def _quota(cgroups: Path) -> float | None:
    # https://docs.kernel.org/admin-guide/cgroup-v2.html, cpu.max: "$MAX $PERIOD", in microseconds, or "max".
    # A container sees its own group at the root; version 1 has two files for it.
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            most, period = " ".join((cgroups / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        return int(most) / int(period) if most.isdecimal() else None
    return None
