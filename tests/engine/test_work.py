from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gevent
import pytest

from airflow_fanout.api.batch import Batch
from airflow_fanout.api.splitting import Splitter
from airflow_fanout.engine import work as module
from airflow_fanout.engine.batches import BatchQueue
from airflow_fanout.engine.work import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_fanout.engine.work import Task

LONGEST_S = 5.0


def numbered(count: int) -> Iterator[tuple[int, str]]:
    """Return a list's lines."""
    return ((index, f"p{index}") for index in range(count))


def taken(work: WorkQueue) -> Task:
    """Take a task that there has to be."""
    with gevent.Timeout(LONGEST_S):
        task = work.take()
    assert task is not None
    return task


def test_tasks_come_in_the_order_of_the_list() -> None:
    """Tasks are given out in the list's order, each at its first attempt."""
    work = WorkQueue(numbered(3))
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

    work = WorkQueue(source())
    taken(work)
    taken(work)
    assert read == [0, 1]


def test_empty_list_is_over_at_once() -> None:
    """An empty list has no task, for any number of takers."""
    work = WorkQueue(numbered(0))
    with gevent.Timeout(LONGEST_S):
        assert [work.take(), work.take()] == [None, None]


def test_takers_wait_for_what_is_in_flight() -> None:
    """A taker waits while a task is in flight, since that task may come back, and is let go when it has ended."""
    work = WorkQueue(numbered(1))
    task = taken(work)
    waiting = gevent.spawn(work.take)
    gevent.sleep(0.01)
    assert not waiting.ready()
    work.finish()
    assert waiting.get(timeout=LONGEST_S) is None
    assert (task.index, work.in_flight) == (0, 0)


def test_task_that_came_back_is_given_to_a_waiting_taker() -> None:
    """A task to be tried again goes to whoever waits, when its wait is over, as its next attempt."""
    work = WorkQueue(numbered(1))
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
    work = WorkQueue(numbered(3), clock=lambda: now)
    first = taken(work)
    work.again(first, 10)
    assert taken(work).index == 1
    now = 110.0
    assert taken(work) is first
    assert taken(work).index == 2


def test_tasks_come_back_in_the_order_in_which_they_are_due() -> None:
    """Of several that wait, the one that is due first comes first; of two due at once, the one that waits longer."""
    now = 0.0
    work = WorkQueue(numbered(3), clock=lambda: now)
    late, soon, as_soon = (taken(work) for _ in range(3))
    work.again(late, 9)
    work.again(soon, 5)
    work.again(as_soon, 5)
    now = 10.0
    assert [taken(work), taken(work), taken(work)] == [soon, as_soon, late]


def test_list_is_not_drained_into_memory() -> None:
    """With very many tasks waiting for a retry no new one is begun before one of them is due."""
    now = 0.0
    work = WorkQueue(numbered(module.MOST_WAITING + 5), clock=lambda: now)
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
    work = WorkQueue(numbered(2))
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
    work = WorkQueue(numbered(2))
    taken(work)
    work.stop()
    with gevent.Timeout(LONGEST_S):
        assert work.take() is None
    assert work.in_flight == 1


def test_stop_ends_retries() -> None:
    """A task that fails after the stop isn't tried again: it would keep the engine from ending."""
    work = WorkQueue(numbered(2))
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

    work = WorkQueue(source())
    taken(work)
    with pytest.raises(OSError, match="the disk is gone"):
        work.take()


def test_last_pass_comes_when_all_else_is_done() -> None:
    """A task that was left comes once more after everything else, also after those that wait, as its next attempt."""
    now = 0.0
    work = WorkQueue(numbered(3), clock=lambda: now)
    left, again, plain = (taken(work) for _ in range(3))
    assert work.leave(left)
    work.again(again, 50)
    work.finish()
    waiting = gevent.spawn(work.take)
    gevent.sleep(0.01)
    assert (plain.last, work.waiting, waiting.ready()) == (False, 2, False)
    waiting.kill()
    now = 50.0
    assert taken(work) is again
    work.finish()
    assert taken(work) is left
    assert (left.attempt, left.last, work.waiting) == (2, True, 0)


def test_last_pass_is_everybodys() -> None:
    """All who wait when the last pass begins take part in it, not only the one who noticed."""
    work = WorkQueue(numbered(6))
    tasks = [taken(work) for _ in range(6)]
    takers = [gevent.spawn(work.take) for _ in range(5)]
    gevent.sleep(0)
    for task in tasks:
        work.leave(task)
    found = gevent.joinall(takers, timeout=LONGEST_S)
    assert {taker.value.index for taker in found} | {taken(work).index} == set(range(6))


def test_last_pass_ends() -> None:
    """After it there is nothing more."""
    work = WorkQueue(numbered(1))
    work.leave(taken(work))
    taken(work)
    work.finish()
    with gevent.Timeout(LONGEST_S):
        assert work.take() is None


def test_last_pass_has_no_room_for_everything() -> None:
    """When very many have failed already, one more isn't kept: it has its outcome now."""
    work = WorkQueue(numbered(module.MOST_WAITING + 1))
    assert all(work.leave(taken(work)) for _ in range(module.MOST_WAITING))
    task = taken(work)
    assert not work.leave(task)
    assert (work.waiting, work.in_flight, task.last) == (module.MOST_WAITING, 1, False)


def test_after_a_stop_there_is_no_last_pass() -> None:
    """What has failed then is told so, and can have its record."""
    work = WorkQueue(numbered(1))
    task = taken(work)
    work.stop()
    assert not work.leave(task)
    assert work.waiting == 0


def test_attempt_that_does_not_count() -> None:
    """A task comes back as the same attempt when this one was none."""
    work = WorkQueue(numbered(1))
    task = taken(work)
    work.again(task, 0.0, counts=False)
    assert taken(work) is task
    assert task.attempt == 1


def test_new_tasks_are_held_back() -> None:
    """While no new one is admitted those who want one wait; a task that comes back is no new one."""
    admitted = 2
    work = WorkQueue(numbered(4), room=lambda begun: admitted - begun)
    first, second = taken(work), taken(work)
    waiting = gevent.spawn(work.take)
    gevent.sleep(0.01)
    assert not waiting.ready()
    work.again(first, 0.0)
    assert waiting.get(timeout=LONGEST_S) is first
    waiting = gevent.spawn(work.take)
    gevent.sleep(0)
    admitted = 4
    work.finish()
    assert waiting.get(timeout=LONGEST_S).index == 2
    assert second.attempt == 1


def test_waiting_is_sleeping() -> None:
    """A hundred who wait for one task that is due in a moment look at the clock a few times each, not all the time."""
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return time.monotonic()

    work = WorkQueue(numbered(1), clock=clock)
    work.again(taken(work), 0.3)
    takers = [gevent.spawn(work.take) for _ in range(100)]
    gevent.sleep(0.2)
    assert looks <= 1 + 2 * 100
    gevent.sleep(0.2)
    work.finish()
    gevent.joinall(takers, timeout=LONGEST_S)
    assert sorted(taker.value is None for taker in takers) == [False] + [True] * 99
    assert looks <= 10 * 100


def test_polling_is_not_waiting() -> None:
    """Who polls gets what there is at the moment, and learns when there will be more, and whether there will be."""
    now = [0.0]
    work = WorkQueue(numbered(2), clock=lambda: now[0])
    first, _ = work.poll(5)
    assert (work.poll(1), work.due_s(), work.is_over(), work.in_flight) == ([], float("inf"), False, 2)
    work.again(first, 3.0)
    work.finish()
    assert (work.poll(1), work.due_s(), work.is_over()) == ([], 3.0, False)
    now[0] = 3.5
    assert work.due_s() == 0.0
    assert work.poll(5) == [first]
    work.finish()
    assert (work.poll(1), work.is_over()) == ([], True)


def test_polling_leads_to_the_last_pass() -> None:
    """When nothing else is left, asking whether all is over brings back what was left for later."""
    work = WorkQueue(numbered(1))
    [task] = work.poll(1)
    assert work.leave(task)
    assert work.poll(1) == []
    assert not work.is_over()
    assert (work.due_s(), work.poll(1)) == (0.0, [task])


def test_who_may_not_send_finds_out_that_all_is_done() -> None:
    """The last parameter was taken alone, and nothing more can be polled for: the end is seen all the same."""
    work = WorkQueue(numbered(3))
    for _ in range(3):
        assert not work.is_over()
        [task] = work.poll(1)
        work.finish()
    assert (task.index, work.is_over(), work.poll(1)) == (2, True, [])


def test_looking_for_more_takes_nothing_away() -> None:
    """However often it is asked whether all is done, each parameter is given out once, in order."""
    work = WorkQueue(numbered(5))
    indexes = []
    while not (work.is_over() or work.is_over()):
        indexes += [task.index for task in work.poll(2)]
        work.finish(work.in_flight)
    assert indexes == [0, 1, 2, 3, 4]


def test_a_batch_that_was_cut_short_leaves_its_next_parameter() -> None:
    """A parameter that can't be in the same batch as another one is still to come, also if it is the last."""
    splitter = Splitter(Batch(size=3, by="id", missing="null"), empty_is_null=False)
    work = BatchQueue(iter([(0, {"id": 1}), (1, {"id": 1})]), size=3, splitter=splitter)
    batches = []
    while not work.is_over():
        batches += [task.parameter for task in work.poll(1)]
        work.finish(work.in_flight)
    assert batches == [[{"id": 1}], [{"id": 1}]]


def test_many_are_taken_at_once() -> None:
    """Who polls for many gets those that are due first, then new ones, as many as are admitted and no more."""
    now = [0.0]
    work = WorkQueue(numbered(10), clock=lambda: now[0], room=lambda begun: 6 - begun)
    early = work.poll(4)
    work.again(early[0], 1.0)
    work.again(early[1], 9.0)
    now[0] = 2.0
    assert [task.index for task in work.poll(2)] == [0, 4]
    assert [task.index for task in work.poll(5)] == [5]
    assert (work.in_flight, work.waiting) == (5, 1)
