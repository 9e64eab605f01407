"""Over TLS, what follows a request is its answer only if a record has come since."""

from __future__ import annotations

import pycurl
import pytest

from airflow_fanout.engine.libcurl.connections import Connection, Connections
from airflow_fanout.engine.libcurl.over_tls import OverTls
from airflow_fanout.engine.libcurl.transfer import Transfer
from tests.engine.pair import Pair

OK, ABORT = pycurl.PREREQFUNC_OK, pycurl.PREREQFUNC_ABORT
RECORD = bytes(40)
HEAD = b"HTTP/1.1 200 OK\r\n"


class Exchange:
    """A handle's requests on one connection over TLS."""

    def __init__(self, connections: Connections, pair: Pair) -> None:
        connections.opened(pair.number)
        self.pair = pair
        self.transfer = Transfer(pycurl.Curl(), 1000, over_tls=True)
        self.over_tls = OverTls(self.transfer, connections)
        # A handshake comes before the first request.
        pair.read(RECORD)

    def sends(self) -> int:
        """Begin a request."""
        self.transfer.clear()
        return self.over_tls.sends(*self.pair.ends)

    def answered(self, line: bytes = HEAD) -> bool:
        """Have an answer begin; return whether it is taken for the request's."""
        self.over_tls.hears(line)
        return not self.transfer.is_early


@pytest.fixture
def exchange(connections: Connections, pair: Pair) -> Exchange:
    """Give a handle that has had an answer on a connection."""
    exchange = Exchange(connections, pair)
    assert exchange.sends() == OK
    pair.read(RECORD)
    assert exchange.answered()
    return exchange


def test_a_record_since_the_request_is_an_answer(exchange: Exchange) -> None:
    """As often as it is one."""
    for _ in range(3):
        assert exchange.sends() == OK
        exchange.pair.read(RECORD)
        assert exchange.answered()
    assert exchange.transfer.lines == [HEAD]


def test_without_one_it_is_nobodys(exchange: Exchange) -> None:
    """TLS has held it back, since the last answer's end; its connection isn't used again."""
    assert exchange.sends() == OK
    assert not exchange.answered()
    assert exchange.sends() == ABORT


def test_what_has_not_been_read_does_not_count(exchange: Exchange) -> None:
    """The answer may be in the socket already while libcurl reads what TLS has held back."""
    assert exchange.sends() == OK
    exchange.pair.bring(RECORD)
    assert not exchange.answered()


def test_the_end_of_a_connection_is_no_record(exchange: Exchange) -> None:
    """The kernel counts it as a byte."""
    assert exchange.sends() == OK
    exchange.pair.theirs.close()
    assert exchange.pair.ours.recv(1) == b""
    assert not exchange.answered()


def test_each_request_of_a_handle_is_looked_at(exchange: Exchange) -> None:
    """With digest it sends a second one after the challenge, and the lines of both answers are kept."""
    assert exchange.sends() == OK
    exchange.pair.read(RECORD)
    assert exchange.answered(b"HTTP/1.1 401 Unauthorized\r\n")
    assert exchange.over_tls.sends(*exchange.pair.ends) == OK
    assert not exchange.answered()


def test_a_first_answer_that_came_before_its_request_is_nobodys(connections: Connections, pair: Pair) -> None:
    """It is in one record with the end of the handshake."""
    exchange = Exchange(connections, pair)
    assert exchange.sends() == OK
    assert not exchange.answered()


def test_frames_may_come_at_any_time(connections: Connections, pair: Pair) -> None:
    """Over HTTP/2 several answers share a record."""
    exchange = Exchange(connections, pair)
    for _ in range(3):
        assert exchange.sends() == OK
        pair.bring(RECORD)
        assert exchange.answered(b"HTTP/2 200 \r\n")


def test_bytes_between_two_answers_close_a_connection(exchange: Exchange) -> None:
    """As without TLS."""
    exchange.pair.bring(RECORD)
    assert exchange.sends() == ABORT


def test_where_the_kernel_does_not_count_a_connection_is_used_once(
    connections: Connections, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slower and right, in sandboxes that have no such number."""
    monkeypatch.setattr(Connection, "received", lambda _: 0)
    exchange = Exchange(connections, pair)
    assert exchange.sends() == OK
    pair.read(RECORD)
    assert exchange.answered()
    assert exchange.sends() == ABORT
