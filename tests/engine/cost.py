"""Counts what a thousand declarative requests cost the engine: run in an interpreter of its own, prints JSON.

Everything of the engine is there but libcurl and the network: the frozen list, templates, throttle, settlement, JSON,
journal. What is counted, function calls and the interpreter's instructions, is the same on every machine, however busy.
"""

from gevent import monkey

monkey.patch_all()

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from airflow_fanout.api.request import Request
from airflow_fanout.api.session import FanoutSession
from airflow_fanout.api.settled import settled
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.access import EngineAccess
from airflow_fanout.engine.journal_thread import JournalThread
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.pump import Pump
from airflow_fanout.engine.transport.by_curl import CurlTransport
from airflow_fanout.engine.transport.by_requests import RequestsTransport
from airflow_fanout.engine.work import WorkQueue
from airflow_fanout.launch.job import Terms
from airflow_fanout.launch.messages import NewCredentials
from airflow_fanout.model.outcome import Record
from airflow_fanout.model.settings import FetchSettings, Throttle
from airflow_fanout.staging.frozen import read_parameters
from airflow_fanout.staging.journal import JournalWriter
from harness.numbers import numbers
from tests.engine.harness import NOWHERE, frozen, job
from tests.engine.scripted_curl import Kept, ScriptedEasy, ScriptedMulti
from tests.staging.places import try_at

Note = Callable[[Any, str, Any], Any]

REQUEST = Request(endpoint="/calls/{tel}", query={"day": "2026-11-22"}, result="calls")
BODY = json.dumps({"calls": [{"to": "+12025550100", "seconds": place} for place in range(12)]}).encode()


# At full speed even a token of two seconds lasts for longer than this number of requests.
RENEWED_EVERY = 1_000


class Renewing:
    """Renews the credentials after each thousandth record.

    :param write: takes the records.
    """

    def __init__(self, access: EngineAccess, write: Callable[[Sequence[Record]], None]) -> None:
        self._access = access
        self._write = write
        self._records = 0

    def write(self, records: Sequence[Record]) -> None:
        """Pass records on."""
        before, self._records = self._records, self._records + len(records)
        if before // RENEWED_EVERY != self._records // RENEWED_EVERY:
            self._access.take(newest(1 + self._records // RENEWED_EVERY))
        self._write(records)


def newest(renewal: int) -> NewCredentials:
    """Return the token of a renewal."""
    endpoint = replace(NOWHERE, auth="bearer", password=f"token-{renewal}")
    now = time.monotonic()
    return NewCredentials(endpoint, Terms(renewal=renewal, ends_at_s=now + 3600.0, trusted_until_s=now))


def pump(folder: Path, count: int, *, has_tokens: bool = False) -> Pump:
    """Return a pump with this number of requests to send, and all that belongs to it."""
    # The limit looks at latencies, and here it stays where it is, whatever these are.
    settings = FetchSettings(concurrency=100, throttle=Throttle(initial_concurrency=100, min_concurrency=100))
    directory = frozen(folder, numbers(count), ("tel",))
    scribe = JournalThread(JournalWriter(try_at(folder)))
    traffic = Traffic(settings)
    first = newest(1)
    endpoint = settled(first.endpoint if has_tokens else NOWHERE)
    todo = replace(job(directory, REQUEST, endpoint, settings), terms=first.terms)
    access = EngineAccess(todo, traffic, lambda _message: None) if has_tokens else None
    kept = Kept()
    easy = partial(ScriptedEasy, BODY, kept)
    return Pump(
        transport=CurlTransport(endpoint, REQUEST, ("tel",), settings, easy, access=access),
        others=RequestsTransport(FanoutSession(endpoint, settings), REQUEST, ("tel",), 60.0),
        note=print,
        multi=partial(ScriptedMulti, kept),
        work=WorkQueue(read_parameters(directory, range(count)), room=traffic.room_for_new),
        traffic=traffic,
        settings=settings,
        meter=Meter(total=count, resumed=0),
        write=Renewing(access, scribe.extend).write if access else scribe.extend,
    )


def counted(
    count: int, trace: Callable[[Note | None], None], counts: tuple[str, ...], *, has_tokens: bool = False
) -> int:
    """Return how often such events happen, of those that a tracer gets, for this number of requests."""
    total = 0

    def note(frame: Any, event: str, _arg: Any) -> Any:
        nonlocal total
        total += event in counts
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return note

    with tempfile.TemporaryDirectory() as folder:
        counting = pump(Path(folder), count, has_tokens=has_tokens)
        trace(note)
        try:
            counting.run()
        finally:
            trace(None)
    return total


def calls(count: int, *, has_tokens: bool = False) -> int:
    """Return how many functions are called, of Python's and of C's, for so many requests."""
    return counted(count, sys.setprofile, ("call", "c_call"), has_tokens=has_tokens)


def instructions(count: int, *, has_tokens: bool = False) -> int:
    """Return how many of the interpreter's instructions are carried out for so many requests."""
    return counted(count, sys.settrace, ("opcode",), has_tokens=has_tokens)


def each(what: Callable[[int], float]) -> float:
    """Return the cost of one request more, beginning and end left out."""
    return round((what(2_000) - what(1_000)) / 1_000, 1)


if __name__ == "__main__":
    costs = {"calls": calls, "instructions": instructions}
    plain = {name: each(cost) for name, cost in costs.items()}
    with_tokens = {f"{name} with tokens": each(partial(cost, has_tokens=True)) for name, cost in costs.items()}
    print(json.dumps(plain | with_tokens))
