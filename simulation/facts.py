"""What has come of a simulation, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_fanout.model.outcome import Kind
from simulation.api import Api
from simulation.run import Run
from simulation.tally import Tally
from simulation.workers import Workers


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What has come of a run.

    :param seconds: how long it has taken; `None` if it hasn't ended.
    :param parameters: how many it has, and `once` how many of them have exactly one outcome.
    :param lost: how many outcomes were lost with a worker, and requested again.
    :param tries: the tries of all of its tasks.
    :param shards: how long each of its tasks has taken, in seconds; `rates` are the requests per second of each while
        all were under way.
    """

    name: str
    seconds: float | None
    parameters: int
    once: int
    lost: int
    tries: int
    kinds: Counter[Kind]
    tally: Tally
    shards: Sequence[float]
    rates: Sequence[float]

    @classmethod
    def of(cls, run: Run) -> RunFacts:
        """Return the facts of a run."""
        lengths = [len(task.tally.by_second) for task in run.tasks]
        common = max(1, min(lengths))
        return cls(
            name=run.model.name,
            seconds=None if run.ended_s is None else run.ended_s - run.model.begins_s,
            parameters=len(run.ended),
            once=run.ended.count(1),
            lost=run.lost,
            tries=run.tries,
            kinds=+run.kinds,
            tally=Tally.sum([task.tally for task in run.tasks]),
            shards=[length - run.model.begins_s for length in lengths],
            rates=[task.tally.rate(0, common) for task in run.tasks],
        )

    @property
    def repeated(self) -> int:
        """How many requests were sent besides the first one for each parameter."""
        return self.tally.sent - self.parameters


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What has come of a whole setup: of the API and the workers, and of each run; when the budget was asked."""

    tally: Tally
    deaths: int
    runs: Sequence[RunFacts]
    asks_s: Sequence[float] = ()

    @classmethod
    def of(cls, api: Api, workers: Workers, runs: Sequence[Run], asks_s: Sequence[float]) -> Facts:
        """Return the facts of a simulation that has ended."""
        of_runs = [RunFacts.of(run) for run in runs]
        return cls(tally=api.tally, deaths=workers.deaths, runs=of_runs, asks_s=asks_s)

    @property
    def run(self) -> RunFacts:
        """The first run."""
        return self.runs[0]

    @property
    def seconds(self) -> float:
        """How long the longest run has taken."""
        return max(run.seconds or 0.0 for run in self.runs)

    @property
    def refused_share(self) -> float:
        """The share of the requests that got 429."""
        return self.tally.refused / self.tally.sent
