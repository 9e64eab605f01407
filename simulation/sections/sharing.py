"""Who gets how much of an API: two DAGs, and a nightly run beside a backfill, with a request budget and without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from airflow_fanout.control.budget_state import Rank
from bench.report import table
from simulation.api import ApiModel
from simulation.budget import BudgetModel
from simulation.facts import Facts
from simulation.section import Section, over_time, prose
from simulation.setup import RunModel, Setup

PER_S = 100
# A little more than the budget: with one, the API has nothing to refuse.
API = ApiModel(per_s=102, retry_after_s=1.0)
BUDGET = BudgetModel(per_s=PER_S)
FEW, MANY = 4, 16
# Between these seconds both DAGs have something to send.
FROM_S, UNTIL_S = 20, 200
PARAMETERS = 20_000
NIGHTLY = 6_000
BEGINS_S = 60.0
DAYS = 10
SHARDS = (1, 4, 8, 32)
STEP_S = 5

TWO = Setup(
    runs=(
        RunModel(name="few", parameters=PARAMETERS, shards=FEW),
        RunModel(name="many", parameters=PARAMETERS, shards=MANY),
    ),
    api=API,
)


def _nightly(shards: int, *, is_alone: bool) -> Setup:
    night = RunModel(name="nightly", parameters=NIGHTLY, shards=shards, begins_s=BEGINS_S)
    day = RunModel(name="backfill", parameters=NIGHTLY, shards=shards, rank=Rank.BACKFILL)
    # How the nightly run fares is known by then, whatever becomes of the rest.
    return Setup(runs=(night, *([] if is_alone else [day] * DAYS)), api=API, until_s=800.0)


def _name(shards: int, beside: str) -> str:
    return f"nightly, {shards} shards, {beside}"


SETUPS = {
    "two DAGs": TWO,
    "two DAGs, budget": replace(TWO, budget=BUDGET),
    **{
        _name(shards, beside): replace(_nightly(shards, is_alone=beside == "alone"), budget=budget)
        for shards in SHARDS
        for beside, budget in (("alone", BUDGET), ("beside", None), ("beside, budget", BUDGET))
    },
}


def section(facts: Mapping[str, Facts]) -> Section:
    """Return both comparisons."""
    return Section(
        title="Who gets how much",
        parts=[
            prose(f"""
                Two DAGs of {PARAMETERS:,} parameters each fetch from one API that accepts {API.per_s:g} requests
                per second. One has {FEW} shards, the other {MANY}. Their shares from second {FROM_S} to {UNTIL_S},
                without a request budget, and with one of {PER_S} per second and equal weights:
            """),
            table(
                ("", f"{FEW} shards", f"{MANY} shards", "of the first", "refused"),
                [_shares("without", facts["two DAGs"]), _shares("with a budget", facts["two DAGs, budget"])],
            ),
            prose(f"""
                A nightly run of {NIGHTLY:,} parameters begins {BEGINS_S:.0f} s after a backfill of {DAYS} days,
                each day with as many parameters and shards. How long it takes, against {NIGHTLY / PER_S:.0f} s
                alone with a budget:
            """),
            table(
                ("shards of each run", "alone", "beside, without a budget", "beside, with a budget", "times alone"),
                [_inversion(facts, shards) for shards in SHARDS],
            ),
            prose("""
                A run that begins waits until the slots are over that others hold already, for two to four
                seconds: only the tasks whose turn it is hold slots, about eight of them, however many there are.
            """),
        ],
        charts={
            "simulation-fairness.svg": over_time(
                "Requests per second of two DAGs",
                {
                    f"{run.name} shards{words}": run.tally.steps(STEP_S)[: 300 // STEP_S]
                    for words, each in (("", facts["two DAGs"]), (", budget", facts["two DAGs, budget"]))
                    for run in each.runs
                },
                STEP_S,
            ),
            "simulation-priority.svg": over_time(
                "Requests per second of a nightly run",
                {
                    beside: facts[_name(4, beside)].run.tally.steps(STEP_S)[: 400 // STEP_S]
                    for beside in ("alone", "beside", "beside, budget")
                },
                STEP_S,
            ),
        },
    )


def _shares(name: str, facts: Facts) -> tuple[str, ...]:
    few, many = (run.tally.rate(FROM_S, UNTIL_S) for run in facts.runs)
    return (
        name,
        f"{few:.1f} per second",
        f"{many:.1f} per second",
        f"{few / (few + many):.1%}",
        f"{facts.refused_share:.1%}",
    )


def _inversion(facts: Mapping[str, Facts], shards: int) -> tuple[str, ...]:
    alone, without, budget = (
        facts[_name(shards, beside)].run.seconds or 0.0 for beside in ("alone", "beside", "beside, budget")
    )
    unended = "more than 740 s"
    return (
        f"{shards}",
        f"{alone:.0f} s",
        f"{without:.0f} s" if without else unended,
        f"{budget:.0f} s" if budget else unended,
        f"{budget / alone:.2f}",
    )
