"""One of several connections of a fetch: its sender, its part of the list, and its share of the places."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from airflow_fanout.control.places import Places, Share, SharedLimiter
from airflow_fanout.engine.lanes import Lane
from airflow_fanout.engine.meter import ConnectionMeter, Meter
from airflow_fanout.engine.pool import Pool
from airflow_fanout.engine.sender import EngineParts, Sender
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.messages import BudgetUse, CredentialsRefused
from airflow_fanout.launch.stop_reasons import ConnectionsStopped, ConnectionStopped, LongPause, StopReason
from airflow_fanout.model.waits import Reason, Wait

# What one connection may wait for while the others go on, and somebody should know.
TROUBLES = frozenset({Reason.OUTAGE, Reason.CREDENTIALS, Reason.PAUSE})


class Branch:
    """Fetches the parameters of one connection.

    :param job: with that connection as its endpoint.
    :param conn_id: the connection's id.
    :param parts: what all senders of an engine use.
    :param lane: the connection's parameters.
    :param meter: counts for all connections.
    :param places: how many requests may be under way over all of them.
    :param refused: tells the parent that credentials were refused.
    """

    def __init__(
        self,
        job: Job,
        conn_id: str,
        parts: EngineParts,
        *,
        lane: Lane,
        meter: Meter,
        places: Places,
        refused: Callable[[CredentialsRefused], None],
    ) -> None:
        self.conn_id = conn_id
        self._refused = refused
        self.lane = lane
        self.meter = ConnectionMeter(meter)
        self.is_over = False
        self._note = parts.note
        self._told: set[Reason] = set()
        # The pause that it has to make, too long for a task to wait for, and when that ends.
        self._pause, self._paused_until_s = LongPause(0.0), -math.inf
        self._places, self._share = places, Share(self._wake)
        places.join(self._share)
        self.sender = Sender(
            job,
            parts,
            lane,
            meter=self.meter,
            tell=self._tell,
            is_answered=False,
            limiter=self._limiter,
            lane=lane,
        )
        self.driver = self.sender.driver
        if not isinstance(self.driver, Pool):
            # A pool asks when it has something to send, a pump asks first.
            self._limits.wants = self.sender.work.is_ready
        self.driver.may_stop = self._may_stop
        lane.wake = self.look

    def _tell(self, message: CredentialsRefused | BudgetUse) -> None:
        # A connection of several has no request budget: see `adapters.apis`.
        if isinstance(message, CredentialsRefused):
            self._refused(CredentialsRefused(message.renewal, self.conn_id))

    def _limiter(self, *limits: Any) -> SharedLimiter:
        self._limits = SharedLimiter(*limits, places=self._places, share=self._share)
        return self._limits

    def run(self) -> None:
        """Fetch until all of the connection's parameters are done, or it is stopped."""
        try:
            self.driver.run()
        finally:
            self.is_over = True
            self.lane.close()
            self._places.leave(self._share)

    def _wake(self) -> None:
        if not self.is_over:
            self.driver.wake()

    def look(self) -> None:
        """Look again at what there is to be done: more of it can be sent now."""
        self.sender.work.look()
        self._wake()

    def _may_stop(self, reason: StopReason) -> bool:
        """Return whether to stop: as long as others go on, a pause is worth waiting for, however long it is."""
        if not isinstance(reason, LongPause):
            return True
        self._pause, self._paused_until_s = reason, time.monotonic() + reason.seconds
        return False

    def is_paused(self) -> bool:
        """Return whether it still has to wait for longer than a task keeps its worker slot."""
        return time.monotonic() < self._paused_until_s

    def stop_for_pause(self) -> None:
        """Stop for the rest of its pause: nobody else has anything to do."""
        self.driver.may_stop = lambda _reason: True
        left_s = max(0.0, self._paused_until_s - time.monotonic())
        self.driver.stop(replace(self._pause, seconds=left_s))

    @property
    def left(self) -> int:
        """How many of its parameters have no outcome yet, as far as the list was read."""
        return self.lane.total - self.meter.done

    def end(self) -> ConnectionStopped | None:
        """Return why it has ended before its work was done; `None` if it was done."""
        reason = self.driver.stop_reason
        if reason is None or isinstance(reason, ConnectionsStopped) or not self.left:
            return None
        work = self.sender.work
        return ConnectionStopped(self.conn_id, reason, self.lane.total, work.begun, self.meter.done)

    def wait(self) -> Wait | None:
        """Return what its driver waits for, with the connection's id."""
        wait = self.driver.progress().wait
        return wait and replace(wait, why=f"{self.conn_id}: {wait.why}")

    def tick(self) -> None:
        """Look at what only time brings about, and tell once of each trouble that holds up this connection alone."""
        self.driver.tick()
        wait = self.wait()
        if wait is not None and wait.reason in TROUBLES and wait.reason not in self._told:
            self._told.add(wait.reason)
            self._note(f"{wait}. The other connections go on.")
