"""Who is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.engine import How


@dataclass(frozen=True, kw_only=True)
class Client:
    """Something that sends requests.

    :param name: as the tables call it.
    :param kind: a peer, a module of `bench.peers`; `engine`, which is ours; or `wrk`.
    :param module: the peer's module.
    :param how: how our engine sends; `None` for the others.
    """

    name: str
    kind: Literal["peer", "engine", "wrk"]
    module: str = ""
    how: How | None = None


def _peer(name: str, module: str) -> Client:
    return Client(name=name, kind="peer", module=module)


def _ours(name: str, how: How) -> Client:
    return Client(name=name, kind="engine", how=how)


SEQUENTIAL = _peer("sequential requests", "sequential")
THREADS = _peer("threads + requests", "threads")
CLASSIC = _peer("classic gevent script", "classic")
SHARED_SESSION = _peer("gevent + shared session", "shared_session")
HTTPX = _peer("httpx", "by_httpx")
AIOHTTP = _peer("aiohttp", "aio")
UVLOOP = _peer("aiohttp + uvloop + orjson", "aio_uvloop")
CURL_MULTI = _peer("bare pycurl multi", "curl_multi")
CURL_EPOLL = _peer("bare pycurl multi + epoll", "curl_epoll")
WRK = Client(name="wrk", kind="wrk")
FANOUT = _ours("fanout, request", How())
FANOUT_REQUESTS = _ours("fanout, request by requests", How(transport="requests"))
FANOUT_FUNCTION = _ours("fanout, function", How(sends="function"))
FANOUT_REQUESTS_TWO = _ours("fanout, request by requests, 2 processes", How(transport="requests", processes=2))
FANOUT_TWO = _ours("fanout, request, 2 processes", How(processes=2))

PEERS = (SEQUENTIAL, CLASSIC, THREADS, SHARED_SESSION, HTTPX, AIOHTTP, UVLOOP, CURL_EPOLL, CURL_MULTI)
OURS = (FANOUT_REQUESTS, FANOUT_REQUESTS_TWO, FANOUT_FUNCTION, FANOUT, FANOUT_TWO)
