"""What an outage costs beyond its own length, by how the server is away."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_fanout.model.outcome import Kind
from bench.chart import Chart
from bench.report import table
from simulation.api import Absence, ApiModel, Away
from simulation.facts import Facts
from simulation.section import Section, prose, ticks
from simulation.setup import RunModel, Setup

PARAMETERS = 25_000
SHARDS = 4
LATENCY_S = 0.2
SINCE_S = 20.0
LENGTHS_S = (10, 30, 60, 120, 240, 400)
WORDS = {
    Absence.REFUSES: "connections refused",
    Absence.UNAVAILABLE: "503",
    Absence.SILENT: "no answer",
}
NONE = "no outage"


def _name(how: Absence, length_s: int) -> str:
    return f"{WORDS[how]} for {length_s} s"


def _setup(*away: Away) -> Setup:
    return Setup(
        runs=(RunModel(parameters=PARAMETERS, shards=SHARDS),),
        api=ApiModel(latency_s=LATENCY_S, away=away, timeout_s=30.0),
    )


SETUPS = {
    NONE: _setup(),
    **{
        _name(how, length_s): _setup(Away(SINCE_S, SINCE_S + length_s, how))
        for how in Absence
        for length_s in LENGTHS_S
    },
}


def section(facts: Mapping[str, Facts]) -> Section:
    """Return the costs by length, as a table for one length and a plot for all."""
    head = ("outage", "all done after", "beyond its length", "requests during it", "sent again", "tries", "failed")
    shown = [(_name(how, length_s), length_s) for how in Absence for length_s in (60, 400)]
    rows = [_row(name, facts[name], length_s, facts[NONE].seconds) for name, length_s in [(NONE, 0), *shown]]
    return Section(
        title="What an outage costs",
        parts=[
            prose(f"""
                A run of {PARAMETERS:,} parameters in {SHARDS} shards, {LATENCY_S * 1000:.0f} ms; after {SINCE_S:.0f} s
                the API is away. An outage that is longer than `Breaker(outage_s=…)`, 300 s, ends the tasks; their
                next try comes after Airflow's `retry_delay`, 300 s by default.
            """),
            table(head, rows),
        ],
        charts={"simulation-outages.svg": _chart(facts)},
    )


def _row(name: str, facts: Facts, length_s: int, usual_s: float) -> tuple[str, ...]:
    run = facts.run
    during = sum(facts.tally.by_second[int(SINCE_S) : int(SINCE_S) + length_s])
    return (
        name,
        f"{facts.seconds:,.0f} s",
        f"{facts.seconds - usual_s - length_s:+,.1f} s" if length_s else "",
        f"{during:,}" if length_s else "",
        f"{run.repeated:,}",
        f"{run.tries}",
        f"{run.parameters - run.kinds[Kind.OK]}",
    )


def _chart(facts: Mapping[str, Facts]) -> Chart:
    usual_s = facts[NONE].seconds
    lines = {
        WORDS[how]: [max(0.0, facts[_name(how, length_s)].seconds - usual_s - length_s) for length_s in LENGTHS_S]
        for how in Absence
    }
    return Chart(
        title="Seconds that an outage costs beyond its own length",
        x_title="length of the outage, seconds",
        x_labels=[f"{length_s}" for length_s in LENGTHS_S],
        lines=lines,
        ticks=ticks(max(max(values) for values in lines.values())),
    )
