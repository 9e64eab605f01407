"""What is measured: which clients, over which server, how many requests at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.clients import CURL_MULTI, FANOUT, FANOUT_FUNCTION, OURS, PEERS, THREADS, UVLOOP, WRK, Client

ServerName = Literal["plain", "delayed", "tls-h1", "tls-h2"]
LATENCY_MS = 50.0
STEPS = (1, 4, 16, 64, 100, 256, 1000)
LISTS = (10_000, 100_000, 1_000_000)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A situation in which clients are compared.

    :param name: as the tables call it; up to the first `-`, the group by which `--only` chooses.
    :param server: which of the servers answers.
    :param size: the answers' size, the first part of the path.
    :param concurrency: how many requests at once.
    :param seconds: how long one sample lasts.
    :param count: how many requests, if not as many as fit into `seconds`.
    :param rounds: the most rounds.
    """

    name: str
    clients: tuple[Client, ...]
    server: ServerName = "plain"
    size: str = "500"
    concurrency: int = 100
    seconds: float = 1.5
    count: int | None = None
    rounds: int = 100

    @property
    def group(self) -> str:
        """What `--only` calls it."""
        return self.name.partition("-")[0]


def _latency(concurrency: int) -> Case:
    clients = (WRK, CURL_MULTI, UVLOOP, FANOUT, *((THREADS, FANOUT_FUNCTION) if concurrency == 100 else ()))
    # The canary and the throttle's start take half a second; a sample holds more of the time after it.
    name = f"latency-{concurrency}"
    return Case(name=name, clients=clients, server="delayed", concurrency=concurrency, seconds=10.0, rounds=3)


def _step(concurrency: int) -> Case:
    clients = (THREADS, UVLOOP, CURL_MULTI, FANOUT)
    return Case(name=f"concurrency-{concurrency}", clients=clients, concurrency=concurrency, seconds=1.0, rounds=3)


def _list(count: int) -> Case:
    return Case(name=f"parameters-{count}", clients=(FANOUT,), count=count, rounds=3)


SOME = (THREADS, UVLOOP, CURL_MULTI, FANOUT, FANOUT_FUNCTION)
CASES = (
    Case(name="plain", clients=(WRK, *PEERS, *OURS)),
    Case(name="5kB", clients=(WRK, *SOME), size="5000"),
    Case(name="tls-h1", clients=(WRK, *SOME), server="tls-h1"),
    # wrk, requests and aiohttp know no HTTP/2.
    Case(name="tls-h2", clients=(CURL_MULTI, FANOUT), server="tls-h2"),
    *(_latency(concurrency) for concurrency in (100, 300, 1000)),
    *(_step(concurrency) for concurrency in STEPS),
    *(_list(count) for count in LISTS),
)
