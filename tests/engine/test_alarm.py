from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

import gevent
import pytest

from airflow_fanout.engine.libcurl.alarm import Alarm

if TYPE_CHECKING:
    from collections.abc import Iterator

# A clock of the loop's own may be this much behind.
EARLY_S = 0.01
# Only what is stuck takes so long.
HANG_S = 60.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Give a pipe's two ends."""
    out, into = os.pipe()
    yield out, into
    os.close(out)
    os.close(into)


@pytest.fixture
def alarm(pipe: tuple[int, int]) -> Iterator[Alarm]:
    """Give an alarm on a pipe."""
    found = Alarm(pipe[0])
    yield found
    found.close()


def waited_s(alarm: Alarm, seconds: float) -> float:
    """Wait, and return for how long it took; for ever fails the test."""
    begun = time.monotonic()
    with gevent.Timeout(HANG_S):
        alarm.wait(seconds)
    return time.monotonic() - begun


def test_time_wakes(alarm: Alarm) -> None:
    """A wait ends when its time has come, not earlier, and a short one after a long one that was cut short."""
    waited_s(alarm, 0.0)
    for seconds in (0.1, 0.05, 0.02, 0.1):
        assert waited_s(alarm, seconds) > seconds - EARLY_S
    gevent.spawn_later(0.01, alarm.ring)
    waited_s(alarm, 10 * HANG_S)
    assert waited_s(alarm, 0.05) > 0.05 - EARLY_S


def test_descriptor_wakes(alarm: Alarm, pipe: tuple[int, int]) -> None:
    """A descriptor that can be read ends a wait, also one that could be read before."""
    gevent.spawn_later(0.05, os.write, pipe[1], b"x")
    assert waited_s(alarm, math.inf) > 0.05 - EARLY_S
    waited_s(alarm, math.inf)


def test_ring_wakes(alarm: Alarm) -> None:
    """Another greenlet ends a wait; if nobody waits, it ends the next one, and only that."""
    # The loop's own clock may stand still for a while on a busy machine, and timers count from there.
    gevent.get_hub().loop.update_now()
    gevent.spawn_later(0.05, alarm.ring)
    assert waited_s(alarm, math.inf) > 0.05 - EARLY_S
    alarm.ring()
    waited_s(alarm, math.inf)
    gevent.sleep(0)
    assert waited_s(alarm, 0.1) > 0.1 - EARLY_S


def test_others_have_their_turn_between_waits_of_nothing(alarm: Alarm) -> None:
    """Going on at once, again and again, lets timers of other greenlets go off."""
    gone_off: list[int] = []

    def watch() -> None:
        for number in range(5):
            gevent.sleep(0.01)
            gone_off.append(number)

    watching, begun = gevent.spawn(watch), time.monotonic()
    while not watching.ready() and time.monotonic() - begun < HANG_S:
        alarm.wait(0.0)
    assert gone_off == [0, 1, 2, 3, 4]


def test_greenlet_that_is_killed_while_it_waits_is_not_woken(alarm: Alarm, pipe: tuple[int, int]) -> None:
    """Nobody is woken who no longer waits."""
    waiting = gevent.spawn(alarm.wait, math.inf)
    gevent.sleep(0.01)
    waiting.kill(timeout=1)
    os.write(pipe[1], b"x")
    alarm.ring()
    gevent.sleep(0.02)
    assert waiting.dead
