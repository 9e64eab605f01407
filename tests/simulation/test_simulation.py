"""The simulation: nothing gets lost in it, it repeats itself, and a part of an installation fares as the whole."""

from __future__ import annotations

import re
from dataclasses import replace
from statistics import fmean

import pytest

from airflow_fanout.control.budget_state import Rank
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import FetchSettings, Throttle
from simulation.__main__ import PLOTS, QUESTIONS, RESULTS, SEED
from simulation.api import Absence, ApiModel, Away
from simulation.budget import BudgetModel
from simulation.facts import Facts
from simulation.section import over_time, ticks
from simulation.sections.scale import FIGURES
from simulation.sections.settling import settled_after
from simulation.setup import RunModel, Setup
from simulation.tally import Tally, evenness
from simulation.world import World

SEEDS = range(1, 7)
PLAIN = Setup(runs=(RunModel(parameters=2_000, shards=4),))
TROUBLES = {
    "none": PLAIN,
    "refusals": replace(PLAIN, api=ApiModel(per_s=100, retry_after_s=1.0)),
    "errors": replace(PLAIN, api=ApiModel(failing_share=0.1, unknown_share=0.05)),
    "hangs": replace(PLAIN, api=ApiModel(slow_share=0.02, slow_factor=1e6)),
    **{f"{how.name}": replace(PLAIN, api=ApiModel(away=(Away(1.0, 20.0, how),))) for how in Absence},
    "a long outage": replace(PLAIN, api=ApiModel(away=(Away(1.0, 400.0),))),
    "too few workers": replace(PLAIN, workers=1, slots=1),
    "a budget": replace(PLAIN, budget=BudgetModel(per_s=100)),
    "a budget, an outage": replace(PLAIN, budget=BudgetModel(per_s=100), api=ApiModel(away=(Away(5.0, 25.0),))),
    "a budget, few places": replace(PLAIN, budget=BudgetModel(per_s=100, at_once=3)),
    "a budget, MongoDB away": replace(PLAIN, budget=BudgetModel(per_s=100, away=((5.0, 15.0),))),
    "a budget, deaths": replace(PLAIN, budget=BudgetModel(per_s=20), workers=2, slots=2, life_s=60.0),
    "deaths": replace(PLAIN, api=ApiModel(per_s=20), workers=2, slots=2, life_s=60.0),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_parameter_ends_exactly_once(trouble: str) -> None:
    """Whatever an API and the workers do, a run ends with one outcome for each of its parameters."""
    facts = TROUBLES[trouble].simulate(seed=3)
    run = facts.run

    assert run.seconds is not None
    assert (run.once, run.kinds.total()) == (2_000, 2_000)
    assert facts.tally.sent == run.tally.sent == 2_000 + run.repeated
    assert run.repeated >= run.lost


def test_the_unknown_parameters_are_the_same_ones_in_each_run() -> None:
    """A share of the parameters gets 404, each after one request, whatever else is drawn."""
    setup = replace(PLAIN, api=ApiModel(unknown_share=0.05))
    facts = [setup.simulate(seed) for seed in (1, 2)]

    unknown = [each.run.kinds[Kind.HTTP_ERROR] for each in facts]
    assert unknown[0] == unknown[1] == pytest.approx(100, abs=5)
    assert [each.tally.sent for each in facts] == [2_000, 2_000]


def test_workers_die_and_others_take_over() -> None:
    """What a dead worker hadn't staged is requested again, and no more than that and what was under way."""
    facts = replace(TROUBLES["deaths"], staged_after_s=2.0).simulate(seed=3)
    run = facts.run

    assert facts.deaths > 0
    assert run.tries > 4
    assert 0 < run.lost <= facts.deaths * 2.0 * 20
    assert run.repeated <= run.lost + facts.tally.refused + facts.deaths * 2 * 32


@pytest.mark.parametrize("trouble", ["refusals", "deaths", "SILENT", "a budget, deaths", "a budget, MongoDB away"])
def test_a_seed_gives_the_same_again(trouble: str) -> None:
    """The same seed gives the same requests in each second; another seed doesn't."""
    first, again, other = (TROUBLES[trouble].simulate(seed).tally.by_second for seed in (1, 1, 2))

    assert first == again != other


def test_the_authors_rate_is_kept_in_every_second() -> None:
    """Each of four shards has a rate of its own: no second has more than four times the rate."""
    settings = FetchSettings(throttle=Throttle(rate_per_s=25))
    facts = Setup(runs=(RunModel(parameters=2_000, shards=4, settings=settings),)).simulate(1)

    assert max(facts.tally.by_second) <= 100
    assert facts.tally.rate(2, 15) >= 93


@pytest.mark.parametrize("trouble", [name for name in TROUBLES if "budget" in name])
def test_a_budget_is_kept_in_every_window(trouble: str) -> None:
    """Whatever goes wrong: in any five seconds at most 102 %, and MongoDB is asked at most five times a second."""
    setup = TROUBLES[trouble]
    facts = setup.simulate(2)
    assert setup.budget is not None
    seconds, most = facts.tally.by_second, 1.02 * 5 * setup.budget.per_s + 1

    assert max(sum(seconds[second : second + 5]) for second in range(len(seconds))) <= most
    assert len([moment for moment in facts.asks_s if moment >= 5.0]) <= 5 * max(1.0, len(seconds) - 5)


def test_two_dags_have_equal_shares_however_many_shards_they_have() -> None:
    """One of two shards and one of six: each has half of the budget, within five per cent."""
    few, many = (RunModel(name=name, parameters=3_000, shards=shards) for name, shards in (("few", 2), ("many", 6)))
    facts = Setup(runs=(few, many), budget=BudgetModel(per_s=100), until_s=50.0).simulate(1)

    rates = [run.tally.rate(10, 48) for run in facts.runs]
    assert rates == [pytest.approx(50, rel=0.05)] * 2


def test_a_nightly_run_goes_before_a_backfill() -> None:
    """Beside three days of a backfill it takes at most 1.2 times as long as alone; nothing of the budget is left."""
    night = RunModel(name="nightly", parameters=3_000, shards=2, begins_s=10.0)
    days = [RunModel(name="backfill", parameters=3_000, shards=2, rank=Rank.BACKFILL)] * 3
    alone, beside = (Setup(runs=runs, budget=BudgetModel(per_s=100)).simulate(1) for runs in ((night,), (night, *days)))

    assert (beside.run.seconds or 0.0) <= 1.2 * (alone.run.seconds or 0.0)
    assert beside.tally.rate(5, 110) >= 97


def test_after_an_outage_the_whole_budget_is_used_again() -> None:
    """While the API was away, the fetches asked for little; soon after, they have as much as before."""
    setup = Setup(
        runs=(RunModel(parameters=6_000, shards=4),),
        budget=BudgetModel(per_s=100),
        api=ApiModel(away=(Away(10.0, 25.0),)),
    )
    facts = setup.simulate(1)

    assert facts.tally.rate(12, 24) <= 5
    assert facts.tally.rate(45, 65) >= 97


def test_a_server_accepts_what_it_allows() -> None:
    """In each second, what isn't refused is at most what the model accepts."""
    facts = replace(PLAIN, api=ApiModel(per_s=50)).simulate(1)

    assert facts.tally.refused > 0
    assert facts.tally.sent - facts.tally.refused == 2_000
    assert facts.seconds >= 2_000 / 50 - 1


def test_a_part_is_a_share_of_the_shards_and_of_the_apis_limit() -> None:
    """What a shard has, and what it may expect of the API, is as in the whole."""
    whole = Setup(runs=(RunModel(parameters=20_000, shards=40),), api=ApiModel(per_s=500), workers=8)
    part = whole.scaled(4, draw=2)

    assert (part.runs[0].parameters, part.runs[0].shards) == (5_000, 10)
    assert (part.api.per_s, part.workers, part.draw) == (125, 2, 2)
    assert whole.scaled(4, draw=1).simulate(1).tally.by_second != part.simulate(1).tally.by_second


def test_the_parts_together_fare_as_the_whole() -> None:
    """Eighty shards one by one, and four parts of twenty: over six seeds, all figures agree within a few per cent."""
    run, api = RunModel(parameters=8_000, shards=80), ApiModel(per_s=1_600, retry_after_s=1.0, failing_share=0.01)
    whole = Setup(runs=(run,), api=api)
    wholes = [whole.simulate(seed) for seed in SEEDS]
    together = [Facts.of_parts([whole.scaled(4, draw).simulate(seed) for draw in range(4)]) for seed in SEEDS]

    assert {(facts.run.once, len(facts.run.shards)) for facts in (*wholes, *together)} == {(8_000, 80)}
    for name, (figure, _) in FIGURES.items():
        before, after = (fmean(map(figure, several)) for several in (wholes, together))
        tolerance = {"abs": 0.005} if name in ("refused", "repeated") else {"rel": 0.06}
        assert after == pytest.approx(before, **tolerance), name


def test_events_come_in_order() -> None:
    """By their moments, then in the order in which they were planned; what is beyond the end doesn't happen."""
    world, seen = World(0), []
    for wait_s, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (5.0, "never")):
        world.after(wait_s, seen.append, name)
    world.run(until_s=4.0)

    assert (seen, world.now_s) == (["a", "b", "c"], 2.0)


def test_a_tally_counts_by_second() -> None:
    """Requests are counted in the second in which they are sent; several tallies add up."""
    first, second = Tally(), Tally()
    for moment in (0.0, 0.9, 2.5):
        first.add(moment)
    second.add(1.0)
    second.refuse()
    both = Tally.sum([first, second])

    assert (both.sent, both.refused, both.by_second) == (4, 1, [2, 1, 1])
    assert (both.rate(0, 2), both.steps(2)) == (1.5, [1.5])
    assert (both.reached(0.5), both.reached(0.75), both.reached(1.0)) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(("rates", "index"), [([5, 5], 1.0), ([1, 0, 0, 0], 0.25), ([], 1.0), ([0, 0], 1.0)])
def test_evenness_is_jains_index(rates: list[float], index: float) -> None:
    """All the same is 1; everything for one of four is a quarter."""
    assert evenness(rates) == index


def test_settled_is_from_the_last_disturbance_on() -> None:
    """Before the first window of which no later one is out of bounds."""
    assert settled_after([0] * 10 + [100] * 40, 100) in range(7, 11)
    assert settled_after([100] * 40, 100) == 0
    assert settled_after([100] * 20 + [50] * 40, 100) is None


@pytest.mark.parametrize("most", [0.0, 0.7, 1.0, 99.0, 101.0, 20_000.0])
def test_an_axis_has_round_values_up_to_the_most(most: float) -> None:
    """It begins with 0, has two to eight values, and only the last reaches the most."""
    values = ticks(most)
    assert values[0] == 0
    assert values[-2] < max(most, 1e-9) <= values[-1]
    assert 2 <= len(values) <= 8


def test_a_chart_over_time_names_a_few_of_its_moments() -> None:
    """At most eight names, the first at 0; a shorter line ends before the others."""
    chart = over_time("t", {"long": [1.0] * 50, "short": [1.0] * 10}, 2)
    named = [label for label in chart.x_labels if label]

    assert named[0] == "0"
    assert 3 <= len(named) <= 8
    assert [len(line) for line in chart.lines.values()] == [50, 50]


def test_the_results_in_the_repository_are_those_of_the_questions() -> None:
    """Each question has its section, each plot its file; names of simulations are used once."""
    page = RESULTS.read_text()
    plots = re.findall(r"\(\.\./docs/images/([\w.-]+)\)", page)
    names = [name for question in QUESTIONS.values() for name in question.setups]

    assert f"Seed {SEED}:" in page
    assert page.count("\n## ") == len(QUESTIONS)
    assert plots
    assert [name for name in plots if not (PLOTS / name).is_file()] == []
    assert len(set(names)) == len(names)
    assert "**no" not in page
