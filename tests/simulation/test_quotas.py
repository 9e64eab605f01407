"""A quota in the simulation: kept and used up, by fetches that defer and go on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_fanout.control.budget_state import Rank
from airflow_fanout.control.quota import Quota
from simulation.api import ApiModel
from simulation.budget import BudgetModel
from simulation.quotas import BEGAN_S, DAY_S, ApiQuota, QuotaCount
from simulation.setup import RunModel, Setup

PER_DAY, PER_HOUR = 700, 200
RENEWAL_S = DAY_S - BEGAN_S
RUNS = (
    RunModel(name="report", parameters=800, shards=2),
    RunModel(name="invoices", parameters=800, shards=3),
    RunModel(name="backfill", parameters=400, shards=2, rank=Rank.BACKFILL),
)


def _setup(*quotas: ApiQuota) -> Setup:
    limits = tuple(Quota(requests=quota.requests, per=quota.window_s or "day") for quota in quotas)
    api = ApiModel(quotas=quotas, failing_share=0.05)
    return Setup(runs=RUNS, api=api, budget=BudgetModel(per_s=50, quotas=limits), workers=4, slots=2)


A_DAY, AN_HOUR = ApiQuota(requests=PER_DAY), ApiQuota(requests=PER_HOUR, window_s=3_600.0)
DAILY = _setup(A_DAY)
AWAY = ((5.0, 12.0), (RENEWAL_S - 5.0, RENEWAL_S + 5.0))
SETUPS = {
    "a day": DAILY,
    "any hour": _setup(AN_HOUR),
    "both": _setup(A_DAY, AN_HOUR),
    "two minutes": _setup(ApiQuota(requests=500, window_s=120.0)),
    "MongoDB away": replace(DAILY, budget=DAILY.budget and replace(DAILY.budget, away=AWAY)),
    "deaths": replace(DAILY, life_s=30.0),
}


@pytest.mark.parametrize("name", SETUPS)
def test_no_period_has_more_than_the_quota_and_each_parameter_ends_once(name: str) -> None:
    """The API counts for itself, retries too: it never has to refuse, and every parameter has one outcome."""
    facts = SETUPS[name].simulate(5)

    assert facts.tally.sent > 2_000
    assert facts.tally.refused == 0
    for count in facts.quotas:
        assert 0.9 * count.quota.requests <= count.most <= count.quota.requests
    assert [(run.once, run.kinds.total()) for run in facts.runs] == [(run.parameters, run.parameters) for run in RUNS]


def test_fetches_defer_and_go_on_after_the_renewal() -> None:
    """No retry of Airflow's is used up by it, and next to nothing of a day's quota is left over."""
    facts = SETUPS["a day"].simulate(5)
    (count,) = facts.quotas

    renewals = (facts.tally.sent - 1) // PER_DAY
    assert list(count.by_day.values())[:-1] == [pytest.approx(PER_DAY, abs=0.01 * PER_DAY)] * renewals
    assert count.unused <= 0.01 * PER_DAY * renewals
    assert [run.tries for run in facts.runs] == [2, 3, 2]
    assert sum(run.deferrals for run in facts.runs) >= renewals
    assert facts.seconds <= RENEWAL_S + (renewals - 1) * DAY_S + facts.tally.sent % PER_DAY / 50 + 60


def test_without_a_budget_the_apis_refusals_say_when_to_come_again() -> None:
    """The tasks defer by themselves; what they have sent beyond the quota was refused."""
    facts = replace(SETUPS["a day"], budget=None).simulate(5)

    assert facts.tally.refused > 0
    assert facts.quotas[0].most == PER_DAY
    assert sum(run.once for run in facts.runs) == 2_000


def test_an_api_counts_exactly() -> None:
    """A day ends at midnight, UTC; any hour is a window that moves with each request."""
    day, hour = QuotaCount(ApiQuota(requests=2)), QuotaCount(ApiQuota(requests=2, window_s=3_600.0))
    for now_s in (0.0, 100.0):
        assert (day.wait_s(now_s), hour.wait_s(now_s)) == (0.0, 0.0)
        day.add(now_s)
        hour.add(now_s)
    assert (day.wait_s(200.0), hour.wait_s(200.0)) == (RENEWAL_S - 200.0, 3_400.0)
    assert (day.wait_s(RENEWAL_S), hour.wait_s(3_600.0)) == (0.0, 0.0)
    day.add(RENEWAL_S + DAY_S)
    assert (day.most, day.unused, hour.most) == (2, 0 + 2, 2)
