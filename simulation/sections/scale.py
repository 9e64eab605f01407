"""Whether the parts of an installation fare as the whole does, and what that says of one that nobody can simulate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from bench.report import table
from simulation.api import ApiModel
from simulation.budget import BudgetModel
from simulation.facts import Facts
from simulation.section import Section, prose
from simulation.setup import RunModel, Setup

SHARDS = 1_000
TIMES = 20
API = ApiModel(per_s=20_000, retry_after_s=1.0, failing_share=0.01)
SMALL, MIDDLE, LARGE = "0.2 million", "2 million", "100 million"
SIZES = {SMALL: 200_000, MIDDLE: 2_000_000, LARGE: 100_000_000}
# How often each size is simulated one by one.
WHOLES = {SMALL: 3, MIDDLE: 1}
# How many parts of each size are simulated: all of them, as often as the whole, or some.
PARTS = {SMALL: 3 * TIMES, MIDDLE: TIMES, LARGE: 1}
UNDER_A_BUDGET = "0.4 million in 100 shards, one by one, with a budget of 2,000/s"
# Of all requests, beyond which only the slowest shards are left.
MOSTLY = 0.95
# Of the shards: as many as a part can tell of.
NEARLY_ALL = 0.98


def _setup(size: str, draw: int = 0) -> Setup:
    return Setup(runs=(RunModel(parameters=SIZES[size], shards=SHARDS),), api=API, draw=draw)


def _whole(size: str, draw: int) -> str:
    return f"{size}, one by one, {draw}"


def _part(size: str, draw: int) -> str:
    return f"{size}, part {draw}"


SETUPS = {
    **{_whole(size, draw): _setup(size, draw) for size, count in WHOLES.items() for draw in range(count)},
    **{_part(size, draw): _setup(size).scaled(TIMES, draw) for size, count in PARTS.items() for draw in range(count)},
    UNDER_A_BUDGET: Setup(
        runs=(RunModel(parameters=400_000, shards=100),),
        budget=BudgetModel(per_s=2_000),
        api=ApiModel(failing_share=0.01),
    ),
}


def _shards_ended(share: float) -> Callable[[Facts], float]:
    return lambda facts: sorted(facts.run.shards)[int(share * len(facts.run.shards))]


def _text_of_s(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < 1_000 else f"{seconds:,.0f} s"


# What is compared, and how it is shown.
FIGURES: Mapping[str, tuple[Callable[[Facts], float], Callable[[float], str]]] = {
    "95 % sent after": (lambda facts: facts.tally.reached(MOSTLY), _text_of_s),
    "half of the shards after": (_shards_ended(0.5), _text_of_s),
    "nine of ten shards after": (_shards_ended(0.9), _text_of_s),
    "49 of 50 shards after": (_shards_ended(NEARLY_ALL), _text_of_s),
    "refused": (lambda facts: facts.refused_share, "{:.2%}".format),
    "repeated": (lambda facts: facts.run.repeated / facts.run.parameters, "{:.2%}".format),
}


def section(facts: Mapping[str, Facts]) -> Section:
    """Return the comparison, and the size that only parts reach."""
    wholes = {size: [facts[_whole(size, draw)] for draw in range(count)] for size, count in WHOLES.items()}
    parts = {size: [facts[_part(size, draw)] for draw in range(count)] for size, count in PARTS.items()}
    rows: list[tuple[str, ...]] = []
    together: dict[str, list[Facts]] = {}
    for size, whole in wholes.items():
        groups = [parts[size][first : first + TIMES] for first in range(0, PARTS[size], TIMES)]
        together[size] = [Facts.of_parts(group) for group in groups]
        rows += [
            (f"{size}, one by one", *_cells(whole)),
            (f"{size}, {TIMES} parts together", *_cells(together[size])),
            ("differ by", *_differences(whole, together[size])),
        ]
    rows += [
        (f"{MIDDLE}, each part alone", *_cells(parts[MIDDLE])),
        (f"{LARGE}, one of {TIMES} parts", *_cells(parts[LARGE])),
        (UNDER_A_BUDGET, *_cells([facts[UNDER_A_BUDGET]])),
    ]
    return Section(
        title="From one by one to 100 million",
        parts=[
            prose(f"""
                One run in {SHARDS:,} shards, each an engine of its own. The API accepts {API.per_s:,.0f} requests
                per second from all of them, refuses the others with 429 and `Retry-After: 1`, and answers 1 % with
                500. A part is one of {TIMES}: it has a {TIMES}th of the shards and of what the API accepts, each shard
                has as many parameters as in the whole, and each part is simulated by itself. In brackets: the least
                and the most of {WHOLES[SMALL]} seeds, or of the parts.
            """),
            table(("parameters", *FIGURES), rows),
            prose(f"""
                {LARGE} are one of {TIMES} parts. How much a part may differ from the others, those of {MIDDLE} show.
                {_last(wholes[MIDDLE], together[MIDDLE])}
            """),
        ],
    )


def _cells(several: Sequence[Facts]) -> list[str]:
    """Return the mean of each figure, and the least and the most."""
    cells = []
    for figure, text_of in FIGURES.values():
        values = [figure(facts) for facts in several]
        spread = f" ({text_of(min(values))} to {text_of(max(values))})" if len(values) > 1 else ""
        cells.append(text_of(fmean(values)) + spread)
    return cells


def _differences(whole: Sequence[Facts], together: Sequence[Facts]) -> list[str]:
    """Return by how much the means differ: shares of requests in percentage points, others in per cent."""
    cells = []
    for figure, text_of in FIGURES.values():
        before, after = (fmean(map(figure, several)) for several in (whole, together))
        is_share = text_of is not _text_of_s
        cells.append(f"{(after - before) * 100:+.2f} points" if is_share else f"{after / before - 1:+.1%}")
    return cells


def _last(whole: Sequence[Facts], together: Sequence[Facts]) -> str:
    """Return in words how much later than most of the shards the last one has ended."""
    nearly_all = _shards_ended(NEARLY_ALL)
    one, parts = (fmean(facts.seconds / nearly_all(facts) - 1 for facts in several) for several in (whole, together))
    return f"""
        The end of the very last shard isn't in the table: the slowest of {SHARDS // TIMES} isn't the slowest of
        {SHARDS:,}. Of {MIDDLE}, it ended {one:.0%} after 49 of 50 had (one by one), and {parts:.0%} in the slowest of
        the parts. What it is at {LARGE}, the simulation doesn't tell.
    """
