"""aiohttp, as it comes: as many workers as connections."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp

from bench.asked import Asked
from bench.peers.stopwatch import Stopwatch


def fetch(asked: Asked) -> list[float]:
    """Send all requests."""
    return asyncio.run(fetch_all(asked, json.loads))


async def fetch_all(asked: Asked, loads: Callable[[bytes], Any]) -> list[float]:
    """Send all requests, and parse the answers with `loads`."""
    watch, urls = Stopwatch(), asked.urls()

    async def work(session: aiohttp.ClientSession) -> None:
        for url in urls:
            begun = watch.now()
            async with session.get(url) as answer:
                answer.raise_for_status()
                loads(await answer.read())
            watch.stop(begun)

    trust = ssl.create_default_context(cafile=asked.authority) if asked.authority else True
    connector = aiohttp.TCPConnector(limit=asked.concurrency, ssl=trust)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(work(session) for _ in range(asked.concurrency)))
    return watch.latencies
