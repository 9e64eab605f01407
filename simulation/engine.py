"""An engine in virtual time: the package's own queue, traffic and settlement; only the requests are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from airflow_fanout.control.budget import RequestBudget
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.driver import GRACE_S
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.run import TICK_S
from airflow_fanout.engine.settlement import Attempt, Settlement, SettlementRules
from airflow_fanout.engine.work import Task, WorkQueue
from airflow_fanout.launch.stop_reasons import Finished, LongPause, StopReason
from airflow_fanout.model.outcome import Outcome, Record
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.settings import FetchSettings
from simulation.api import Api
from simulation.tally import Tally
from simulation.world import World

End = Callable[[Finished | StopReason], None]


class VirtualEngine:
    """Sends requests as the pump does, to a modelled API, until all of its parameters have ended.

    :param indexes: the parameters.
    :param tally: counts its requests.
    :param write: takes the records of those that have ended.
    :param end: called once, when it has ended, with the reason.
    :param budget: how many requests may be sent; by the settings' rate, if not given.
    """

    def __init__(
        self,
        world: World,
        api: Api,
        settings: FetchSettings,
        indexes: Sequence[int],
        *,
        tally: Tally,
        write: Callable[[Sequence[Record]], None],
        end: End,
        budget: RequestBudget | None = None,
    ) -> None:
        self._world, self._api = world, api
        self.traffic = Traffic(settings, budget)
        self._work = WorkQueue(((index, None) for index in indexes), clock=world.clock, room=self.traffic.room_for_new)
        self._meter = Meter(total=len(indexes), resumed=0, clock=world.clock)
        self._settlement = Settlement(
            work=self._work,
            traffic=self.traffic,
            rules=SettlementRules(settings=settings, repeatable=True, uniform=world.chance.uniform, clock=world.clock),
            meter=self._meter,
            write=write,
            stop=self.stop,
        )
        self._tally = tally
        self._end = end
        self._reason: StopReason | None = None
        self._wakes_s = math.inf
        self.is_over = False
        world.after(0.0, self._start)
        world.after(TICK_S, self._tick)

    def kill(self) -> None:
        """End it as SIGKILL does: what is under way is answered, and nobody hears it."""
        self.is_over = True

    def progress(self) -> Progress:
        """Return what is done so far."""
        return self._meter.progress(in_flight=self.traffic.in_flight, waiting=self._work.waiting)

    def stop(self, reason: StopReason, grace_s: float = GRACE_S) -> None:
        """Take no more work, and give up what is under way after the grace, in seconds; the first reason counts."""
        if self._reason is None:
            self._reason = reason
            self._work.stop()
            self._world.after(0.0, self._start)
            self._world.after(grace_s, self._finish)

    def wake(self) -> None:
        """Look at the work again: requests may be sent that had to wait."""
        self._start(None)

    def _start(self, _about: None) -> None:
        """Send what may be sent, and plan when to look again."""
        if self.is_over:
            return
        traffic, work, now = self.traffic, self._work, self._world.now_s
        if not work.in_flight and (work.stopped or work.is_over()):
            self._finish()
            return
        wait_s = math.inf
        while not work.stopped:
            if wait_s := traffic.wait_s(now):
                break
            tasks = work.poll(traffic.room)
            if not tasks:
                wait_s = work.due_s()
                break
            traffic.begin(now, len(tasks))
            for task in tasks:
                self._send(task, now)
        self._wake_after(wait_s)

    def _send(self, task: Task, now_s: float) -> None:
        takes_s, outcome = self._api.answer(task.index, self._tally)
        self._world.after(takes_s, self._collect, (task, outcome, now_s))

    def _collect(self, sent: tuple[Task, Outcome, float]) -> None:
        self._api.left()
        if self.is_over:
            return
        task, outcome, begun_s = sent
        self._settlement.add_all((Attempt(task, outcome, begun_s),))
        self._start(None)

    def _wake_after(self, wait_s: float) -> None:
        """Plan to look again after a wait, unless that is planned already; infinity is until a request has ended."""
        now = self._world.now_s
        if wait_s < math.inf and not now < self._wakes_s <= now + wait_s:
            self._wakes_s = now + wait_s
            self._world.after(wait_s, self._start)

    def _tick(self, _about: None) -> None:
        if not self.is_over:
            self._settlement.look()
            self._world.after(TICK_S, self._tick)

    def _finish(self, _about: None = None) -> None:
        if self.is_over:
            return
        self.is_over = True
        reached = self.progress()
        # A pause that the last answer of all has asked for is nothing to wait for.
        is_done = isinstance(self._reason, LongPause) and reached.done == reached.total
        self._end(Finished() if self._reason is None or is_done else self._reason)
