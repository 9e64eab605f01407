"""The plots of docs/speed.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.cases import LISTS, STEPS
from bench.chart import Chart
from bench.clients import FANOUT
from bench.row import Row

THROUGHPUT = "speed-concurrency.svg"
SIZE = "speed-parameters.svg"


def write_plots(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write what the rows have enough numbers for, and return the files."""
    written = []
    for name, chart in ((THROUGHPUT, throughput(rows)), (SIZE, sizes(rows))):
        if chart:
            (folder / name).write_text(chart.svg())
            written.append(folder / name)
    return written


def throughput(rows: Iterable[Row]) -> Chart | None:
    """Return requests per second by concurrency; `None` without numbers."""
    found = {(row.case, row.client): row.rate_per_s for row in rows if row.rate_per_s}
    clients = dict.fromkeys(client for case, client in found if case.startswith("concurrency-"))
    lines = {client: [found.get((f"concurrency-{step}", client)) for step in STEPS] for client in clients}
    values = [value for line in lines.values() for value in line if value]
    if not values:
        return None
    # The highest first, as the lines end.
    names = sorted(lines, key=lambda client: -(lines[client][-1] or 0))
    return Chart(
        title="Requests per second",
        x_title="at once",
        x_labels=[f"{step:,}" for step in STEPS],
        lines={name: lines[name] for name in names},
        ticks=decades(min(values), max(values)),
        logarithmic=True,
    )


def sizes(rows: Iterable[Row]) -> Chart | None:
    """Return the engine's time per parameter and its peak memory by number of parameters; `None` without numbers."""
    found = {row.case: row for row in rows if row.client == FANOUT.name}
    there = [row for count in LISTS if (row := found.get(f"parameters-{count}"))]
    each_us = [1e6 / row.rate_per_s for row in there if row.rate_per_s]
    peaks_mb = [row.peak_mb for row in there if row.peak_mb]
    if not len(each_us) == len(peaks_mb) == len(LISTS):
        return None
    return Chart(
        title="The engine: µs for each parameter, and peak memory in MB",
        x_title="parameters",
        x_labels=[f"{count:,}" for count in LISTS],
        lines={"µs for each": each_us, "peak MB": peaks_mb},
        ticks=range(0, math.ceil(max(*each_us, *peaks_mb) / 20) * 20 + 1, 20),
    )


def decades(least: float, most: float) -> list[float]:
    """Return 1, 2, 5, 10 … from the last that isn't above the least value to the first that isn't below the most."""
    steps = [step * 10.0**ten for ten in range(9) for step in (1, 2, 5)]
    first, last = max(step for step in steps if step <= least), min(step for step in steps if step >= most)
    return [step for step in steps if first <= step <= last]
