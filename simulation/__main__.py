"""`make simulate`: everything in virtual time, into simulation/RESULTS.md and the plots in docs/images."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bench.chart import Chart
from simulation.facts import Facts
from simulation.section import Question, Section, prose
from simulation.sections import budgets, deaths, nodes, outages, quotas, scale, settling, sharing
from simulation.setup import simulate_all

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "simulation" / "RESULTS.md"
PLOTS = ROOT / "docs" / "images"
SEED = 1
QUESTIONS = {
    module.__name__.rpartition(".")[2]: Question(module.SETUPS, module.section)
    for module in (scale, settling, sharing, budgets, quotas, outages, nodes, deaths)
}


def main() -> int:
    """Simulate what is asked for; write the page and the plots if that is everything."""
    options = _options()
    begun_s = time.perf_counter()
    questions = {name: QUESTIONS[name] for name in options.only}
    setups = {key: setup for question in questions.values() for key, setup in question.setups.items()}
    facts = simulate_all(setups, options.seed)
    sections = [question.section({key: facts[key] for key in question.setups}) for question in questions.values()]
    print(f"{len(setups)} simulations in {time.perf_counter() - begun_s:,.0f} s", file=sys.stderr)
    if lost := _not_once(facts):
        print(f"Not every parameter has exactly one outcome: {', '.join(lost)}", file=sys.stderr)
        return 1
    if set(questions) == set(QUESTIONS):
        RESULTS.write_text(page(sections, options.seed))
        for name, chart in _charts(sections).items():
            (PLOTS / name).write_text(chart.svg())
        print("Written:", RESULTS, *(PLOTS / name for name in _charts(sections)))
    else:
        print(page(sections, options.seed))
    return 0


def page(sections: list[Section], seed: int) -> str:
    """Return the results as a page."""
    parts = [
        "# Results of the simulation",
        prose("""
            Written by `make simulate`. What it means, and what it can't show:
            [docs/scaling.md](../docs/scaling.md#past-one-machine-a-simulation).
        """),
        f"Seed {seed}: the same seed gives the same page. All seconds are virtual.",
    ]
    for section in sections:
        plots = [f"![{chart.title}](../docs/images/{name})" for name, chart in section.charts.items()]
        parts += [f"## {section.title}", *section.parts, *plots]
    return "\n\n".join(parts) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate ARGS=…", description="Simulate the control loop.")
    parser.add_argument(
        "--seed", type=int, default=SEED, help="decides everything that is drawn (default: %(default)s)"
    )
    only = f"only these questions, printed: {', '.join(QUESTIONS)}"
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS), metavar="QUESTION", help=only)
    return parser.parse_args()


def _charts(sections: list[Section]) -> Mapping[str, Chart]:
    return {name: chart for section in sections for name, chart in section.charts.items()}


def _not_once(facts: Mapping[str, Facts]) -> list[str]:
    """Return the simulations in which a run has ended without exactly one outcome for each of its parameters."""
    return [
        name
        for name, each in facts.items()
        if any(run.seconds is not None and run.once != run.parameters for run in each.runs)
    ]


if __name__ == "__main__":
    sys.exit(main())
