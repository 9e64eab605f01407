from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import chain, repeat
from typing import Any

import gevent

from airflow_fanout import codec
from airflow_fanout.api.batch import Batch
from airflow_fanout.api.request import Request
from airflow_fanout.engine.batches import BatchTask, queue_of
from airflow_fanout.engine.lanes import ENOUGH, OVERHEAD, Lane, Lanes
from airflow_fanout.engine.work import WorkQueue

NAMES = {"a": None, "b": None, "c": None}


def lanes_of(shops: Iterable[str], notes: list[str] | None = None, **more: Any) -> Lanes:
    """Return the lanes of a list that has a parameter for each of these shops."""
    lines = ((index, codec.encode({"shop": shop, "item": index})) for index, shop in enumerate(shops))
    note = (lambda _text: None) if notes is None else notes.append
    return Lanes(lines, lambda value: str(value["shop"]), NAMES, note, **more)


def read(lanes: Lanes, finished: frozenset[int] = frozenset()) -> gevent.Greenlet:
    """Begin to read a list."""
    reading = gevent.spawn(lanes.run, finished.__contains__, lambda _name: None)
    gevent.sleep(0)
    return reading


def items(lane: Lane, most: int = sys.maxsize) -> list[int]:
    """Take at most this number of parameters as they come, and let the list be read in between."""
    taken: list[int] = []
    with gevent.Timeout(60.0):
        while len(taken) < most and not lane.is_over:
            taken += [index for index, _ in lane]
            gevent.sleep(0)
    return taken


def test_each_connection_gets_its_parameters_in_order() -> None:
    """Packed and unpacked in between, with their values; what has an outcome already is left out."""
    shops = [name for _ in range(3 * ENOUGH) for name in "abc"]
    lanes = lanes_of(shops)
    reading = read(lanes, frozenset(range(0, len(shops), 2)))
    for place, name in enumerate("abc"):
        expected = [index for index in range(place, len(shops), 3) if index % 2]
        assert items(lanes.by_name[name]) == expected
        assert lanes.by_name[name].total == len(expected)
    reading.get(timeout=60)


def test_a_sorted_list_is_read_ahead_for_everybody() -> None:
    """The last connection of the list begins while nobody has taken anything of the first one."""
    lanes = lanes_of(chain(repeat("a", 50_000), repeat("b", 5), repeat("c", 5)))
    read(lanes)
    assert items(lanes.by_name["c"]) == [*range(50_005, 50_010)]
    waiting = lanes.by_name["a"]
    assert len(waiting) == 50_000
    # Most of it is packed: a few bytes for each parameter.
    assert waiting.bytes < 50_000 * 12 + ENOUGH * 2 * (OVERHEAD + 40)
    assert items(waiting) == [*range(50_000)]


def test_how_far_is_read_is_bounded() -> None:
    """One sentence says whose parameters fill the memory; when some are taken, the reading goes on."""
    notes: list[str] = []
    lanes = lanes_of(chain(repeat("a", 50_000), repeat("b", 5)), notes, most_bytes=100_000)
    read(lanes)
    first, second = lanes.by_name["a"], lanes.by_name["b"]
    for _ in range(1_000):
        gevent.sleep(0)
    assert sum(lane.bytes for lane in lanes.by_name.values()) < 110_000
    assert not second.total
    [note] = notes
    assert "most of that is for the connection 'a'" in note
    assert items(first) == [*range(50_000)]
    assert items(second) == [*range(50_000, 50_005)]


def test_nobody_reads_for_a_connection_that_was_given_up() -> None:
    """Its parameters are counted, and fill no memory."""
    lanes = lanes_of(chain(repeat("a", 50_000), repeat("b", 5)), most_bytes=100_000)
    read(lanes)
    lanes.by_name["a"].close()
    assert items(lanes.by_name["b"]) == [*range(50_000, 50_005)]
    assert lanes.by_name["a"].total == 50_000
    assert lanes.by_name["a"].bytes == 0


def test_reading_stops_when_everybody_has_enough() -> None:
    """What nobody needs yet stays on the disk."""
    lanes = lanes_of("abc"[index % 3] for index in range(30_000))
    read(lanes)
    for _ in range(1_000):
        gevent.sleep(0)
    assert ENOUGH <= len(lanes.by_name["a"]) < 2 * ENOUGH


def test_work_waits_for_a_lane_that_is_filled_later() -> None:
    """It isn't over while there may be more, and is woken by what comes."""
    lane = Lane(lambda: None)
    work = WorkQueue(lane, lane=lane)
    lane.wake = work.look
    waiting = gevent.spawn(work.take)
    gevent.sleep(0)
    assert not work.is_ready()
    assert not work.is_over()
    lane.put(7, b'{"shop":"a"}')
    assert (task := waiting.get(timeout=60)).index == 7
    work.finish()
    ending = gevent.spawn(work.take)
    gevent.sleep(0)
    lane.complete()
    assert ending.get(timeout=60) is None
    assert task.parameter == {"shop": "a"}
    assert work.is_over()


def test_a_batch_waits_until_it_is_full() -> None:
    """Of what is there, whole batches are given out; the rest when no more comes."""
    lane = Lane(lambda: None)
    batch = Batch(size=3, by={"id": "item"}, missing="null")
    request = Request(endpoint="/x", method="POST", json=["{item}"], repeatable=True, batch=batch)
    work = queue_of(request, lane, lambda _begun: sys.maxsize, lane)
    for index in range(5):
        lane.put(index, codec.encode({"item": index}))
    assert [task.size for task in work.poll(9)] == [3]
    assert not work.is_ready()
    lane.complete()
    [rest] = work.poll(9)
    assert isinstance(rest, BatchTask)
    assert [index for index, _ in rest.members] == [3, 4]
    work.finish(2)
    assert work.is_over()
