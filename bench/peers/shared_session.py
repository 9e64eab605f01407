"""A gevent `Pool` with one `requests.Session` that has a connection for each greenlet."""

from __future__ import annotations

from typing import Any

import requests
from gevent.pool import Pool
from requests.adapters import HTTPAdapter

from bench.asked import Asked
from bench.peers.stopwatch import Stopwatch


def fetch(asked: Asked) -> list[float]:
    """Send all requests."""
    watch = Stopwatch()
    session = requests.Session()
    session.verify = asked.authority or True
    session.mount(asked.base, HTTPAdapter(pool_maxsize=asked.concurrency))

    def get(url: str) -> Any:
        begun = watch.now()
        answer = session.get(url, timeout=60)
        answer.raise_for_status()
        found = answer.json()
        watch.stop(begun)
        return found

    with session:
        for _ in Pool(asked.concurrency).imap_unordered(get, asked.urls()):
            pass
    return watch.latencies
