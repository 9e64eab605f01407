"""A request is sent only on a connection that has brought nothing since its last answer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pycurl

from tests.engine.pair import Pair

if TYPE_CHECKING:
    from airflow_fanout.engine.libcurl.connections import Connections

OK, ABORT = pycurl.PREREQFUNC_OK, pycurl.PREREQFUNC_ABORT


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


def test_the_end_of_an_old_connection_is_not_that_of_a_new_one_with_the_same_ends(connections: Connections) -> None:
    """The system gives a port of ours out again; the old connection's number may be given out later still."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        old = socket.create_connection(listening.getsockname())
        there, _ = listening.accept()
        ends = old.getpeername()[0], old.getsockname()[0], old.getpeername()[1], old.getsockname()[1]
        connections.opened(old.fileno())
        connections.may_send(*ends)
        # Another number for the same connection: libcurl has closed the old one without a word.
        new, number = old.dup(), old.fileno()
        connections.opened(new.fileno())
        connections.may_send(*ends)
        connections.opened(number)
        there.send(b"x")
        assert new.recv(1, socket.MSG_PEEK) == b"x"
        old.close()
        assert connections.may_send(*ends) == ABORT
        new.close()
        there.close()


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
