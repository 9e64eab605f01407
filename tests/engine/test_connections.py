"""A request is sent only on a connection that has brought nothing since its last answer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pycurl
import pytest

from airflow_fanout.engine.libcurl.connections import Connections, Ends

if TYPE_CHECKING:
    from collections.abc import Iterator

OK, ABORT = pycurl.PREREQFUNC_OK, pycurl.PREREQFUNC_ABORT


class Pair:
    """A connection of TCP: our socket, whose number libcurl tells, and the server's."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.ours = socket.create_connection(listening.getsockname())
            self.theirs, _ = listening.accept()

    @property
    def number(self) -> int:
        """The number of our socket."""
        return self.ours.fileno()

    @property
    def ends(self) -> Ends:
        """Its ends, as libcurl tells them."""
        (server, server_port), (ours, our_port) = self.ours.getpeername(), self.ours.getsockname()
        return server, ours, server_port, our_port

    def close(self) -> None:
        """Close both."""
        self.ours.close()
        self.theirs.close()

    def bring(self) -> None:
        """Have the server send a byte, which is there when this returns."""
        self.theirs.send(b"x")
        assert self.ours.recv(1, socket.MSG_PEEK) == b"x"


@pytest.fixture
def connections() -> Connections:
    """Give the connections of a libcurl that has none yet."""
    return Connections()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Give a connection."""
    pair = Pair()
    yield pair
    pair.close()


def test_a_clean_connection_is_sent_on_again(connections: Connections, pair: Pair) -> None:
    """Nothing has come since the last answer."""
    connections.opened(pair.number)
    assert [connections.may_send(*pair.ends) for _ in range(3)] == [OK] * 3


def test_a_connection_that_has_brought_something_is_not(connections: Connections, pair: Pair) -> None:
    """It would be taken for the next answer."""
    connections.opened(pair.number)
    connections.may_send(*pair.ends)
    pair.bring()
    assert connections.may_send(*pair.ends) == ABORT


def test_what_a_server_says_first_is_its_answers_business(connections: Connections, pair: Pair) -> None:
    """Otherwise a server that greets each connection would have new ones for ever."""
    connections.opened(pair.number)
    pair.bring()
    assert [connections.may_send(*pair.ends) for _ in range(2)] == [OK, ABORT]


def test_a_soiled_connection_is_not_sent_on(connections: Connections, pair: Pair) -> None:
    """What has come after its answer was read already; an old number may be a new connection's."""
    connections.opened(pair.number)
    connections.may_send(*pair.ends)
    connections.soil(pair.number)
    assert connections.may_send(*pair.ends) == ABORT
    connections.opened(pair.number)
    assert connections.may_send(*pair.ends) == OK


def test_over_tls_frames_may_come_at_any_time(connections: Connections, pair: Pair) -> None:
    """Until an answer of HTTP/1 says that the connection is for one request at a time."""
    connections.opened(pair.number)
    connections.may_send_over_tls(*pair.ends)
    pair.bring()
    assert connections.may_send_over_tls(*pair.ends) == OK
    connections.one_by_one(pair.ends)
    assert connections.may_send_over_tls(*pair.ends) == ABORT


def test_a_connection_that_nobody_knows_is_libcurls_business(connections: Connections, pair: Pair) -> None:
    """A closed one, and a socket that isn't connected."""
    with socket.socket() as unconnected:
        connections.opened(unconnected.fileno())
        connections.opened(pair.number)
        ends = pair.ends
        pair.close()
        assert connections.may_send(*ends) == OK
    assert repr(connections) == "Connections(0 known, 0 soiled)"


def test_old_connections_leave_nothing_behind(connections: Connections) -> None:
    """A server may close each connection after its answer, millions of them."""
    for _ in range(50):
        pair = Pair()
        connections.opened(pair.number)
        connections.may_send(*pair.ends)
        pair.close()
    assert repr(connections) in {f"Connections({known} known, 0 soiled)" for known in (1, 2)}
