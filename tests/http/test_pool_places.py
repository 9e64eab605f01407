"""Whatever becomes of an answer, its place in the pool of connections is free again for the next request."""

from __future__ import annotations

import gzip

import pytest
import requests

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.session import FanoutSession
from airflow_fanout.model.settings import FetchSettings
from tests.http.servers import Connection, Seen, Server, answer, chunked

MOST = 10_000
ZIPPED = gzip.compress(b"[1]")
ANSWERS = {
    "good": answer(b"[1]"),
    "announced too large": b"HTTP/1.1 200 OK\r\nContent-Length: 10001\r\n\r\n",
    "too large": chunked(b" " * (MOST + 1)),
    "bomb": answer(gzip.compress(b" " * (MOST + 1)), "200 OK", "Content-Encoding: gzip"),
    "no gzip": answer(b"no gzip", "200 OK", "Content-Encoding: gzip"),
    "torn gzip": answer(ZIPPED[:-9], "200 OK", "Content-Encoding: gzip"),
    "junk after gzip": answer(ZIPPED + b"junk", "200 OK", "Content-Encoding: gzip"),
    "unknown coding": answer(b"[1]", "200 OK", "Content-Encoding: none-of-these"),
    "no gzip, and torn": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\nno gzip",
    "torn": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[1]",
    "torn chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[1",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[1",
    "bad head": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n[1]",
    "no answer": b"",
    "no status": b"ICY 200 OK\r\n\r\n",
    "redirect to nowhere": answer(b"x", "302 Found", "Location: http://api.example:x/"),
    "redirect that two readers read differently": answer(b"x", "302 Found", "Location: http://a\\@b/"),
    "redirect to another scheme": answer(b"x", "302 Found", "Location: ftp://api.example/"),
    "redirect to itself": answer(b"x", "302 Found", "Location: /"),
    "redirect whose coding is wrong": answer(b"x", "302 Found", "Location: /good", "Content-Encoding: gzip"),
    "redirect that is torn": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 9\r\n\r\nx",
}
# Only these end with their connection: one that is closed after a whole answer, without a word, may be closed just when
# the next request is sent on it.
ENDLESS = {
    "announced too large",
    "no gzip, and torn",
    "torn",
    "torn chunk",
    "bad chunk",
    "bad head",
    "no answer",
    "no status",
    "redirect that is torn",
}


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_gives_its_place_in_the_pool_back(what: str) -> None:
    """A place that is lost is a request that waits for ever, once all are."""

    def handle(seen: Seen, connection: Connection) -> None:
        connection.send(ANSWERS["good"] if seen.path == "/good" else ANSWERS[what])
        if seen.path != "/good" and what in ENDLESS:
            connection.hang_up()

    with Server(handle) as server:
        session = FanoutSession(Endpoint(base_url=server.origin), FetchSettings(concurrency=2, max_body_bytes=MOST))
        failure: Exception | None = None
        try:
            session.get("/").json()
        except requests.RequestException as error:
            failure = error
        places = session.get_adapter(server.origin).poolmanager.connection_from_url(server.origin).pool
        # Looked at while the error, which holds the answer, is still there.
        assert places.qsize() == 2, failure
        assert session.get("/good").json() == [1]
        session.close()


@pytest.mark.parametrize("length", ["77,78", "77\r\nContent-Length: 78", "7"])
def test_an_answer_without_content_has_none_whatever_its_lengths_say(length: str) -> None:
    """RFC 9112, 6.3: a 204 ends with its head, and its lengths delimit nothing."""
    data = f"HTTP/1.1 204 No Content\r\nContent-Length: {length}\r\n\r\n".encode()
    with Server(lambda *_: data) as server:
        session = FanoutSession(Endpoint(base_url=server.origin), FetchSettings(concurrency=2))
        found = [session.get("/") for _ in range(2)]
        session.close()
    assert [(one.status_code, one.content) for one in found] == [(204, b"")] * 2
