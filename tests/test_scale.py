"""Nothing holds the list: what a step takes doesn't depend on how many parameters there are."""

from __future__ import annotations

import pytest

from bench.scale import STEPS, Cost, costs, staged

# Enough for load to have as many batches in its hands as it ever has.
FEW = 5_000
MANY = 100_000
# A hundred thousand numbers as Python texts take 7 MB, as objects with a field 30 MB, as results or documents far more.
MORE_MB = 12


@pytest.mark.slow
def test_twenty_times_the_parameters_take_no_more_memory_and_no_more_time_each(mongo_uri: str) -> None:
    """Extract, validate and load, each in a process of its own."""
    found: dict[str, list[Cost]] = {step: [] for step in STEPS}
    for number in (FEW, MANY):
        with staged(number, mongo_uri) as stage:
            for step, cost in costs(stage):
                found[step].append(cost)
    peaks = {step: [round(cost.peak_mb, 1) for cost in both] for step, both in found.items()}
    each_us = {step: [round(1e6 * cost.cpu_s / cost.number, 2) for cost in both] for step, both in found.items()}
    print(f"peaks in MB: {peaks}; processor time of each in µs: {each_us}")
    assert {step for step, (few, many) in peaks.items() if many - few > MORE_MB} == set()
    # Few have the fixed costs to bear, too; on a busy machine processor time is stretched.
    assert {step for step, (few, many) in each_us.items() if many > 1.25 * few} == set()
