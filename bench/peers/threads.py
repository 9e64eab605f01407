"""`ThreadPoolExecutor` with a `requests.Session` that has a connection for each thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
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

    with session, ThreadPoolExecutor(asked.concurrency) as threads:
        for _ in threads.map(get, asked.urls()):
            pass
    return watch.latencies
