"""The moments of a fetch that the page plots."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

from airflow_fanout.adapters.course import COLUMNS, MOST_MOMENTS, Course
from airflow_fanout.model.latency import Histogram
from airflow_fanout.model.progress import Progress


def moment(second: int, done: int, latencies_ms: list[float]) -> Progress:
    """Return a fetch that has been going on for some seconds, with all of its latencies so far."""
    latency = Histogram()
    latency.extend(latencies_ms)
    kinds = Counter({"ok": done})
    limits = {"limit": 50}
    return Progress(total=9_000, kinds=kinds, seconds=float(second), latency=latency, in_flight=7, limits=limits)


def test_a_moment_has_the_latencies_since_the_one_before() -> None:
    """A slow minute in an hour is seen as it was."""
    course = Course()
    course.add(moment(1, 3, [10.0, 10.0, 10.0]))
    course.add(moment(2, 5, [10.0, 10.0, 10.0, 900.0, 900.0]))
    course.add(moment(3, 5, [10.0, 10.0, 10.0, 900.0, 900.0]))
    table = course.table()
    assert table["columns"] == [*COLUMNS]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in table["rows"]]
    assert [row["done"] for row in rows] == [3, 5, 5]
    assert [row["per_s"] for row in rows][1:] == [2.0, 0.0]
    assert abs(rows[0]["p95_ms"] - 10) < 0.5
    assert abs(rows[1]["p50_ms"] - 900) < 45
    assert (rows[2]["p50_ms"], rows[2]["limit"], rows[2]["in_flight"]) == (None, 50, 7)


def test_a_day_of_seconds_stays_small() -> None:
    """Every second moment is forgotten when there are too many; the last one is a moment ago."""
    course = Course()
    for second in range(1, 86_401):
        course.add(moment(second, second, [5.0]))
    rows = course.table()["rows"]
    assert MOST_MOMENTS / 2 <= len(rows) <= MOST_MOMENTS
    distances = {later[0] - earlier[0] for earlier, later in pairwise(rows)}
    assert len(distances) == 1
    assert 86_400 - rows[-1][0] < distances.pop()
    assert len(json.dumps(course.table())) < 10_000
