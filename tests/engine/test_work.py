from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
import pytest

from airflow_fanout.engine import work as module
from airflow_fanout.engine.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_fanout.engine.work import Task

LONGEST_S = 5.0


def numbered(count: int) -> Iterator[tuple[int, str]]:
    """Return a list's lines."""
    return ((index, f"p{index}") for index in range(count))


def taken(work: Work) -> Task:
    """Take a task that there has to be."""
    with gevent.Timeout(LONGEST_S):
        task = work.take()
    assert task is not None
    return task


def test_tasks_come_in_the_order_of_the_list() -> None:
    """Tasks are given out in the list's order, each at its first attempt."""
    work = Work(numbered(3))
    tasks = [taken(work) for _ in range(3)]
    assert [(task.index, task.parameter, task.attempt) for task in tasks] == [
        (0, "p0", 1),
        (1, "p1", 1),
        (2, "p2", 1),
    ]
    assert work.in_flight == 3


def test_source_is_read_as_tasks_are_taken() -> None:
    """A list of any length is read one task at a time, not ahead."""
    read = []

    def source() -> Iterator[tuple[int, int]]:
        for index in range(10**9):
            read.append(index)
            yield index, index

    work = Work(source())
    taken(work)
    taken(work)
    assert read == [0, 1]


def test_empty_list_is_over_at_once() -> None:
    """An empty list has no task, for any number of takers."""
    work = Work(numbered(0))
    with gevent.Timeout(LONGEST_S):
        assert [work.take(), work.take()] == [None, None]


def test_takers_wait_for_what_is_in_flight() -> None:
    """A taker waits while a task is in flight, since that task may come back, and is let go when it has ended."""
    work = Work(numbered(1))
    task = taken(work)
    waiting = gevent.spawn(work.take)
    gevent.sleep(0.01)
    assert not waiting.ready()
    work.finish()
    assert waiting.get(timeout=LONGEST_S) is None
    assert (task.index, work.in_flight) == (0, 0)


def test_task_that_came_back_is_given_to_a_waiting_taker() -> None:
    """A task to be tried again goes to whoever waits, when its wait is over, as its next attempt."""
    work = Work(numbered(1))
    task = taken(work)
    waiting = gevent.spawn(work.take)
    gevent.sleep(0)
    work.again(task, 0.05)
    assert (work.in_flight, work.waiting) == (0, 1)
    gevent.sleep(0.01)
    assert not waiting.ready()
    assert waiting.get(timeout=LONGEST_S) is task
    assert (task.attempt, work.in_flight, work.waiting) == (2, 1, 0)


def test_new_tasks_go_on_while_others_wait() -> None:
    """A task that waits for its retry holds nobody up; once it is due it goes before new ones."""
    now = 100.0
    work = Work(numbered(3), clock=lambda: now)
    first = taken(work)
    work.again(first, 10)
    assert taken(work).index == 1
    now = 110.0
    assert taken(work) is first
    assert taken(work).index == 2


def test_tasks_come_back_in_the_order_in_which_they_are_due() -> None:
    """Of several that wait, the one that is due first comes first; of two due at once, the one that waits longer."""
    now = 0.0
    work = Work(numbered(3), clock=lambda: now)
    late, soon, as_soon = (taken(work) for _ in range(3))
    work.again(late, 9)
    work.again(soon, 5)
    work.again(as_soon, 5)
    now = 10.0
    assert [taken(work), taken(work), taken(work)] == [soon, as_soon, late]


def test_list_is_not_drained_into_memory() -> None:
    """With very many tasks waiting for a retry no new one is begun before one of them is due."""
    now = 0.0
    work = Work(numbered(module.MOST_WAITING + 5), clock=lambda: now)
    for _ in range(module.MOST_WAITING):
        work.again(taken(work), 50)
    blocked = gevent.spawn(work.take)
    gevent.sleep(0.01)
    assert not blocked.ready()
    blocked.kill()
    now = 60.0
    assert taken(work).index == 0


def test_stop_gives_out_nothing_more() -> None:
    """After a stop nobody gets a task, neither a new one nor one that waited, and all who waited are let go."""
    work = Work(numbered(2))
    first, second = taken(work), taken(work)
    work.again(first, 60)
    waiting = gevent.spawn(work.take)
    gevent.sleep(0)
    work.stop()
    work.finish()
    assert waiting.get(timeout=LONGEST_S) is None
    assert (second.attempt, work.waiting) == (1, 0)


def test_stop_is_for_those_who_come_back_too() -> None:
    """Who asks for a task after the stop gets none at once, also while others are still under way."""
    work = Work(numbered(2))
    taken(work)
    work.stop()
    with gevent.Timeout(LONGEST_S):
        assert work.take() is None
    assert work.in_flight == 1


def test_stop_ends_retries() -> None:
    """A task that fails after the stop isn't tried again: it would keep the engine from ending."""
    work = Work(numbered(2))
    task = taken(work)
    waiting = gevent.spawn(work.take)
    work.stop()
    work.again(task, 0.0)
    assert waiting.get(timeout=LONGEST_S) is None
    assert work.waiting == 0


def test_source_that_breaks_is_heard_of() -> None:
    """An error of the list itself reaches the taker that met it."""

    def source() -> Iterator[tuple[int, int]]:
        yield 0, 0
        raise OSError("the disk is gone")

    work = Work(source())
    taken(work)
    with pytest.raises(OSError, match="the disk is gone"):
        work.take()
