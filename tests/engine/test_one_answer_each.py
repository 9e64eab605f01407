"""No parameter ever gets another one's answer, whatever a server sends besides the answers: on every way."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Retry
from tests.engine.harness import Run, frozen, job, run, settings
from tests.http.servers import Connection, Seen, Server, answer, as_json, authority, chunked

if TYPE_CHECKING:
    from airflow_fanout.model.settings import Transport

AGAIN = Retry(max_attempts=4, initial_delay_s=0.01, last_pass=False)
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'
Way = tuple[str, "Transport", str]
WAYS: list[Way] = [
    ("declarative", "curl", "none"),
    ("declarative", "curl", "digest"),
    ("declarative", "requests", "none"),
    ("function", "curl", "none"),
    ("function", "curl", "digest"),
    ("function", "requests", "none"),
    ("function", "requests", "digest"),
]


def ask(session: Any, number: int) -> Any:
    """Ask as most functions do."""
    found = session.get(f"/{number}")
    found.raise_for_status()
    return found.json()


def by(way: Way, folder: Path, server: Server, *, count: int = 6, **more: Any) -> Run:
    """Fetch some numbers, one after the other, by one of the ways."""
    what, transport, auth = way
    credentials = {"login": "ada", "password": "s3cr3t", "auth": "digest"} if auth == "digest" else {}
    where = Endpoint(base_url=server.origin, trust_env=False, **credentials)
    asked = Request(endpoint="/{0}") if what == "declarative" else ask
    how = settings(1, transport=transport, retry=AGAIN, **more)
    return run(job(frozen(folder, range(count)), asked, where, how))


def challenging(handler: Callable[[Seen, Connection], bytes | None], way: Way) -> Callable[[Seen, Connection], Any]:
    """Return a handler that wants to see credentials where the way has some."""

    def handle(seen: Seen, connection: Connection) -> bytes | None:
        if way[2] == "digest" and "authorization" not in seen.headers:
            return answer(b"no", "401 Unauthorized", CHALLENGE)
        return handler(seen, connection)

    return handle


def number(seen: Seen) -> int:
    """Return the number that was asked for."""
    return int(seen.path[1:])


def own(found: Run, count: int = 6) -> None:
    """Assert that each number's answer is its own."""
    assert {record.parameter: record.result for record in found.records} == {one: one for one in range(count)}
    assert found.progress.kinds == {"ok": count}


INTERIM = ["103 Early Hints", "103 Early Hints", "102 Processing", "100 Continue", "199 Whatever", "110"]


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_an_interim_answer_is_never_the_answer(tmp_path: Path, way: Way) -> None:
    """An interim answer (RFC 9110, 15.2) is skipped, also if the final one comes later, and also several of them."""

    def early(seen: Seen, connection: Connection) -> bytes:
        for _ in range(2):
            status = INTERIM[number(seen)]
            connection.send(f"HTTP/1.1 {status}\r\nLink: </style.css>; rel=preload\r\n\r\n".encode())
            connection.pause(0.3 if number(seen) == 0 else 0.01)
        return as_json(number(seen))

    with Server(challenging(early, way)) as server:
        own(by(way, tmp_path, server))
    assert server.connections == 1


def stray(value: int = 999) -> bytes:
    """Return an answer that nobody has asked for."""
    return as_json(value)


def pause() -> tuple[str, str]:
    """Return headers that ask for half a second: what comes in the meantime, comes before the next request.

    libcurl looks by itself whether a connection has brought anything, but only if it was idle for a second.
    """
    return "X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {round(time.time() * 1000) + 500}"


# A server that has sent all within this time has sent it before the next request: see `pause`. A busy machine may need
# longer, and what comes when the next request is under way nobody can recognise.
IN_TIME_S = 0.4


def pieces(one: int) -> list[bytes | float]:
    """Return what a server sends for a number: its answer, and something else, with pauses in seconds."""
    body = str(one).encode()
    return [
        [as_json(one)],
        [as_json(one)],
        [as_json(one) + stray()],
        [as_json(one, "200 OK", *pause()), 0.02, stray()],
        [as_json(one) + b"\r\n"],
        [as_json(one) + stray()[:20], 0.02, stray()[20:]],
        [chunked(body) + stray()],
        [chunked(body) + stray()[:20], 0.02, stray()[20:]],
        [answer(body) + b"9"],
        [answer(gzip.compress(body), "200 OK", "Content-Encoding: gzip") + stray()],
        [as_json(one)],
    ][one]


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_connection_that_brings_more_than_its_answer_is_not_used_again(tmp_path: Path, way: Way) -> None:
    """What comes between an answer and the next request closes the connection, and is nobody's answer."""
    for attempt in range(5):
        slowest_s = [0.0]
        with Server(challenging(sending_more(slowest_s), way)) as server:
            found = by(way, tmp_path / str(attempt), server, count=11)
        if max(slowest_s) < IN_TIME_S:
            break
    # On a machine that is always busier than that, the last attempt counts.
    own(found, 11)
    assert server.connections >= 9


def sending_more(took_s: list[float]) -> Callable[[Seen, Connection], None]:
    """Return a handler that sends a number's pieces, and notes how long that took, in seconds."""

    def more(seen: Seen, connection: Connection) -> None:
        begun_s = time.monotonic()
        for piece in pieces(number(seen)):
            if isinstance(piece, float):
                connection.pause(piece)
            else:
                connection.send(piece)
        took_s.append(time.monotonic() - begun_s)

    return more


@pytest.mark.parametrize("way", [way for way in WAYS if way[2] == "none"], ids="-".join)
def test_a_body_where_there_is_none_costs_the_next_parameter_nothing(tmp_path: Path, way: Way) -> None:
    """After a 204 with a body, whenever it comes, the next parameter has its own answer."""

    def bodied(seen: Seen, connection: Connection) -> bytes | None:
        if number(seen) % 2:
            return as_json(number(seen))
        connection.send(b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n")
        connection.pause(0.01 * number(seen))
        connection.send(b"[1,2,3,4]")
        return None

    with Server(bodied) as server:
        found = by(way, tmp_path, server)
    assert {record.parameter: (record.kind, record.result) for record in found.records} == {
        one: (Kind.OK, one) if one % 2 else (Kind.NULL, None) for one in range(6)
    }


@pytest.mark.parametrize("way", [way for way in WAYS if way[2] == "none"], ids="-".join)
def test_a_request_may_have_its_connection_for_itself(tmp_path: Path, way: Way) -> None:
    """With `own_connection`, or the header in a function, each request opens a connection, and closes it after."""

    def alone(session: Any, one: int) -> Any:
        return session.get(f"/{one}", headers={"Connection": "close"}).json()

    with Server(lambda seen, _: as_json(number(seen))) as server:
        what, transport, _ = way
        asked = Request(endpoint="/{0}", own_connection=True) if what == "declarative" else alone
        found = run(job(frozen(tmp_path, range(5)), asked, server.origin, settings(1, transport=transport)))
        own(found, 5)
    assert server.connections == 5
    assert {seen.headers.get("connection") for seen in server.seen} == {"close"}


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_the_header_of_a_declarative_request_closes_its_connection(tmp_path: Path, transport: Any) -> None:
    """`Connection: close` among a request's or a connection's headers is honoured, whatever the server does."""
    with Server(lambda seen, _: as_json(number(seen))) as server:
        asked = Request(endpoint="/{0}", headers={"connection": "Close"})
        own(run(job(frozen(tmp_path, range(5)), asked, server.origin, settings(1, transport=transport))), 5)
    assert server.connections == 5


@pytest.mark.parametrize("way", [way for way in WAYS if way[2] == "none"], ids="-".join)
@pytest.mark.parametrize("size", [5, 17_000, 100_000])
def test_what_tls_holds_back_is_nobodys_answer(tmp_path: Path, way: Way, size: int) -> None:
    """An answer's end and something else in one record: libcurl takes the end, and the rest isn't in the socket."""
    what, transport, _ = way
    known, context = authority(tmp_path)

    def more(seen: Seen, _: Connection) -> bytes:
        return as_json(str(number(seen)).ljust(size)) + (stray() if number(seen) % 3 == 0 else b"")

    with Server(more, tls=context) as server:
        where = Endpoint(base_url=server.origin, verify=str(known), trust_env=False)
        asked = Request(endpoint="/{0}") if what == "declarative" else ask
        how = settings(8, transport=transport, retry=AGAIN)
        found = run(job(frozen(tmp_path, range(150)), asked, where, how))
    assert {record.parameter: record.result for record in found.records} == {
        one: str(one).ljust(size) for one in range(150)
    }
    # A connection for each that has brought more; the others are kept.
    assert 50 <= server.connections < 100
