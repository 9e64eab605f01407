"""The classic script: `patch_all`, a `Pool`, `requests.get`, `joinall`."""

from __future__ import annotations

from typing import Any

import gevent
import requests
from gevent.pool import Pool

from bench.asked import Asked
from bench.peers.stopwatch import Stopwatch


def fetch(asked: Asked) -> list[float]:
    """Send all requests."""
    watch = Stopwatch()

    def get(url: str) -> Any:
        begun = watch.now()
        answer = requests.get(url, timeout=60, verify=asked.authority or True)
        answer.raise_for_status()
        found = answer.json()
        watch.stop(begun)
        return found

    pool = Pool(asked.concurrency)
    gevent.joinall([pool.spawn(get, url) for url in asked.urls()], raise_error=True)
    return watch.latencies
