"""A whole installation: reports, workers and an API, simulated one by one or by scaling."""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

from airflow_fanout.control.budget_state import Rank
from airflow_fanout.model.settings import FetchSettings
from simulation.api import Api, ApiModel
from simulation.budget import BudgetModel, Ledger
from simulation.facts import Facts
from simulation.run import Run
from simulation.workers import Workers
from simulation.world import World

# This machine has two cores; each simulation needs one.
PROCESSES = 2


@dataclass(frozen=True, kw_only=True)
class RunModel:
    """A run of a report; its `name` is that of its queue in a budget, its `rank` that in the budget.

    :param parameters: how many it has.
    :param shards: how many tasks they are cut into.
    :param begins_s: when its tasks are queued, in seconds from the beginning.
    """

    name: str = "report"
    parameters: int
    shards: int
    rank: Rank = Rank.NIGHTLY
    begins_s: float = 0.0
    settings: FetchSettings = field(default_factory=FetchSettings)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Runs that fetch from one API, by its request budget if it has one.

    :param workers: how many workers there are, each with `slots` tasks at once; enough for all, if not given.
    :param life_s: how long a worker lives on average, or `None` for ever.
    :param staged_after_s: a dying worker loses the outcomes of at most this number of seconds, the last ones.
    :param until_s: when to stop looking.
    :param draw: each number gives another course of the same, by other chances.
    """

    runs: tuple[RunModel, ...]
    api: ApiModel = field(default_factory=ApiModel)
    budget: BudgetModel | None = None
    workers: int | None = None
    slots: int = 10
    life_s: float | None = None
    staged_after_s: float = 10.0
    until_s: float = math.inf
    draw: int = 0

    @property
    def parameters(self) -> int:
        """How many parameters all runs have."""
        return sum(run.parameters for run in self.runs)

    def scaled(self, times: int, draw: int = 0) -> Setup:
        """Return one of as many parts of it, with as large a part of the shards, the workers and the API's limits.

        Shards differ only by chance, and meet only at the API: a part of them with its part of the API's limits fares
        as all do. What an engine decides by is not scaled, so it decides as in the whole.

        :param draw: which of the parts.
        """
        runs = (replace(run, parameters=run.parameters // times, shards=run.shards // times) for run in self.runs)
        api = replace(
            self.api,
            per_s=self.api.per_s and self.api.per_s / times,
            carries=self.api.carries and self.api.carries // times,
        )
        return replace(self, runs=tuple(runs), api=api, workers=self.workers and self.workers // times, draw=draw)

    def simulate(self, seed: int) -> Facts:
        """Let all of it happen, and return what has come of it."""
        seed += 1_000 * self.draw
        world = World(seed)
        # What the package draws by itself is as determined.
        random.seed(seed)
        api = Api(world, self.api)
        count = self.workers or -(-sum(run.shards for run in self.runs) // self.slots)
        workers = Workers(world, count=count, slots=self.slots, life_s=self.life_s)
        ledger = Ledger(world, self.budget) if self.budget is not None else None
        runs = [Run(world, api, model, staged_after_s=self.staged_after_s, ledger=ledger) for model in self.runs]
        for run in runs:
            world.after(run.model.begins_s, run.submit, workers)
        # Nothing here makes cycles that would have to be found.
        gc.disable()
        try:
            world.run(self.until_s)
        finally:
            gc.enable()
        return Facts.of(api, workers, runs, ledger.asks_s if ledger else ())


def simulate_all(setups: Mapping[str, Setup], seed: int) -> dict[str, Facts]:
    """Simulate several, side by side, the largest first; return what has come of each, by its name."""
    names = sorted(setups, key=lambda name: -setups[name].parameters)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        futures = {name: processes.submit(setups[name].simulate, seed) for name in names}
        return {name: futures[name].result() for name in setups}
