"""An API that notes when each request arrives, and answers all of them alike."""

from __future__ import annotations

import asyncio
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n[1,2,3]"
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n"


class TimedService:
    """A service on this machine; moments are of the monotonic clock, in seconds.

    `latency_s` is how long an answer takes. From a moment on that `refuse` was called, it refuses for so long.
    """

    def __init__(self, latency_s: float = 0.002) -> None:
        self.latency_s = latency_s
        self.arrived: list[float] = []
        self.lines: list[bytes] = []
        self.in_flight = self.most_in_flight = 0
        self.refused_until_s = 0.0
        self.refused_path = "/"
        self.refused: list[float] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[TimedService]:
        """Serve while the context lasts."""
        ready = threading.Event()
        thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        thread.start()
        ready.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()

    def _serve(self, ready: threading.Event) -> None:
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Connection(self, self._loop), "127.0.0.1", 0)
        )
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def refuse(self, seconds: int, path: str = "/") -> None:
        """Refuse all requests of a path for so long, and say so."""
        self.refused_until_s, self.refused_path = time.monotonic() + seconds, path

    def arrived_at(self, path: str) -> list[float]:
        """Return when requests of a path have arrived."""
        begin = f"GET {path}".encode()
        return [moment for moment, line in zip(self.arrived, self.lines, strict=False) if line.startswith(begin)]

    def per_s(self, from_s: float, until_s: float) -> float:
        """Return the requests per second between two moments."""
        moments = sorted(self.arrived)
        return (bisect_left(moments, until_s) - bisect_left(moments, from_s)) / (until_s - from_s)

    def windows(self, from_s: float, until_s: float, length_s: float = 5.0) -> list[float]:
        """Return the requests per second of each window, one every tenth of a second."""
        steps = int((until_s - from_s - length_s) * 10)
        return [self.per_s(from_s + step / 10, from_s + step / 10 + length_s) for step in range(steps + 1)]


class _Connection(asyncio.Protocol):
    def __init__(self, service: TimedService, loop: asyncio.AbstractEventLoop) -> None:
        self._service, self._loop = service, loop
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        service, now_s = self._service, time.monotonic()
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for request in requests:
            service.arrived.append(now_s)
            service.lines.append(request.partition(b"\r\n")[0])
            service.in_flight += 1
            service.most_in_flight = max(service.most_in_flight, service.in_flight)
            answer = ANSWER
            if now_s < service.refused_until_s and request.startswith(f"GET {service.refused_path}".encode()):
                service.refused.append(now_s)
                answer = REFUSAL % max(1, round(service.refused_until_s - now_s))
            self._loop.call_later(service.latency_s, self._answer, answer)

    def _answer(self, answer: bytes) -> None:
        self._service.in_flight -= 1
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(answer)
