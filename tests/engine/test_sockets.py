from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pycurl
import pytest

from airflow_fanout.engine.libcurl.connections import Connections
from airflow_fanout.engine.libcurl.sockets import Sockets, bits_of
from tests.engine.pair import Pair

if TYPE_CHECKING:
    from collections.abc import Iterator

IN, OUT, BOTH, GONE = pycurl.POLL_IN, pycurl.POLL_OUT, pycurl.POLL_INOUT, pycurl.POLL_REMOVE
EPOLLIN, EPOLLOUT, EPOLLHUP = 1, 4, 16


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    """Give the sockets of a libcurl that has none yet."""
    sockets = Sockets(Connections())
    yield sockets
    sockets.close()


@pytest.fixture
def other() -> Iterator[Pair]:
    """Give another connection."""
    pair = Pair()
    yield pair
    pair.close()


def want(sockets: Sockets, what: int, number: int) -> None:
    """Say as libcurl what it wants of a socket."""
    sockets.want(what, number, None, None)


def replaced(pair: Pair, other: Pair) -> None:
    """Close a connection without a word, and give its number to another one."""
    os.dup2(other.number, pair.number)


def test_wanted_socket_is_ready_when_there_is_something_to_read(sockets: Sockets, pair: Pair) -> None:
    """Nothing is ready until the server has said something."""
    want(sockets, IN, pair.number)
    assert sockets.ready(10) == []
    pair.theirs.send(b"x")
    assert sockets.ready(10) == [(pair.number, EPOLLIN)]


def test_what_is_wanted_may_change(sockets: Sockets, pair: Pair) -> None:
    """A socket that is waited for in order to write is ready at once."""
    want(sockets, IN, pair.number)
    want(sockets, BOTH, pair.number)
    assert sockets.ready(10) == [(pair.number, EPOLLOUT)]
    want(sockets, IN, pair.number)
    assert sockets.ready(10) == []


def test_kept_connection_is_ready_again(sockets: Sockets, pair: Pair) -> None:
    """Forgotten after a transfer and wanted by the next, it is watched as before."""
    want(sockets, IN, pair.number)
    want(sockets, GONE, pair.number)
    want(sockets, IN, pair.number)
    pair.theirs.send(b"x")
    assert sockets.ready(10) == [(pair.number, EPOLLIN)]


def test_idle_connection_that_is_closed_wakes_nobody_twice(sockets: Sockets, pair: Pair) -> None:
    """What happens to a socket that nobody wants is no news, and doesn't keep the loop busy."""
    want(sockets, IN, pair.number)
    want(sockets, GONE, pair.number)
    pair.theirs.close()
    assert sockets.ready(10) == []
    assert repr(sockets) == "Sockets(0 wanted, 0 registered)"


@pytest.mark.parametrize(("wanted", "soiled"), [(OUT, 0), (IN, 1)])
def test_an_idle_connection_is_soiled_by_what_it_brings(
    connections: Connections, pair: Pair, wanted: int, soiled: int
) -> None:
    """That it could be written to is no news: an answer may come before anybody has asked for that again."""
    sockets = Sockets(connections)
    sockets.opened(pair.number, 0)
    connections.may_send(*pair.ends)
    want(sockets, wanted, pair.number)
    want(sockets, GONE, pair.number)
    pair.theirs.send(b"x")
    assert sockets.ready(10) == []
    assert repr(connections) == f"Connections(1 known, {soiled} soiled)"
    sockets.close()


def test_new_connection_of_an_old_number_is_watched(sockets: Sockets, pair: Pair, other: Pair) -> None:
    """Libcurl closes idle connections without a word, and the kernel gives their numbers to new ones."""
    want(sockets, IN, pair.number)
    want(sockets, GONE, pair.number)
    replaced(pair, other)
    assert sockets.opened(pair.number, 0) == pycurl.SOCKOPT_OK
    want(sockets, IN, pair.number)
    other.theirs.send(b"x")
    assert sockets.ready(10) == [(pair.number, EPOLLIN)]


def test_descriptor_of_an_old_number_is_found_by_looking(sockets: Sockets, pair: Pair, other: Pair) -> None:
    """Of a descriptor that is no connection, libcurl doesn't say that it is new: the kernel knows."""
    want(sockets, IN, pair.number)
    want(sockets, GONE, pair.number)
    replaced(pair, other)
    want(sockets, IN, pair.number)
    other.theirs.send(b"x")
    assert sockets.ready(10) == []
    sockets.check()
    assert sockets.ready(10) == [(pair.number, EPOLLIN)]


def test_closed_socket_disturbs_nobody(sockets: Sockets, pair: Pair, other: Pair) -> None:
    """A socket that is closed between libcurl's word and ours is libcurl's to find out."""
    number = pair.number
    pair.close()
    want(sockets, IN, number)
    want(sockets, IN, other.number)
    sockets.check()
    other.theirs.send(b"x")
    assert sockets.ready(10) == [(other.number, EPOLLIN)]


@pytest.mark.parametrize(
    ("events", "bits"),
    [
        (EPOLLIN, pycurl.CSELECT_IN),
        (EPOLLOUT, pycurl.CSELECT_OUT),
        (EPOLLIN | EPOLLOUT, pycurl.CSELECT_IN | pycurl.CSELECT_OUT),
        (EPOLLIN | EPOLLHUP, pycurl.CSELECT_IN | pycurl.CSELECT_ERR),
    ],
)
def test_events_in_the_words_of_libcurl(events: int, bits: int) -> None:
    """Readable, writable, broken: each has its bit."""
    assert bits_of(events) == bits
