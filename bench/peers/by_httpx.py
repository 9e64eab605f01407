"""httpx's `AsyncClient`: as many workers as connections."""

from __future__ import annotations

import asyncio
import ssl

import httpx

from bench.asked import Asked
from bench.peers.stopwatch import Stopwatch


def fetch(asked: Asked) -> list[float]:
    """Send all requests."""
    return asyncio.run(_fetch_all(asked))


async def _fetch_all(asked: Asked) -> list[float]:
    watch, urls = Stopwatch(), asked.urls()

    async def work(client: httpx.AsyncClient) -> None:
        for url in urls:
            begun = watch.now()
            answer = await client.get(url)
            answer.raise_for_status()
            answer.json()
            watch.stop(begun)

    trust = ssl.create_default_context(cafile=asked.authority) if asked.authority else True
    limits = httpx.Limits(max_connections=asked.concurrency, max_keepalive_connections=asked.concurrency)
    async with httpx.AsyncClient(verify=trust, limits=limits, timeout=60) as client:
        await asyncio.gather(*(work(client) for _ in range(asked.concurrency)))
    return watch.latencies
