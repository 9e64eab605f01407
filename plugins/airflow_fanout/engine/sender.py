"""What sends to one connection: its traffic, its credentials, and the driver that uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import cloudpickle
import msgspec

from airflow_fanout.codec import Json
from airflow_fanout.control.budget import RequestBudget
from airflow_fanout.control.throttle import Limiter
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.access import EngineAccess
from airflow_fanout.engine.batch_settlement import settlement_of
from airflow_fanout.engine.batches import queue_of
from airflow_fanout.engine.calls import Calls
from airflow_fanout.engine.driving import driver_for
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.settlement import Write
from airflow_fanout.engine.slots import SlotTaker, budget_of
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.messages import BudgetUse, CredentialsRefused
from airflow_fanout.launch.stop_reasons import Stopped, StopReason
from airflow_fanout.model.settings import Throttle
from airflow_fanout.staging.frozen import Manifest
from airflow_fanout.staging.jobs import JobJournal
from airflow_fanout.staging.previous import PreviousResults

if TYPE_CHECKING:
    from airflow_fanout.engine.lanes import Lane


class EngineParts(msgspec.Struct, frozen=True, kw_only=True):
    """What all senders of an engine share.

    :param manifest: what is known of the list.
    :param note: takes a sentence for the log.
    :param calls: makes the calls of the author's functions.
    :param jobs: which jobs there are, for a request that creates some.
    :param previous: the results of the last good run, for a conditional request.
    :param write: takes the records of parameters that have ended.
    :param is_resumed: whether an earlier try has brought outcomes.
    """

    manifest: Manifest
    note: Callable[[str], None]
    calls: Calls
    jobs: JobJournal | None
    previous: PreviousResults | None
    write: Write
    is_resumed: bool


class Sender:
    """Sends the requests of one connection.

    :param job: with that connection as its endpoint.
    :param parts: what all senders of an engine use.
    :param source: index and parameter of all that is to be done.
    :param meter: counts.
    :param tell: tells the parent that credentials were refused, and what becomes of slots.
    :param is_answered: whether an earlier try of the task has had answers.
    :param limiter: makes what says when the next request may be sent.
    :param lane: the source, if it may have more later where it has nothing now.
    """

    def __init__(
        self,
        job: Job,
        parts: EngineParts,
        source: Iterator[tuple[int, Json]],
        *,
        meter: Meter,
        tell: Callable[[CredentialsRefused | BudgetUse], None],
        is_answered: bool,
        limiter: Callable[[Throttle, int, RequestBudget | None], Limiter] = Limiter,
        lane: Lane | None = None,
    ) -> None:
        self._jobs = parts.jobs
        self.budget = budget_of(job)
        self.traffic = Traffic(job.settings, self.budget, is_answered=is_answered, limiter=limiter)
        self.access = EngineAccess(job, self.traffic, tell)
        if job.sign is not None:
            self.access.sign_by(cloudpickle.loads(job.sign))
        self.work = queue_of(job.request, source, self.traffic.room_for_new, lane, parts.jobs)
        self.driver = driver_for(
            job,
            parts.manifest,
            parts.note,
            parts.calls,
            self.access,
            parts.jobs,
            parts.previous,
            work=self.work,
            settlement=settlement_of(job.request, is_proven=parts.is_resumed),
            traffic=self.traffic,
            settings=job.settings,
            meter=meter,
            write=parts.write,
        )
        self.access.wake = self.driver.wake
        self.run, self.stop, self.tick = self.driver.run, self.driver.stop, self.driver.tick
        self.progress, self.moments = self.driver.progress, self.traffic.moments
        self.allow, self.take = self.budget.allow, self.access.take
        slots = SlotTaker(self.budget, self.traffic, self.driver, job.settings, tell)
        self.use, self.tell, self.tell_for_ever = slots.take, slots.tell, slots.run

    @property
    def stop_reason(self) -> StopReason | None:
        """Why not all was done; `None` if it was, or is still under way."""
        return self.driver.stop_reason

    def stored(self, sizes: Mapping[str, int]) -> None:
        """Note how many bytes of each file of notes about jobs are stored: more of these can be created now."""
        if self._jobs is not None:
            self._jobs.stored(sizes)
        self.work.look()
        self.driver.wake()

    def give_up(self, _conn_id: str) -> None:
        """Send nothing more: there are no credentials."""
        self.stop(Stopped())
