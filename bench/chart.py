"""A line chart as SVG: small, without scripts, and the same for the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

# Told apart by who sees no red or no green (Okabe and Ito, "Color Universal Design").
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
# The same on a dark page: the first and the third are too dark for it.
DARK_COLOURS = ("#4aa8e0", "#f07f33", "#2fc79b", "#e0a0c4", "#f0b93a", "#8fd0f5")
# A line with more places than this is drawn without its points.
MOST_POINTS = 24
WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 215, 44, 56
LINE = 20


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A line for each name, over the same places.

    :param title: what is shown, with its unit.
    :param x_title: what the places are.
    :param x_labels: the places' names, from left to right, equally far from each other; "" for none.
    :param lines: by name, a value for each place; `None` where there is none.
    :param ticks: the values that have a line across, rising: the chart reaches from the first to the last.
    :param logarithmic: whether equal distances are equal factors.
    """

    title: str
    x_title: str
    x_labels: Sequence[str]
    lines: Mapping[str, Sequence[float | None]]
    ticks: Sequence[float]
    logarithmic: bool = False

    def svg(self) -> str:
        """Return the chart as the text of an SVG file."""
        look = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {look}>',
                _style(len(self.lines)),
                f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
                *self._frame(),
                *self._across(),
                *self._drawn(),
                "</svg>",
                "",
            ]
        )

    def x(self, place: int) -> float:
        """Return where a place is, from the left."""
        return LEFT + place * (WIDTH - LEFT - RIGHT) / max(len(self.x_labels) - 1, 1)

    def y(self, value: float) -> float:
        """Return where a value is, from the top."""
        scale: Callable[[float], float] = math.log if self.logarithmic else float
        low, high = scale(self.ticks[0]), scale(self.ticks[-1])
        return HEIGHT - BOTTOM - (scale(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def _frame(self) -> Iterator[str]:
        yield _text(LEFT, TOP - LINE, self.title, "start", 'font-size="15"')
        for place, label in enumerate(self.x_labels):
            if label:
                yield _text(self.x(place), HEIGHT - BOTTOM + LINE, label, "middle")
        yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 2 * LINE, self.x_title, "middle")

    def _across(self) -> Iterator[str]:
        for tick in self.ticks:
            y = self.y(tick)
            yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" class="tick"/>'
            yield _text(LEFT - 8, y + 4, f"{tick:,g}", "end")

    def _drawn(self) -> Iterator[str]:
        for number, (name, values) in enumerate(self.lines.items()):
            line = number % len(COLOURS)
            points = [(self.x(place), self.y(value)) for place, value in enumerate(values) if value is not None]
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            yield f'<path d="M{path}" class="line of{line}"/>' if points else ""
            if len(values) <= MOST_POINTS:
                yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" class="of{line}"/>' for x, y in points)
            y = TOP + number * LINE
            yield f'<circle cx="{WIDTH - RIGHT + 20}" cy="{y - 4}" r="5" class="of{line}"/>'
            yield _text(WIDTH - RIGHT + 32, y, name, "start")


def _style(lines: int) -> str:
    """Return the colours, by the page that the chart is on: a light or a dark one."""
    light = _colours(lines, COLOURS, text="#1f2328", page="#ffffff", tick="#cccccc")
    dark = _colours(lines, DARK_COLOURS, text="#e6edf3", page="#0d1117", tick="#3d444d")
    return f"<style>.line.line{{fill:none;stroke-width:2}}{light}@media(prefers-color-scheme:dark){{{dark}}}</style>"


def _colours(lines: int, colours: Sequence[str], *, text: str, page: str, tick: str) -> str:
    of = "".join(f".of{line}{{fill:{colour};stroke:{colour}}}" for line, colour in enumerate(colours[:lines]))
    return f"text{{fill:{text}}}.page{{fill:{page}}}.tick{{stroke:{tick}}}{of}"


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'
