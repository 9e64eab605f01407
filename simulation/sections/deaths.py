"""What dying workers cost: requests sent twice, and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bench.report import table
from simulation.api import ApiModel
from simulation.facts import Facts
from simulation.section import Section, prose
from simulation.setup import RunModel, Setup

PARAMETERS = 200_000
SHARDS, WORKERS, SLOTS = 40, 8, 10
PER_S = 200
# How long a worker lives on average, in seconds.
LIVES_S = {"one in ten minutes": WORKERS * 600.0, "one in a minute": WORKERS * 60.0}
STAGED_S = {"a folder": 1.0, "an object store": 10.0}
NONE = "dying workers: none"
ALIVE = Setup(
    runs=(RunModel(parameters=PARAMETERS, shards=SHARDS),),
    api=ApiModel(per_s=PER_S, retry_after_s=1.0),
    workers=WORKERS,
    slots=SLOTS,
)


def _name(deaths: str, staging: str) -> str:
    return f"dying workers: {deaths}, {staging}"


SETUPS = {
    NONE: ALIVE,
    **{
        _name(deaths, staging): replace(ALIVE, life_s=life_s, staged_after_s=staged_s)
        for deaths, life_s in LIVES_S.items()
        for staging, staged_s in STAGED_S.items()
    },
}


def section(facts: Mapping[str, Facts]) -> Section:
    """Return what is sent twice for each death, against the bound."""
    head = ("deaths", "staging", "workers lost", "outcomes lost", "for each death", "at most", "all done after", "once")
    rows = [
        ("none", "", *_row(facts[NONE], 0.0)),
        *(
            (deaths, staging, *_row(facts[_name(deaths, staging)], staged_s))
            for deaths in LIVES_S
            for staging, staged_s in STAGED_S.items()
        ),
    ]
    return Section(
        title="Dying workers",
        parts=[
            prose(f"""
                {PARAMETERS:,} parameters in {SHARDS} shards on {WORKERS} workers, at {PER_S} requests per second. A
                worker dies with its disk. After Airflow's `task_instance_heartbeat_timeout` (300 s) its tasks begin
                another try elsewhere. Lost is what hadn't been staged: the last second in a common folder, the last
                10 s in an object store. *At most* is that time at the rate of a full worker's shards. *Once*: every
                parameter has exactly one outcome in the end.
            """),
            table(head, rows),
        ],
    )


def _row(facts: Facts, staged_s: float) -> tuple[str, ...]:
    run = facts.run
    bound = staged_s * PER_S / (SHARDS / SLOTS)
    return (
        f"{facts.deaths}",
        f"{run.lost:,}",
        f"{run.lost / facts.deaths:,.0f}" if facts.deaths else "",
        f"{bound:,.0f}" if facts.deaths else "",
        f"{facts.seconds:,.0f} s",
        "yes" if run.once == run.parameters else f"**no: {run.once:,}**",
    )
