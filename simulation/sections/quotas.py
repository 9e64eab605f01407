"""Whether a quota is kept and used up when several fetches share it, defer, and go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from airflow_fanout.control.budget_state import Rank
from airflow_fanout.control.quota import Quota
from bench.report import table
from simulation.api import ApiModel
from simulation.budget import BudgetModel
from simulation.facts import Facts
from simulation.quotas import BEGAN_S, DAY_S, ApiQuota
from simulation.section import Section, over_time, prose
from simulation.setup import RunModel, Setup

PER_S = 100
FAILING = 0.05
PER_DAY, PER_HOUR = 6_000, 1_000
HOUR_S, MINUTES = 3_600.0, 4
RUNS = (
    RunModel(name="report", parameters=8_000, shards=4),
    RunModel(name="invoices", parameters=8_000, shards=4),
    RunModel(name="backfill", parameters=4_000, shards=2, rank=Rank.BACKFILL),
)
WORKERS, DEATH_S = 5, 10
RENEWAL_S = DAY_S - BEGAN_S
# While the first quota is used up, and while it is renewed.
AWAY = ((20.0, 80.0), (RENEWAL_S - 30.0, RENEWAL_S + 30.0))


def _setup(*quotas: ApiQuota) -> Setup:
    limits = tuple(Quota(requests=quota.requests, per=quota.window_s or "day") for quota in quotas)
    return Setup(
        runs=RUNS,
        api=ApiModel(quotas=quotas, failing_share=FAILING),
        budget=BudgetModel(per_s=PER_S, quotas=limits),
        workers=WORKERS,
        slots=2,
    )


DAILY = _setup(ApiQuota(requests=PER_DAY))
A_DAY, AN_HOUR, BOTH = f"{PER_DAY:,} per day", f"{PER_HOUR:,} in any hour", "both of them"
SETUPS = {
    A_DAY: DAILY,
    f"{A_DAY}, without a request budget": replace(DAILY, budget=None),
    f"{A_DAY}, MongoDB away at the renewal": replace(DAILY, budget=DAILY.budget and replace(DAILY.budget, away=AWAY)),
    f"{A_DAY}, a worker dies each {DEATH_S} s": replace(DAILY, life_s=float(WORKERS * DEATH_S)),
    AN_HOUR: _setup(ApiQuota(requests=PER_HOUR, window_s=HOUR_S)),
    BOTH: _setup(ApiQuota(requests=PER_DAY), ApiQuota(requests=PER_HOUR, window_s=HOUR_S)),
    f"{PER_HOUR:,} in any {MINUTES} minutes": _setup(ApiQuota(requests=PER_HOUR, window_s=60.0 * MINUTES)),
}


def section(facts: Mapping[str, Facts]) -> Section:
    """Return what was sent in the periods, what was left over, and when all was done."""
    head = (
        "quota",
        "nightly runs done after",
        "backfill",
        "at best",
        "deferred",
        "killed",
        "requests",
        "most in a period",
        "unused at renewals",
        "refused",
        "once",
    )
    parameters = sum(run.parameters for run in RUNS)
    tallies = {name: facts[name].tally for name in (A_DAY, AN_HOUR, BOTH)}
    return Section(
        title="A quota",
        parts=[
            prose(f"""
                {parameters:,} parameters in ten shards: two nightly runs, and a backfill. The budget has {PER_S}
                requests per second and a quota. The API counts for itself, retries too, and refuses what is beyond
                its quota; it answers {FAILING:.0%} with 500. When the quota is used up, the tasks give their worker
                slots back, and go on after the renewal. *At best*: if each period's quota was used up at once. What
                a dying worker has reserved counts as sent, and is unused.
            """),
            table(head, [(name, *_row(each)) for name, each in facts.items()]),
        ],
        charts={
            "simulation-quota.svg": over_time(
                "Requests sent so far, under a quota",
                {
                    name: [0.0, *accumulate(HOUR_S * per_s for per_s in each.steps(int(HOUR_S))), float(each.sent)]
                    for name, each in tallies.items()
                },
                1,
                "hours",
            )
        },
    )


def _row(facts: Facts) -> tuple[str, ...]:
    nightly_s = max(run.seconds or 0.0 for run in facts.runs[:2])
    once, parameters = sum(run.once for run in facts.runs), sum(run.parameters for run in facts.runs)
    counts = facts.quotas
    is_daily = any(count.by_day for count in counts)
    return (
        _hours(nightly_s),
        _hours(facts.runs[2].seconds or 0.0),
        _hours(_at_best_s([count.quota for count in counts], facts.tally.sent)),
        f"{sum(run.deferrals for run in facts.runs)} times",
        f"{sum(run.tries for run in facts.runs) - sum(run.shards for run in RUNS)} times",
        f"{facts.tally.sent:,}",
        ", ".join(f"{count.most:,}" for count in counts),
        f"{sum(count.unused for count in counts):,}" if is_daily else "",
        f"{facts.tally.refused:,}",
        "yes" if once == parameters else f"**no: {once:,}**",
    )


def _hours(seconds: float) -> str:
    return f"{seconds / HOUR_S:,.2f} h"


def _at_best_s(quotas: Sequence[ApiQuota], requests: int) -> float:
    """Return when the last of a number of requests can be sent, if each renewal finds the quotas used up.

    :param quotas: that of the longest period first.
    """
    if not quotas:
        return requests / PER_S
    longest, *others = quotas
    renewals, before = divmod(requests - 1, longest.requests)
    period_s, first_s = longest.window_s or DAY_S, longest.window_s or RENEWAL_S
    begins_s = first_s + (renewals - 1) * period_s if renewals else 0.0
    return begins_s + _at_best_s(others, before + 1)
