"""What has come of a simulation, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_fanout.model.outcome import Kind
from simulation.api import Api
from simulation.quotas import QuotaCount
from simulation.run import Run
from simulation.tally import Tally
from simulation.workers import Workers


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What has come of a run.

    :param seconds: how long it has taken; `None` if it hasn't ended.
    :param parameters: how many it has, and `once` how many of them have exactly one outcome.
    :param lost: how many outcomes were lost with a worker, and requested again.
    :param tries: the tries of all of its tasks; `deferrals` is how often one has given its worker slot back.
    :param shards: how long each of its tasks has taken, in seconds, or was under way so far; `rates` are the requests
        per second of each while all were under way.
    """

    name: str
    seconds: float | None
    parameters: int
    once: int
    lost: int
    tries: int
    deferrals: int
    kinds: Counter[Kind]
    tally: Tally
    shards: Sequence[float]
    rates: Sequence[float]

    @classmethod
    def of(cls, run: Run) -> RunFacts:
        """Return the facts of a run."""
        common = max(1, min(len(task.tally.by_second) for task in run.tasks))
        ends_s = [run.world.now_s if task.ended_s is None else task.ended_s for task in run.tasks]
        return cls(
            name=run.model.name,
            seconds=None if run.ended_s is None else run.ended_s - run.model.begins_s,
            parameters=len(run.ended),
            once=run.ended.count(1),
            lost=run.lost,
            tries=run.tries,
            deferrals=run.deferrals,
            kinds=+run.kinds,
            tally=Tally.sum([task.tally for task in run.tasks]),
            shards=[end_s - run.model.begins_s for end_s in ends_s],
            rates=[task.tally.rate(0, common) for task in run.tasks],
        )

    @classmethod
    def of_parts(cls, parts: Sequence[RunFacts]) -> RunFacts:
        """Return the facts of a run whose parts were simulated each by itself."""
        seconds = [part.seconds for part in parts if part.seconds is not None]
        return cls(
            name=parts[0].name,
            seconds=max(seconds) if len(seconds) == len(parts) else None,
            parameters=sum(part.parameters for part in parts),
            once=sum(part.once for part in parts),
            lost=sum(part.lost for part in parts),
            tries=sum(part.tries for part in parts),
            deferrals=sum(part.deferrals for part in parts),
            kinds=sum((part.kinds for part in parts), Counter[Kind]()),
            tally=Tally.sum([part.tally for part in parts]),
            shards=[shard_s for part in parts for shard_s in part.shards],
            rates=[rate for part in parts for rate in part.rates],
        )

    @property
    def repeated(self) -> int:
        """How many requests were sent besides the first one for each parameter."""
        return self.tally.sent - self.parameters


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What has come of a whole setup: of the API and the workers, and of each run.

    :param asks_s: when the budget was asked.
    :param quotas: what the API has counted for each of its quotas.
    """

    tally: Tally
    deaths: int
    runs: Sequence[RunFacts]
    asks_s: Sequence[float] = ()
    quotas: Sequence[QuotaCount] = ()

    @classmethod
    def of(cls, api: Api, workers: Workers, runs: Sequence[Run], asks_s: Sequence[float]) -> Facts:
        """Return the facts of a simulation that has ended."""
        of_runs = [RunFacts.of(run) for run in runs]
        return cls(tally=api.tally, deaths=workers.deaths, runs=of_runs, asks_s=asks_s, quotas=api.quotas)

    @classmethod
    def of_parts(cls, parts: Sequence[Facts]) -> Facts:
        """Return the facts of an installation whose parts were simulated each by itself, one run of one API in each."""
        return cls(
            tally=Tally.sum([part.tally for part in parts]),
            deaths=sum(part.deaths for part in parts),
            runs=[RunFacts.of_parts([part.run for part in parts])],
        )

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
