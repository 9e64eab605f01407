"""What a request budget keeps to when something goes wrong: the API, MongoDB, or workers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace

from bench.report import table
from simulation.api import ApiModel, Away
from simulation.budget import BudgetModel
from simulation.facts import Facts
from simulation.section import Section, over_time, prose
from simulation.setup import RunModel, Setup

PER_S = 100
PARAMETERS = 20_000
SHARDS = 8
WINDOW_S = 5
STEP_S = 5
# What an API allows for which the budget is too high.
LOWER = 90
# The last requests are few, and may wait for an answer.
MOSTLY = 0.95
AWAY = ((60.0, 120.0),)


def _setup(shards: int = SHARDS, *, at_once: int | None = None, latency_s: float = 0.05) -> Setup:
    return Setup(
        runs=(RunModel(parameters=PARAMETERS, shards=shards),),
        budget=BudgetModel(per_s=PER_S, at_once=at_once),
        api=ApiModel(latency_s=latency_s),
    )


PLAIN = _setup()
SETUPS = {
    "1 shard": _setup(1),
    "8 shards": PLAIN,
    "64 shards": _setup(64),
    "256 shards": _setup(256),
    "8 shards, the API is away for 30 s": replace(PLAIN, api=ApiModel(away=(Away(60.0, 90.0),))),
    "8 shards, MongoDB is away for 60 s": replace(PLAIN, budget=BudgetModel(per_s=PER_S, away=AWAY)),
    "the same, offline 50 per second": replace(PLAIN, budget=BudgetModel(per_s=PER_S, away=AWAY, offline_per_s=50)),
    "8 shards, a worker dies each minute": replace(PLAIN, workers=8, slots=2, life_s=480.0),
    "8 shards, 20 at once, 100 ms": _setup(at_once=20, latency_s=0.1),
    "40 shards, 20 at once, 100 ms": _setup(40, at_once=20, latency_s=0.1),
    f"8 shards, the API allows {LOWER} per second": replace(PLAIN, api=ApiModel(per_s=LOWER, retry_after_s=1.0)),
}
# What the plot shows, in few words.
SHOWN = {
    "API away": "8 shards, the API is away for 30 s",
    "MongoDB away": "8 shards, MongoDB is away for 60 s",
    "offline 50 per second": "the same, offline 50 per second",
    "dying workers": "8 shards, a worker dies each minute",
}


def section(facts: Mapping[str, Facts]) -> Section:
    """Return the rates in windows, and how often MongoDB is asked."""
    head = (
        "",
        "done after",
        "ideal",
        "least in 5 s",
        "most in 5 s",
        "refused",
        "questions per second",
        "at most",
        "once",
    )
    return Section(
        title="A request budget in trouble",
        parts=[
            prose(f"""
                {PARAMETERS:,} parameters under a budget of {PER_S} requests per second. Least and most: requests
                per second in any {WINDOW_S} s, from second 5 until {MOSTLY:.0%} are sent. A question is two
                operations of MongoDB's; the questions per second are those of the whole run, and at most those
                in any {WINDOW_S} s. The tasks of a run spread their first questions over up to 8 s.
            """),
            table(head, [(name, *_row(each)) for name, each in facts.items()]),
            prose(f"""
                The tasks of a dead worker begin again after Airflow's heartbeat timeout, 300 s: by then all other
                tasks have ended, and nothing is sent. With few requests at once, a few tasks have all of them, and
                hand them on as they end, which takes a second or two. The last row is a budget that is set
                higher than what the API allows: its ideal would be {PARAMETERS / LOWER:,.0f} s. Each pause that
                the API asks for lowers the rate of all by 5 %.
            """),
        ],
        charts={
            "simulation-budget.svg": over_time(
                "Requests per second under a budget of 100",
                {words: facts[name].tally.steps(STEP_S)[: 300 // STEP_S] for words, name in SHOWN.items()},
                STEP_S,
            )
        },
    )


def _row(facts: Facts) -> tuple[str, ...]:
    run = facts.run
    ends_s = int(facts.tally.reached(MOSTLY))
    rates = [facts.tally.rate(second, second + WINDOW_S) for second in range(5, ends_s - WINDOW_S)]
    asks_s = sorted(facts.asks_s)
    most = max(bisect_left(asks_s, moment + WINDOW_S) - place for place, moment in enumerate(asks_s)) / WINDOW_S
    return (
        f"{facts.seconds:,.0f} s",
        f"{PARAMETERS / PER_S:,.0f} s",
        f"{min(rates):.1f}",
        f"{max(rates):.1f}",
        f"{facts.refused_share:.2%}",
        f"{len(asks_s) / facts.seconds:.1f}",
        f"{most:.1f}",
        "yes" if run.once == run.parameters else f"**no: {run.once:,}**",
    )
