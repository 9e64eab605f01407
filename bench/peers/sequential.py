"""One request after the other, over one `requests.Session`."""

from __future__ import annotations

import requests

from bench.asked import Asked
from bench.peers.stopwatch import Stopwatch


def fetch(asked: Asked) -> list[float]:
    """Send all requests."""
    watch = Stopwatch()
    with requests.Session() as session:
        session.verify = asked.authority or True
        for url in asked.urls():
            begun = watch.now()
            answer = session.get(url, timeout=60)
            answer.raise_for_status()
            answer.json()
            watch.stop(begun)
    return watch.latencies
