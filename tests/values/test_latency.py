from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_fanout import codec
from airflow_fanout.model.latency import Histogram

DURATIONS = st.floats(min_value=0.01, max_value=1e8)


def histogram(values: list[float]) -> Histogram:
    """Return a histogram of durations."""
    made = Histogram()
    for value in values:
        made.add(value)
    return made


@example([0.25], 0.0)
@given(st.lists(DURATIONS, min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_within_two_and_a_half_percent(values: list[float], share: float) -> None:
    """A quantile differs from the exact one by 2.5 % at the most, and by the rounding to hundredths."""
    exact = sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
    quantile = histogram(values).quantile(share)
    assert quantile is not None
    assert abs(quantile - exact) <= 0.025 * exact + 0.0051


@given(st.lists(DURATIONS, max_size=50), st.lists(DURATIONS, max_size=50))
def test_merging_is_as_if_counted_together(some: list[float], others: list[float]) -> None:
    """The histogram of two shards is the one that a single engine would have made."""
    merged = histogram(some)
    merged.merge(histogram(others))
    assert merged == histogram(some + others)
    assert merged.total == len(some) + len(others)


@given(st.lists(DURATIONS, max_size=50))
def test_a_histogram_travels_as_json(values: list[float]) -> None:
    """What the parent reads has the same counts."""
    made = histogram(values)
    assert codec.decoder(Histogram)(codec.encode(made)) == made


def test_without_values_there_is_no_quantile() -> None:
    """Nothing was measured: there is no number to show."""
    assert Histogram().quantile(0.5) is None


def test_a_million_durations_take_little_room() -> None:
    """From a microsecond to a day there are fewer buckets than an XCom notices."""
    assert len(histogram([1.07**power / 1000 for power in range(370)]).buckets) < 500


@pytest.mark.parametrize("ms", [0.0, -1.0, 1e-9])
def test_a_clock_that_stands_still_is_counted(ms: float) -> None:
    """A duration of nothing, or of less by a clock's fault, counts as the smallest."""
    assert histogram([ms]).quantile(1.0) == pytest.approx(0.01, rel=0.03)
