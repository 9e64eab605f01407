from __future__ import annotations

import math
import socket
from typing import TYPE_CHECKING, Any

import pycurl
import pytest

from airflow_fanout.engine.libcurl.multi import Multi

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = 4


class Asked:
    """libcurl's set of handles, as far as it is told which sockets are ready."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.want: Any = None

    def setopt(self, option: int, value: Any) -> None:
        """Remember who is to be told of sockets."""
        if option == pycurl.M_SOCKETFUNCTION:
            self.want = value

    def add_handle(self, _easy: Any) -> None:
        """Begin a transfer."""

    def remove_handle(self, _easy: Any) -> None:
        """Forget a transfer."""

    def socket_action(self, _socket: int, _bits: int) -> None:
        """Look at one transfer."""
        self.calls.append("one")

    def close(self) -> None:
        """Nothing is open."""


class AskedForAll(Asked):
    """The same, that can look at all transfers with one call."""

    def socket_all(self) -> None:
        """Look at all transfers."""
        self.calls.append("all")


@pytest.fixture
def ends() -> Iterator[list[socket.socket]]:
    """Give the ends of some connections: ours, theirs, ours, theirs, and so on."""
    pairs = [socket.socketpair() for _ in range(CONNECTIONS)]
    yield [end for pair in pairs for end in pair]
    for pair in pairs:
        for end in pair:
            end.close()


def calls(asked: Asked, ends: list[socket.socket], *, answering: int) -> list[str]:
    """Have so many servers answer, and return what libcurl was then asked to look at."""
    multi = Multi(CONNECTIONS, lambda: asked)
    ours, theirs = ends[::2], ends[1::2]
    for end in ours:
        asked.want(pycurl.POLL_IN, end.fileno(), None, None)
    for end in theirs[:answering]:
        end.send(b"x")
    turn = multi.turn(CONNECTIONS, collect=lambda: 0, start=lambda: (0, math.inf))
    assert turn == (0, math.inf, True)
    multi.close()
    return asked.calls


def test_one_call_when_most_can_go_on(ends: list[socket.socket]) -> None:
    """A call for all costs less than a call for each, if next to all have something to do."""
    assert calls(AskedForAll(), ends, answering=3) == ["all"]


def test_a_call_for_each_when_few_can_go_on(ends: list[socket.socket]) -> None:
    """A call for all would look at many that still wait."""
    assert calls(AskedForAll(), ends, answering=2) == ["one", "one"]


def test_a_call_for_each_when_there_is_none_for_all(ends: list[socket.socket]) -> None:
    """A pycurl that no longer has what it advises against serves as well."""
    assert calls(Asked(), ends, answering=4) == ["one"] * 4
