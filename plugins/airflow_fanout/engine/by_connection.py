"""A fetch whose parameters name their connections: each connection has a sender of its own, and the places are shared.

So what one API does, refuse, ask for a pause, be down, is that connection's own business.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping
from typing import Any

import gevent
from gevent.event import Event
from msgspec.structs import replace

from airflow_fanout.control.places import Places
from airflow_fanout.engine.branch import Branch
from airflow_fanout.engine.driver import GRACE_S, PartEnded
from airflow_fanout.engine.lanes import Lanes
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.sender import EngineParts
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.limits import share_of_files
from airflow_fanout.launch.messages import CredentialsRefused, NewCredentials, ReservedSlots
from airflow_fanout.launch.stop_reasons import ConnectionsStopped, OneStopReason, Stopped, StopReason
from airflow_fanout.model.progress import Progress, sum_of_limits
from airflow_fanout.model.waits import of_all


class ByConnection:
    """Sends all requests of a job, those of each connection by a driver of its own.

    :param job: names the connections.
    :param parts: what all senders of an engine use.
    :param lanes: the list, read ahead for each connection.
    :param is_finished: says of an index whether the parameter has its outcome already.
    :param meter: counts for all.
    :param tell: tells the parent that credentials were refused.
    """

    def __init__(
        self,
        job: Job,
        parts: EngineParts,
        lanes: Lanes,
        *,
        is_finished: Callable[[int], bool],
        meter: Meter,
        tell: Callable[[CredentialsRefused], None],
    ) -> None:
        self._lanes, self._jobs = lanes, parts.jobs
        self._is_finished = is_finished
        self._meter = meter
        self._concurrency = job.settings.concurrency
        self._places = Places(job.settings.concurrency)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = share_of_files(job.settings.concurrency, len(job.connections), hard)
        own = replace(job, connections={}, settings=replace(job.settings, concurrency=most))
        self._branches: Mapping[str, Branch] = {
            conn_id: Branch(
                replace(own, endpoint=connected.endpoint, terms=connected.terms),
                conn_id,
                parts,
                lane=lanes.by_name[conn_id],
                meter=meter,
                places=self._places,
                refused=tell,
            )
            for conn_id, connected in job.connections.items()
        }
        self._stop_reason: OneStopReason | None = None

    def run(self) -> None:
        """Fetch until all is done or every connection is stopped; an error of the engine's own is raised here."""
        reading = gevent.spawn(self._lanes.run, self._is_finished, self._has_answered)
        running = [reading, *(gevent.spawn(branch.run) for branch in self._branches.values())]
        try:
            for ended in gevent.iwait(running):
                if isinstance(ended.get(), gevent.GreenletExit):
                    raise PartEnded
                if self._stop_reason is not None and not self._open:
                    # Nobody takes what is still read.
                    return
                self._stop_if_all_pause()
        finally:
            gevent.killall(running)

    def _has_answered(self, conn_id: str) -> None:
        """Note that an earlier try has had answers from a connection's API: it need not be tried out first."""
        startup = self._branches[conn_id].sender.traffic.startup
        startup.is_on = startup.is_held = False

    @property
    def _open(self) -> list[Branch]:
        return [branch for branch in self._branches.values() if not branch.is_over]

    def _stop_if_all_pause(self) -> None:
        """Stop if every API that is still to be asked wants no requests for longer than a task waits."""
        branches = self._open
        busy = [branch for branch in branches if branch.left or not branch.lane.is_complete]
        if busy and all(branch.is_paused() for branch in busy):
            for branch in branches:
                branch.stop_for_pause()

    @property
    def stop_reason(self) -> StopReason | None:
        """Why not all was done."""
        if self._stop_reason is not None:
            return self._stop_reason
        stopped = tuple(end for branch in self._branches.values() if (end := branch.end()))
        return ConnectionsStopped(stopped) if stopped else None

    def stop(self, reason: OneStopReason, grace_s: float = GRACE_S) -> None:
        """Take no more work for any connection, and give up what is under way after the grace, in seconds."""
        self._stop_reason = self._stop_reason or reason
        for branch in self._branches.values():
            branch.driver.stop(reason, grace_s)

    def take(self, message: NewCredentials) -> None:
        """Send with other credentials to the connection that they are for."""
        self._branches[message.connection].sender.access.take(message)

    def give_up(self, conn_id: str) -> None:
        """Send nothing more to a connection: there are no credentials for it."""
        self._branches[conn_id].driver.stop(Stopped())

    def stored(self, sizes: Mapping[str, int]) -> None:
        """Note how many bytes of each file of notes about jobs are stored: more of these can be created now."""
        if self._jobs is not None:
            self._jobs.stored(sizes)
        for branch in self._open:
            branch.look()

    def allow(self, per_s: float) -> None:
        """Send at another rate to each connection from now on."""
        for branch in self._branches.values():
            branch.sender.budget.allow(per_s)

    def use(self, _message: ReservedSlots) -> None:
        """Raise: none of several connections has a request budget."""
        raise AssertionError("only a fixed connection has slots")

    def tell(self, *, is_last: bool = False) -> None:
        """Tell nothing of slots: there are none."""

    def tell_for_ever(self) -> None:
        """Wait for ever: there is nothing to tell of slots."""
        Event().wait()

    def progress(self) -> Progress:
        """Return what is done so far, over all connections."""
        branches = self._open
        waits = [branch.wait() for branch in branches]
        limits = sum_of_limits([branch.driver.progress().limits for branch in branches])
        if "limit" in limits:
            limits["limit"] = min(limits["limit"], self._concurrency)
        return self._meter.progress(
            in_flight=sum(branch.sender.traffic.in_flight for branch in branches),
            waiting=sum(branch.sender.work.waiting for branch in branches),
            begun=sum(branch.sender.work.begun for branch in self._branches.values()),
            limits=limits,
            # As long as one of them goes on, nothing is waited for.
            wait=None if None in waits else of_all(waits),
        )

    def moments(self) -> list[dict[str, Any]]:
        """Return the limits over time, over all connections."""
        histories = [{"over_time": branch.sender.traffic.moments()} for branch in self._branches.values()]
        over_time: list[dict[str, Any]] = sum_of_limits(histories).get("over_time", [])
        return [{**moment, "limit": min(moment["limit"], self._concurrency)} for moment in over_time]

    def tick(self) -> None:
        """Look at what only time brings about; called about once a second."""
        self._meter.tick()
        self._places.tick()
        for branch in self._open:
            branch.tick()
        self._stop_if_all_pause()

    def wake(self) -> None:
        """Look at the work again."""
        for branch in self._open:
            branch.driver.wake()
