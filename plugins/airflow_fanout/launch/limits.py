"""Open files: whether the limit carries the concurrency, decided before the first request."""

from __future__ import annotations

import resource
from collections.abc import Callable

from airflow_fanout.launch.errors import TooFewFiles

# Files, pipes, the event loop's own descriptors, and what an author's function may open besides.
RESERVE = 64
# What each connection of Airflow's needs besides its sockets, if there are several: libcurl's and the loop's own, twice
# for a function's session; and the fewest sockets that it keeps.
FILES_OF_API, LEAST_KEPT = 8, 2
# All calls of functions at once, however many connections there are: each has a place on the board.
MOST_CALLS = 65_536

Get = Callable[[int], tuple[int, int]]
Set = Callable[[int, tuple[int, int]], None]


def check_files(concurrency: int, hard_limit: int, apis: int = 1) -> int:
    """Return how many open files the concurrency needs.

    :param hard_limit: how many the process may have; it can't raise that itself.
    :param apis: how many connections of Airflow's the requests go to.
    :raises TooFewFiles: if the limit is below that.
    """
    needed = concurrency + RESERVE + (apis - 1) * (FILES_OF_API + LEAST_KEPT)
    if hard_limit != resource.RLIM_INFINITY and needed > hard_limit:
        raise TooFewFiles(concurrency, needed, hard_limit, max(hard_limit - RESERVE, 0))
    return needed


def share_of_files(concurrency: int, apis: int, hard_limit: int) -> int:
    """Return how many requests one of several connections of Airflow's may have under way, and sockets keep.

    Its sockets are closed when it is done, so all of them together seldom have that many.
    """
    most = MOST_CALLS // apis
    if hard_limit != resource.RLIM_INFINITY:
        most = min(most, (hard_limit - RESERVE - concurrency) // apis - FILES_OF_API)
    return min(concurrency, max(LEAST_KEPT, most))


def allow_files(concurrency: int, get: Get, set_: Set, apis: int = 1) -> None:
    """Raise this process's soft limit to what the concurrency needs, if it is lower.

    :param apis: how many connections of Airflow's the requests go to.
    :raises TooFewFiles: when the hard limit doesn't allow it.
    """
    soft, hard = get(resource.RLIMIT_NOFILE)
    needed = check_files(concurrency, hard, apis)
    if apis > 1:
        needed += apis * share_of_files(concurrency, apis, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        set_(resource.RLIMIT_NOFILE, (needed, hard))
