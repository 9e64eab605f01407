"""Answers that are meant to hurt: each ends in its outcome, and the other parameters hardly notice."""

from __future__ import annotations

import itertools
import re
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.launch.stop_reasons import Finished
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import MIB, FetchSettings, Retry, Timeouts
from harness.numbers import numbers
from harness.service import DemoService
from tests.engine.harness import frozen, job, listened
from tests.http.servers import Server, announce, authority, drip, gzip_bomb, paths, redirect

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tests.engine.harness import Run
    from tests.http.servers import Connection, Handler, Seen

GOOD = 400
TOTAL_S = 2.0
# One try of each, so that a record's time is that of its only attempt. The service answers so slowly that it is the
# waiting which is measured, not the machine's load.
HOW = FetchSettings(
    concurrency=16, retry=Retry(max_attempts=1), timeouts=Timeouts(connect_s=1, read_s=1, total_s=TOTAL_S)
)
LATENCY_MS = 100
ROUNDS = 4
MOST_SLOWER = 0.10

OUTCOMES = {
    "drip": (Kind.TIMEOUT, "TotalTimeout"),
    "bomb": (Kind.INVALID, "BodyTooLarge"),
    "gibibyte": (Kind.INVALID, "BodyTooLarge"),
    "redirect": (Kind.INVALID, "TooManyRedirects"),
    "headers": (Kind.CONNECTION_ERROR, "ConnectionError"),
    "header": (Kind.CONNECTION_ERROR, "ConnectionError"),
    "certificate": (Kind.CONNECTION_ERROR, "SSLError"),
}
LARGE = ("bomb", "gibibyte")
TIMES = 2


@dataclass(frozen=True)
class Measured:
    """A run, and the most memory that its engine had."""

    run: Run
    peak_bytes: int

    @property
    def median_ms(self) -> float:
        """The median time of the good parameters."""
        return median(record.ms for record in self.run.records if record.parameter["kind"] == "good")


def fetch(session: requests.Session, kind: str, address: str) -> Any:
    """Ask an address, whoever's it is."""
    response = session.get(address)
    response.raise_for_status()
    return response.json()


def flood(_seen: Seen, connection: Connection) -> None:
    """Send headers without end."""
    connection.send(b"HTTP/1.1 200 OK\r\n")
    for number in itertools.count():
        connection.send(b"X-Flood-%d: %s\r\n" % (number, b"x" * 100) * 100)


def long_header(_seen: Seen, connection: Connection) -> None:
    """Send one header without end."""
    connection.send(b"HTTP/1.1 200 OK\r\nX-Flood: ")
    while True:
        connection.send(b"x" * (1 << 16))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Addresses that answer in the ways of `OUTCOMES`."""
    routes: dict[str, Handler | bytes] = {
        "/drip": lambda _seen, connection: drip(connection, 0.5),
        "/bomb": gzip_bomb(),
        "/gibibyte": lambda _seen, connection: announce(connection),
        "/redirect": redirect("/redirect"),
        "/headers": flood,
        "/header": long_header,
    }
    with ExitStack() as stack:
        plain = stack.enter_context(Server(paths(routes)))
        _, context = authority(tmp_path_factory.mktemp("authority"))
        secure = stack.enter_context(Server(paths({}), tls=context))
        yield {path[1:]: f"{plain.origin}{path}" for path in routes} | {"certificate": f"{secure.origin}/"}


@pytest.fixture(scope="module")
def service() -> Iterator[DemoService]:
    """A service whose every answer takes the same time."""
    with DemoService.start(subscribers=GOOD, latency_ms=LATENCY_MS) as running:
        yield running


def parameters(service: DemoService, bad: dict[str, str]) -> list[tuple[str, str]]:
    """Return the good parameters, and the bad ones evenly among them."""
    found = [("good", f"{service.url}/calls/{tel}?day=2026-11-01") for tel in numbers(GOOD)]
    # Each has an address of its own, since a list has no parameter twice.
    among = [(kind, f"{address}?{time_}") for time_ in range(TIMES) for kind, address in bad.items()]
    for place, one in enumerate(among):
        found.insert((place + 1) * GOOD // (len(among) + 1) + place, one)
    return found


def measured(folder: Path, service: DemoService, bad: dict[str, str]) -> Measured:
    """Fetch, and watch the engine's memory."""
    folder.mkdir()
    todo = job(frozen(folder, parameters(service, bad), ("kind", "address")), fetch, service.url, HOW)
    peak = [0]
    with EngineProcess(todo) as engine:
        watcher = threading.Thread(target=_watch, args=(engine.pid, peak))
        watcher.start()
        found = listened(engine, todo)
        watcher.join()
    assert found.reason == Finished(), found.last
    return Measured(found, peak[0])


def _watch(pid: int, peak: list[int]) -> None:
    """Note the most memory of a process until it has none: only its parent's own thread may wait for its end."""
    # It is gone as soon as somebody has waited for it.
    with suppress(FileNotFoundError, ProcessLookupError):
        while lines := re.findall(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE):
            peak[0] = max(peak[0], int(lines[0]) * 1024)
            time.sleep(0.02)


@pytest.mark.slow
def test_hostile_answers(tmp_path: Path, service: DemoService, hostile: dict[str, str]) -> None:
    """Each ends in its outcome within its deadline and memory limit; the others are slowed down by 10 % at the most."""
    slower = []
    for number in range(ROUNDS):
        without = measured(tmp_path / f"without-{number}", service, {})
        among = measured(tmp_path / f"among-{number}", service, hostile)
        assert_outcomes(among.run)
        assert_memory(among, without)
        slower.append(among.median_ms / without.median_ms - 1)
        print(f"good ones: {without.median_ms:.1f} ms alone, {among.median_ms:.1f} ms among others, {slower[-1]:+.1%}")
        if slower[-1] <= MOST_SLOWER:
            # A busy machine makes a pair unequal; what slows the good ones down does so in each of them.
            break
    assert min(slower) <= MOST_SLOWER


def assert_outcomes(found: Run) -> None:
    """Check what became of each, and when."""
    for record in found.records:
        kind = record.parameter["kind"]
        if kind == "good":
            assert record.kind is Kind.OK
        else:
            assert record.failure is not None
            assert (record.kind, record.failure.type) == OUTCOMES[kind], record.failure
            assert record.ms < (TOTAL_S + 0.5) * 1000, (kind, record.ms)
    assert found.progress.done == GOOD + TIMES * len(OUTCOMES)


def assert_memory(among: Measured, without: Measured) -> None:
    """Check that no more than the allowed part of each body was ever held."""
    extra = among.peak_bytes - without.peak_bytes
    allowed = TIMES * len(LARGE) * HOW.max_body_bytes
    print(f"\npeak: {without.peak_bytes / MIB:.0f} MiB alone, {among.peak_bytes / MIB:.0f} MiB among others")
    assert extra <= allowed
