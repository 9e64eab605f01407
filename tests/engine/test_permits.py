"""Requests inside calls of functions: each has its permit and is counted, however and by whomever it is sent."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import gevent
import pytest
import requests
from gevent.threadpool import ThreadPool
from requests.adapters import HTTPAdapter

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.launch.stop_reasons import Finished, LongPause, StartupFailed
from airflow_fanout.model.outcome import Cause, Kind
from airflow_fanout.model.settings import Breaker, FetchSettings, Retry, Throttle, Timeouts
from tests.engine.harness import ONCE, Run, Sending, frozen, job, run, settings
from tests.http.servers import Server, answer, as_json, redirect, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.http.servers import Connection, Routes, Seen

CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'


def digest(seen: Seen, _: Connection) -> bytes:
    """Ask for credentials first."""
    return as_json(1) if "authorization" in seen.headers else answer(b"", "401 Unauthorized", CHALLENGE)


def broken(_: Seen, connection: Connection) -> None:
    """Break off in the middle of the body."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1")
    connection.hang_up()


def slow(_: Seen, connection: Connection) -> bytes:
    """Take a moment."""
    connection.pause(0.05)
    return as_json(1)


ROUTES: Routes = {
    "/x": lambda seen, _: as_json(seen.target),
    "/moved": redirect("/x"),
    "/moved-twice": redirect("/moved"),
    "/slow": slow,
    "/hang": lambda _, connection: connection.pause(30),
    "/digest": digest,
    "/denied": answer(b"", "401 Unauthorized"),
    "/busy": answer(b"", "429 Too Many Requests", "Retry-After: 1"),
    "/gone": lambda _, connection: connection.hang_up(reset=True),
    "/closed": as_json(1, "200 OK", "RateLimit: r=0;t=3600"),
    "/broken": broken,
}


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server with these answers."""
    with serving(ROUTES) as running:
        yield running


def fetched(folder: Path, server: Server, function: Callable[..., Any], count: int, how: FetchSettings) -> Run:
    """Make so many calls of a function."""
    return run(job(frozen(folder, range(count)), function, server.origin, how))


def three(session: requests.Session, number: int) -> list[str]:
    """Send three requests, one after the other."""
    return [session.get("/x", params={"number": number, "part": part}).json() for part in range(3)]


def redirected(session: requests.Session, _number: int) -> str:
    """Follow two redirects."""
    return str(session.get("/moved-twice").json())


def streamed(session: requests.Session, _number: int) -> int:
    """Read an answer as a stream, while another request is sent."""
    with session.get("/x", stream=True) as response:
        session.get("/x")
        return sum(map(len, response.iter_content(4)))


def hooked(session: requests.Session, _number: int) -> list[int]:
    """Look at an answer by a hook."""
    seen: list[int] = []
    session.get("/x", hooks={"response": lambda response, **_: seen.append(response.status_code)})
    return seen


def by_own_adapter(session: requests.Session, _number: int) -> str:
    """Send by an adapter of the function's own."""
    session.mount("http://127.0.0.1", HTTPAdapter())
    return str(session.get("/moved").json())


def prepared(session: requests.Session, number: int) -> str:
    """Send a prepared request."""
    base = session.get("/x").url.removesuffix("/x")
    return str(session.send(session.prepare_request(requests.Request("GET", f"{base}/x?{number}"))).json())


def in_greenlets(session: requests.Session, _number: int) -> int:
    """Send five requests at once, from greenlets."""
    greenlets = gevent.joinall([gevent.spawn(session.get, "/slow") for _ in range(5)])
    return sum(greenlet.get().json() for greenlet in greenlets)


def in_threads(session: requests.Session, _number: int) -> int:
    """Send three requests from threads of the operating system's."""
    pool = ThreadPool(2)
    return len([response.json() for response in pool.map(session.get, ["/x", "/x", "/moved"])])


def swallowed(session: requests.Session, _number: int) -> str:
    """Make nothing of an answer that breaks off."""
    try:
        return str(session.get("/broken").json())
    except requests.RequestException as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("function", "each"),
    [
        (three, 3),
        (redirected, 3),
        (streamed, 2),
        (hooked, 1),
        (by_own_adapter, 2),
        (prepared, 2),
        (in_greenlets, 5),
        (in_threads, 4),
        (swallowed, 1),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_request_is_counted(
    tmp_path: Path, server: Server, sending: Sending, function: Callable[..., Any], each: int
) -> None:
    """What the fetch counts is what the server has seen, whatever sends it: requests, and as many latencies."""
    found = fetched(tmp_path, server, function, 6, sending(4))
    assert {outcome.kind for outcome in found.outcomes.values()} == {Kind.OK}, found.outcomes
    assert (found.progress.requests, len(server.seen)) == (6 * each, 6 * each)
    assert found.progress.latency.total == 6 * each
    assert (found.progress.in_flight, found.progress.done) == (0, 6)


def test_digest_is_two_requests(tmp_path: Path, server: Server, sending: Sending) -> None:
    """The challenge is a request as well, and no refusal: the fetch goes on."""
    endpoint = Endpoint(base_url=server.origin, login="ada", password="s3cr3t", auth="digest")
    how = sending(2, breaker=Breaker(canary=0, startup_attempts=1))
    found = run(job(frozen(tmp_path, range(3)), lambda session, _: session.get("/digest").json(), endpoint, how))
    assert found.reason == Finished()
    assert found.progress.requests == len(server.seen) >= 4


def test_a_call_without_a_request_counts_as_one(tmp_path: Path, server: Server) -> None:
    """What a function sends by a client of its own is counted by its calls, before its session is used and after."""

    def mixed(session: requests.Session, number: int) -> int:
        return 0 if number % 2 else len(session.get("/x").text)

    found = fetched(tmp_path, server, mixed, 10, settings(3))
    assert (found.progress.requests, len(server.seen)) == (10, 5)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_call_keeps_another_one_from_going_on(tmp_path: Path, server: Server, concurrency: int) -> None:
    """However many requests calls send at once, and however few may be under way, all come to their end."""
    found = fetched(tmp_path, server, in_greenlets, 12, settings(concurrency))
    assert {outcome.result for outcome in found.outcomes.values()} == {5}
    assert server.connections <= concurrency


def test_the_rate_is_that_of_requests(tmp_path: Path, server: Server) -> None:
    """Thirty requests of ten calls take the time of thirty: the first at once, and a twentieth of a second for each."""
    begun_s: list[float] = []
    with Server(lambda seen, _: begun_s.append(time.monotonic()) or as_json(seen.target)) as timed:  # type: ignore[func-returns-value]
        found = fetched(tmp_path, timed, three, 10, settings(8, throttle=Throttle(adaptive=False, rate_per_s=20)))
    assert found.progress.requests == len(begun_s) == 30
    # A busy machine makes it longer, never shorter; what was late catches up for 0.05 s.
    assert begun_s[-1] - begun_s[0] >= 29 / 20 - 0.06


def test_a_wait_for_the_rate_is_no_time_of_the_call(tmp_path: Path, server: Server) -> None:
    """Calls of 0.5 s at most, whose requests wait for much longer until they may be sent, have their results."""
    timeouts = Timeouts(total_s=0.5)
    how = settings(4, throttle=Throttle(adaptive=False, rate_per_s=4), timeouts=timeouts)
    found = fetched(tmp_path, server, three, 4, how)
    assert {outcome.kind for outcome in found.outcomes.values()} == {Kind.OK}, found.outcomes
    assert found.progress.seconds >= 2.5
    # Nor does the record count it.
    assert max(record.ms for record in found.records) < 2_000


def three_and_hang(session: requests.Session, number: int) -> None:
    """Send three requests, and one that has no answer."""
    three(session, number)
    session.get("/hang")


def test_the_time_of_the_call_goes_on_after_a_wait(tmp_path: Path, server: Server) -> None:
    """A call that has waited for its permits, and then for an answer in vain, is out of time."""
    throttle = Throttle(adaptive=False, rate_per_s=10)
    how = settings(2, throttle=throttle, timeouts=Timeouts(total_s=0.5))
    found = fetched(tmp_path, server, three_and_hang, 2, how)
    assert {outcome.kind for outcome in found.outcomes.values()} == {Kind.TIMEOUT}
    assert found.progress.requests == len(server.seen) == 8


def test_a_pause_that_a_call_is_asked_for_holds_for_all(tmp_path: Path) -> None:
    """The API says 429 with `Retry-After` to a function that makes nothing of it: nothing is sent for that long."""
    moments: list[tuple[str, float]] = []

    def timed(seen: Seen, _: Connection) -> bytes:
        moments.append((seen.target, time.monotonic()))
        return answer(b"", "429 Too Many Requests", "Retry-After: 1") if len(moments) == 5 else as_json(1)

    with Server(timed) as server:
        found = fetched(tmp_path, server, lambda session, _: session.get("/x").status_code, 9, settings(1))
    assert [record.kind for record in found.records] == [Kind.OK] * 9
    pauses = [later - earlier for (_, earlier), (_, later) in pairwise(moments)]
    assert pauses[4] >= 0.95
    assert len(moments) == 9


def closed_in_greenlet(session: requests.Session, _number: int) -> list[int]:
    """Be asked for a long pause in a greenlet, and send one more request."""
    return [gevent.spawn(session.get, "/closed").get().status_code, session.get("/x").status_code]


def test_a_long_pause_inside_a_call_ends_the_try(tmp_path: Path, server: Server) -> None:
    """An hour is waited for without the worker slot, and the call's next request isn't sent before."""
    found = fetched(tmp_path, server, closed_in_greenlet, 5, settings(1))
    assert isinstance(found.reason, LongPause)
    assert 3_500 < found.reason.seconds <= 3_600
    assert (found.records, len(server.seen)) == ([], 1)


def first_denied(session: requests.Session, _number: int) -> int:
    """Know what to do about a 401."""
    return session.get("/denied").status_code + session.get("/x").status_code


def denied(session: requests.Session, _number: int) -> None:
    """Fail of a 401."""
    session.get("/denied").raise_for_status()


def test_a_refusal_that_a_function_gets_over_ends_nothing(tmp_path: Path, server: Server) -> None:
    """Before the first answer, credentials are wrong if it is what calls fail of."""
    how = settings(2, breaker=Breaker(canary=0, startup_attempts=1))
    assert fetched(tmp_path / "over", server, first_denied, 4, how).reason == Finished()
    found = fetched(tmp_path / "not", server, denied, 4, how)
    assert found.reason == StartupFailed(1, Cause.CREDENTIALS, "HTTP 401 Unauthorized")
    assert found.records == []


def thrice_gone(session: requests.Session, _number: int) -> str:
    """Try three times, as long as the server resets the connection."""
    for _ in range(3):
        with suppress(requests.ConnectionError):
            return str(session.get("/flaky").json())
    raise requests.ConnectionError("gone")


def test_an_outage_inside_calls_is_one(tmp_path: Path) -> None:
    """A server that goes away for a while costs calls no attempts: one asks again, until it is back."""
    seen_at: list[float] = []

    def flaky(_: Seen, connection: Connection) -> bytes:
        seen_at.append(time.monotonic())
        # Away from the eleventh request on, for two seconds.
        if len(seen_at) > 10 and seen_at[-1] - seen_at[10] < 2:
            connection.hang_up(reset=True)
        # What is sent on a kept connection libcurl sends again by itself.
        return as_json(1, "200 OK", "Connection: close")

    retry = Retry(max_attempts=5, initial_delay_s=0.05, last_pass=False)
    how = settings(10, retry=retry, breaker=Breaker(canary=0, outage_s=300, startup_attempts=0))
    with Server(flaky) as server:
        found = fetched(tmp_path, server, thrice_gone, 60, how)
    assert [outcome.kind for outcome in found.outcomes.values()] == [Kind.OK] * 60
    assert found.progress.requests == len(seen_at)
    assert any(moment["outage"] for moment in found.progress.limits["over_time"])


def test_retries_of_calls_spend_as_many_requests_as_they_send(tmp_path: Path, server: Server) -> None:
    """A budget of a hundred requests is fifty calls of two, and not a hundred of them."""

    def busy(session: requests.Session, number: int) -> None:
        session.get("/x", params={"number": number})
        session.get("/missing").raise_for_status()

    retry = Retry(max_attempts=2, initial_delay_s=0.001, budget=0.0, statuses=(404,), last_pass=False)
    found = fetched(tmp_path, server, busy, 80, settings(4, retry=retry))
    assert sum(record.attempts == 2 for record in found.records) == 50
    assert found.progress.requests == len(server.seen) == 260


def test_an_exception_before_sending_has_used_a_permit(tmp_path: Path, server: Server) -> None:
    """A request that can't be sent is no answer and no outage, and holds no place."""

    def wrong(session: requests.Session, _number: int) -> str:
        with suppress(ValueError):
            session.get("/x", timeout="soon")
        return str(session.get("/x").json())

    found = fetched(tmp_path, server, wrong, 5, settings(1, retry=ONCE))
    assert [outcome.kind for outcome in found.outcomes.values()] == [Kind.OK] * 5
    assert found.progress.in_flight == 0
