"""Notices what a fetch waits for, and since when."""

from __future__ import annotations

import math
import time

from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.work import WorkQueue
from airflow_fanout.model.waits import SHORTEST_S, Reason, Wait


class InFlightWatch:
    """Looks once a second at what is under way.

    :param total_s: a request is abandoned after this number of seconds.
    """

    def __init__(self, *, work: WorkQueue, traffic: Traffic, meter: Meter, total_s: float) -> None:
        self._work = work
        self._traffic = traffic
        self._meter = meter
        self._total_s = total_s
        self._reason: Reason | None = None
        self._since_s = 0.0
        self.wait: Wait | None = None

    def look(self, now_s: float) -> None:
        """Note what is waited for at this moment of the monotonic clock."""
        self.wait = None
        wait = self._found(now_s)
        if wait is None:
            self._reason = None
            return
        reason, why, since_s, until_s = wait
        if reason is not self._reason:
            self._reason, self._since_s = reason, now_s if math.isnan(since_s) else since_s
        if reason is Reason.OUTAGE or (until_s or now_s) - self._since_s >= SHORTEST_S:
            # Moments of this clock mean nothing to anybody else.
            wall = time.time() - now_s
            self.wait = Wait(reason, why, wall + self._since_s, None if until_s is None else wall + until_s)

    def _found(self, now_s: float) -> tuple[Reason, str, float, float | None] | None:
        if wait := self._traffic.waits(now_s, self._work.begun):
            return wait
        in_flight, waiting = self._traffic.in_flight, self._work.waiting
        if waiting and not in_flight:
            held, pending = self._work.held, self._work.pending
            if held == waiting:
                why = f"the object storage to take the notes about {held:,} jobs, which are created after that"
                return Reason.JOBS, why, math.nan, None
            if held + pending == waiting:
                return Reason.JOBS, f"{pending:,} jobs to be ready", math.nan, None
            why = f"{waiting:,} parameters are tried again after a pause"
            return Reason.RETRIES, why, math.nan, now_s + self._work.due_s()
        if in_flight and now_s - self._meter.ended_s > SHORTEST_S:
            why = f"{in_flight:,} requests have no answer yet; each is given up after {self._total_s:g} s"
            return Reason.ANSWERS, why, self._meter.ended_s, None
        return None
