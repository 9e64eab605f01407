"""Whether a part of an installation fares as the whole does, and what that says of one that nobody can simulate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.report import table
from simulation.api import ApiModel
from simulation.budget import BudgetModel
from simulation.facts import Facts
from simulation.section import Section, prose
from simulation.setup import RunModel, Setup

SHARDS = 1_000
TIMES = 50
API = ApiModel(per_s=20_000, retry_after_s=1.0, failing_share=0.01)
SIZES = {"0.2 million": 200_000, "2 million": 2_000_000, "100 million": 100_000_000}
UNDER_A_BUDGET = "2 million in 100 shards, one by one, with a budget of 2,000/s"
# Of all requests, beyond which only the slowest shards are left.
MOSTLY = 0.95
BY_ONE, SCALED = ", one by one", ", by scaling"


def _setup(parameters: int) -> Setup:
    return Setup(runs=(RunModel(parameters=parameters, shards=SHARDS),), api=API)


SETUPS = {
    **{f"{size}{BY_ONE}": _setup(count) for size, count in SIZES.items() if count <= 2_000_000},
    **{f"{size}{SCALED}": _setup(count).scaled(TIMES) for size, count in SIZES.items()},
    UNDER_A_BUDGET: Setup(
        runs=(RunModel(parameters=2_000_000, shards=100),),
        budget=BudgetModel(per_s=2_000),
        api=ApiModel(failing_share=0.01),
    ),
}


def section(facts: Mapping[str, Facts]) -> Section:
    """Return the comparison, and the size that only scaling reaches."""
    head = (
        "parameters",
        "seconds",
        "per second",
        "95 % sent after",
        "half of the shards after",
        "refused",
        "repeated",
        "rates differ by",
    )
    rows = [(name, *_row(facts[name], TIMES if name.endswith(SCALED) else 1)) for name in SETUPS]
    return Section(
        title="From one by one to 100 million",
        parts=[
            prose(f"""
                One run in {SHARDS:,} shards, each an engine of its own. The API accepts {API.per_s:,.0f} requests
                per second from all of them, refuses the others with 429 and `Retry-After: 1`, and answers 1 % with
                500. By scaling, each engine stands for {TIMES} engines, and each request for {TIMES} requests.
            """),
            table(head, rows),
            _agreement(facts),
            prose("""
                With a request budget, a part isn't like the whole: the more clients a budget has, the longer is the
                lease of each. So that was simulated one by one only.
            """),
        ],
    )


def _row(facts: Facts, times: int) -> tuple[str, ...]:
    run = facts.run
    shards = sorted(run.shards)
    return (
        f"{facts.seconds:,.1f}",
        f"{run.parameters * times / facts.seconds:,.0f}",
        f"{facts.tally.reached(MOSTLY):,.0f} s",
        f"{shards[len(shards) // 2]:,.0f} s",
        f"{facts.refused_share:.2%}",
        f"{run.repeated / run.parameters:.2%}",
        f"{_spread(run.rates):.1%}",
    )


def _spread(rates: Sequence[float]) -> float:
    """Return the standard deviation of the shards' rates, as a share of their mean."""
    mean = sum(rates) / len(rates)
    return math.sqrt(sum((rate - mean) ** 2 for rate in rates) / len(rates)) / mean


def _agreement(facts: Mapping[str, Facts]) -> str:
    """Return in words how far both ways agree, at the sizes for which there are both."""
    parts = []
    for size in (size for size in SIZES if f"{size}{BY_ONE}" in SETUPS):
        whole, part = facts[f"{size}{BY_ONE}"], facts[f"{size}{SCALED}"]
        sent = part.tally.reached(MOSTLY) / whole.tally.reached(MOSTLY) - 1
        parts.append(
            f"{sent:+.1%} in the time after which 95 % are sent, "
            f"{part.refused_share - whole.refused_share:+.2%} in what is refused, and "
            f"{part.seconds / whole.seconds - 1:+.1%} in the end of the last shard ({size})"
        )
    return prose(f"""
        Scaling differs from one by one by {"; by ".join(parts)}. The slowest of {SHARDS // TIMES} shards is a little
        faster than the slowest of {SHARDS:,}: the very end is where scaling falls short.
    """)
