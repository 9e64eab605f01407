"""A request that waits while another one's answer ends isn't sent before somebody has looked behind that answer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import gevent
import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.engine.function_session.session import CurlSession
from airflow_fanout.model.settings import FetchSettings, Timeouts
from tests.http.servers import Server, answer, as_json, chunked

if TYPE_CHECKING:
    from tests.http.servers import Connection, Seen

LONG_S = 30


class Paused:
    """A handler that holds one answer back until it is told to send it, with something behind it.

    `is_sent` is set when that is in the client's socket.
    """

    def __init__(self, first: bytes) -> None:
        self.may_send, self.is_sent = threading.Event(), threading.Event()
        self._first = first

    def __call__(self, seen: Seen, connection: Connection) -> bytes | None:
        if seen.path != "/first":
            return as_json("own")
        self.may_send.wait(LONG_S)
        connection.send(self._first)
        self.is_sent.set()
        return None


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("behind", [as_json("stray"), b"x"], ids=["answer", "byte"])
def test_a_waiting_request_is_not_sent_on_a_connection_with_something_behind_its_answer(
    method: str, behind: bytes
) -> None:
    """It is sent once, on another connection, and has its own answer, also if sending it twice makes a difference."""
    paused = Paused(chunked(b'"first"') + behind)
    how = FetchSettings(concurrency=2, timeouts=Timeouts(read_s=LONG_S))
    with Server(paused) as server, CurlSession(Endpoint(base_url=server.origin, trust_env=False), how) as session:
        first = gevent.spawn(session.get, "/first")
        while not server.asked("/first"):
            gevent.sleep(0.01)
        paused.may_send.set()
        # Without a turn of the loop: the answer is there, and nobody has read it.
        paused.is_sent.wait(LONG_S)
        content: dict[str, Any] = {"data": b"{}"} if method == "POST" else {}
        assert session.request(method, "/own", **content).json() == "own"
        assert first.get(timeout=LONG_S).json() == "first"
    assert len(server.asked("/own")) == 1
    assert server.connections == 2


@pytest.mark.parametrize("length", ["21,22", "21\r\nContent-Length: 22", "21\r\ncontent-length: 22"])
def test_an_answer_without_content_over_libcurl_has_none_whatever_its_lengths_say(length: str) -> None:
    """RFC 9112, 6.3: a 204 ends with its head, and its lengths delimit nothing, also if it names a coding."""
    data = f"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n".encode()
    routes = {"/204": data, "/more": answer(b"1")}
    with (
        Server(lambda seen, _: routes[seen.path]) as server,
        CurlSession(Endpoint(base_url=server.origin, trust_env=False), FetchSettings(concurrency=2)) as session,
    ):
        found = session.get("/204")
        assert (found.status_code, found.content, found.raw.status) == (204, b"", 204)
        assert session.get("/more").json() == 1


def test_a_greenlet_that_is_killed_before_its_request_is_sent_sends_nothing() -> None:
    """Its request isn't given to libcurl any more, and the session goes on."""
    with (
        Server(lambda seen, _: as_json(seen.path)) as server,
        CurlSession(Endpoint(base_url=server.origin, trust_env=False), FetchSettings(concurrency=2)) as session,
    ):
        assert session.get("/before").json() == "/before"
        killed = gevent.spawn(session.get, "/killed")
        # Right after its first turn, before that of whoever sends: `kill` would be a turn too late.
        gevent.get_hub().loop.run_callback(killed.throw)
        killed.join(LONG_S)
        assert session.get("/after").json() == "/after"
        assert [seen.path for seen in server.seen] == ["/before", "/after"]
        assert killed.dead
