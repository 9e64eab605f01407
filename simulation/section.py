"""A section of the results: what was asked, what came out, and its plots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.chart import Chart
from simulation.facts import Facts
from simulation.setup import Setup

# An axis has at most about this number of names.
MOST_NAMES = 8


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page.

    :param parts: paragraphs and tables, in order.
    :param charts: the plots, by the names of their files.
    """

    title: str
    parts: Sequence[str]
    charts: Mapping[str, Chart] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """What to simulate, by name, and what to make of it."""

    setups: Mapping[str, Setup]
    section: Callable[[Mapping[str, Facts]], Section]


def prose(text: str) -> str:
    """Return a paragraph in one line."""
    return " ".join(text.split())


def over_time(title: str, lines: Mapping[str, Sequence[float]], step: int, unit: str = "seconds") -> Chart:
    """Return a chart of values over time, one for each step of this number of seconds, or of another unit."""
    places = max(map(len, lines.values()))
    every = next(n for n in (1, 2, 3, 4, 6, 10, 12, 15, 20, 30, 40, 60, 120, places) if places / n <= MOST_NAMES)
    return Chart(
        title=title,
        x_title=unit,
        x_labels=[f"{place * step:,}" if place % every == 0 else "" for place in range(places)],
        lines={name: [*values, *[None] * (places - len(values))] for name, values in lines.items()},
        ticks=ticks(max(max(values, default=0.0) for values in lines.values())),
    )


def ticks(most: float) -> list[float]:
    """Return four to eight round values from 0 to the first that isn't below the most."""
    if most <= 0:
        return [0.0, 1.0]
    ten = 10.0 ** math.floor(math.log10(most / 4))
    step = next(ten * times for times in (1, 2, 2.5, 5, 10) if most / (ten * times) <= 7)
    return [step * place for place in range(math.ceil(most / step - 1e-9) + 1)]
