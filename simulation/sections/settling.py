"""How long several engines take to find a limit that nobody tells them, and what it costs the API and them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.report import table
from simulation.api import ApiModel
from simulation.budget import BudgetModel
from simulation.facts import Facts
from simulation.section import Section, over_time, prose
from simulation.setup import RunModel, Setup
from simulation.tally import EARLY, evenness

PER_S = 500
PARAMETERS = 100_000
SHARDS = (1, 8, 64, 256)
# Settled: from then on, each window of this number of seconds has so much of the limit.
WINDOW_S = 10
LEAST, MOST = 0.9, 1.05
# The last requests of a shard are few: its end says nothing of the limit.
BEFORE_THE_END = 0.95
SHOWN_S = 100
STEP_S = 2
BUDGET = ", budget"
API = ApiModel(per_s=PER_S, retry_after_s=1.0)


def _name(shards: int) -> str:
    return f"settling, {shards} shard{'s' if shards > 1 else ''}"


SETUPS = {
    f"{_name(shards)}{words}": Setup(runs=(RunModel(parameters=PARAMETERS, shards=shards),), api=API, budget=budget)
    for shards in SHARDS
    for words, budget in (("", None), (BUDGET, BudgetModel(per_s=0.98 * PER_S)))
}


def section(facts: Mapping[str, Facts]) -> Section:
    """Return how each number of shards settles."""
    head = ("", "settled after", "refused", f"of the first {EARLY:,}", "evenness", "all done after", "ideal")
    lines = {
        f"{shards} shard{'s' if shards > 1 else ''}": facts[_name(shards)].tally.steps(STEP_S)[: SHOWN_S // STEP_S]
        for shards in SHARDS
    }
    return Section(
        title="Finding a limit that nobody tells",
        parts=[
            prose(f"""
                One run of {PARAMETERS:,} parameters; the API accepts {PER_S} requests per second, and refuses the
                others with 429 and `Retry-After: 1`. Each shard's engine finds its part by itself, or they share a
                request budget of {0.98 * PER_S:g} per second. *Settled*: from then on, every {WINDOW_S} s have
                {LEAST:.0%} to {MOST:.0%} of the limit, until shortly before the first shard ends; under a budget, where
                shards take turns, until {BEFORE_THE_END:.0%} are sent. *Evenness* is Jain's index of the shards'
                rates: 1 if all are equal.
            """),
            table(head, [_row(name, facts[name]) for name in SETUPS]),
        ],
        charts={"simulation-settling.svg": over_time("Requests per second sent, without a budget", lines, STEP_S)},
    )


def _row(name: str, facts: Facts) -> tuple[str, ...]:
    run = facts.run
    has_budget = name.endswith(BUDGET)
    until_s = facts.tally.reached(BEFORE_THE_END) if has_budget else BEFORE_THE_END * min(run.shards)
    settled_s = settled_after(facts.tally.by_second[: int(until_s)], PER_S)
    return (
        name.removeprefix("settling, "),
        "never" if settled_s is None else f"{settled_s} s",
        f"{facts.refused_share:.2%}",
        f"{facts.tally.refused_early / EARLY:.0%}",
        "" if has_budget else f"{evenness(run.rates):.3f}",
        f"{facts.seconds:,.0f} s",
        f"{PARAMETERS / PER_S:,.0f} s",
    )


def settled_after(by_second: Sequence[int], per_s: float) -> int | None:
    """Return the second from which on each window has about the limit; `None` if even the last one hasn't."""
    settled = None
    for second in range(len(by_second) - WINDOW_S, -1, -1):
        rate = sum(by_second[second : second + WINDOW_S]) / WINDOW_S
        if not LEAST * per_s <= rate <= MOST * per_s:
            break
        settled = second
    return settled
