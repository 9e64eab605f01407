"""Open files: whether the limit carries the concurrency, decided before the first request."""

from __future__ import annotations

import resource
from collections.abc import Callable

from airflow_fanout.launch.errors import TooFewFiles

# Files, pipes, the event loop's own descriptors, and what an author's function may open besides.
RESERVE = 64

Get = Callable[[int], tuple[int, int]]
Set = Callable[[int, tuple[int, int]], None]


def check_files(concurrency: int, hard_limit: int) -> int:
    """Return how many open files the concurrency needs.

    :param hard_limit: how many the process may have; it can't raise that itself.
    :raises TooFewFiles: if the limit is below that.
    """
    needed = concurrency + RESERVE
    if hard_limit != resource.RLIM_INFINITY and needed > hard_limit:
        raise TooFewFiles(concurrency, needed, hard_limit, max(hard_limit - RESERVE, 0))
    return needed


def allow_files(concurrency: int, get: Get, set_: Set) -> None:
    """Raise this process's soft limit to what the concurrency needs, if it is lower.

    :raises TooFewFiles: when the hard limit doesn't allow it.
    """
    soft, hard = get(resource.RLIMIT_NOFILE)
    needed = check_files(concurrency, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        set_(resource.RLIMIT_NOFILE, (needed, hard))
