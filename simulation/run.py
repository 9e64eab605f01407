"""A run of a report in virtual time: a list in shards, each of them a task that may need several tries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.errors import BudgetWait
from airflow_fanout.launch.messages import Ended
from airflow_fanout.launch.resumption import resumption
from airflow_fanout.launch.stop_reasons import Finished, StopReason
from airflow_fanout.model.outcome import Kind, Record
from simulation.api import Api
from simulation.budget import Ledger, Parent
from simulation.engine import VirtualEngine
from simulation.tally import Tally
from simulation.workers import Workers
from simulation.world import World

if TYPE_CHECKING:
    from airflow_fanout.launch.engines import Engines
    from simulation.setup import RunModel

# Airflow's own default, in seconds.
RETRY_DELAY_S = 300.0


class Run:
    """One run: `ended` counts for each parameter how many outcomes of it were kept, which is one in the end.

    :param model: what it is like.
    :param staged_after_s: a dying worker loses the outcomes of at most this number of seconds, the last ones.
    :param ledger: keeps the budget of the API, if it has one.

    `lost` counts the outcomes that were lost with a worker, `tries` the tries of all tasks, and `deferrals` how often
    one of them has given its worker slot back; `ended_s` is the moment at which the last task has ended.
    """

    def __init__(
        self,
        world: World,
        api: Api,
        model: RunModel,
        *,
        staged_after_s: float,
        ledger: Ledger | None = None,
    ) -> None:
        self.world, self.api, self.model = world, api, model
        self.staged_after_s, self.ledger = staged_after_s, ledger
        self.ended = bytearray(model.parameters)
        self.kinds: Counter[Kind] = Counter()
        self.lost = self.tries = self.deferrals = 0
        self.ended_s: float | None = None
        cuts = [model.parameters * shard // model.shards for shard in range(model.shards + 1)]
        self.tasks = [Fetch(self, range(*ends)) for ends in pairwise(cuts)]
        self._open = model.shards

    def submit(self, workers: Workers) -> None:
        """Queue all of its tasks."""
        for task in self.tasks:
            workers.submit(task)

    def task_ended(self) -> None:
        """Note that a task has all of its outcomes."""
        self._open -= 1
        if not self._open:
            self.ended_s = self.world.now_s


class Fetch:
    """A task: it fetches a shard, and what is missing of it in each further try, and after each deferral.

    `ended_s` is the moment at which it has all of its outcomes.
    """

    def __init__(self, run: Run, indexes: range) -> None:
        self._run, self._indexes = run, indexes
        self._engine: VirtualEngine | None = None
        self._unstaged: list[tuple[int, Kind]] = []
        self._stages_s = 0.0
        self._is_deferred, self._stalled = False, 0
        self.ended_s: float | None = None
        self.tally = Tally()

    def begin(self, workers: Workers) -> None:
        """Begin a try, or go on with one: request what has no outcome yet."""
        run = self._run
        run.tries += not self._is_deferred
        self._is_deferred = False
        parent = None
        if run.ledger is not None:
            model = run.model
            parent = Parent(
                run.world, run.ledger, model.settings, rank=model.rank, queue=model.name, shards=model.shards
            )

        def end(reason: Finished | StopReason) -> None:
            if parent is not None:
                parent.end()
            self._unstaged.clear()
            workers.free(self)
            if isinstance(reason, Finished):
                self.ended_s = run.world.now_s
                run.task_ended()
            else:
                workers.submit_later(self, self._pause_s(reason, engine))

        missing = [index for index in self._indexes if not run.ended[index]]
        self._engine = engine = VirtualEngine(
            run.world,
            run.api,
            run.model.settings,
            missing,
            tally=self.tally,
            write=self._write,
            end=end,
            budget=parent.budget if parent is not None else None,
        )
        if parent is not None:
            parent.begin(engine)

    def _pause_s(self, reason: StopReason, engine: VirtualEngine) -> float:
        """Return when Airflow begins the task again after such an end, in seconds: it defers, or the try has failed."""
        run = self._run
        try:
            progress_at_end(Ended(reason, engine.progress()), cast("Engines", None))
        except BudgetWait as wait:
            moment, self._stalled = resumption(wait, run.world.date(), self._stalled)
            self._is_deferred = True
            run.deferrals += 1
            return (moment - run.world.date()).total_seconds()
        except FanoutError:
            return RETRY_DELAY_S
        raise AssertionError(reason)

    def kill(self) -> None:
        """End the try as its worker dies: what wasn't staged is lost."""
        if self._engine is not None:
            self._engine.kill()
        for index, kind in self._unstaged:
            self._run.ended[index] -= 1
            self._run.kinds[kind] -= 1
        self._run.lost += len(self._unstaged)
        self._unstaged.clear()

    def _write(self, records: Sequence[Record]) -> None:
        run = self._run
        if run.world.now_s >= self._stages_s:
            self._unstaged.clear()
            self._stages_s = run.world.now_s + run.staged_after_s
        for record in records:
            run.ended[record.index] += 1
            run.kinds[record.kind] += 1
            self._unstaged.append((record.index, record.kind))
