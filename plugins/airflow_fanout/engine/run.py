"""One engine's life: read the job, fetch, tell."""

from __future__ import annotations

import gc
import os
import resource
import signal
import traceback
import warnings
from collections.abc import Iterator
from itertools import count
from typing import assert_never

import gevent
from msgspec.structs import replace

from airflow_fanout.engine.by_connection import ByConnection
from airflow_fanout.engine.calls import calls_of
from airflow_fanout.engine.driver import PartEnded
from airflow_fanout.engine.journal_thread import JournalThread
from airflow_fanout.engine.lanes import Lanes
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.parentage import MessageReader, MessageWriter
from airflow_fanout.engine.restart import go_on, part_numbers
from airflow_fanout.engine.sender import EngineParts, Sender
from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.board import Board
from airflow_fanout.launch.connections import ConnectionName
from airflow_fanout.launch.family import adopt_orphans, end_descendants, trackers
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.limits import allow_files
from airflow_fanout.launch.messages import (
    DamagedPart,
    Ended,
    Failed,
    NewCredentials,
    NoCredentials,
    ParentMessage,
    ProgressReport,
    Remark,
    ReservedSlots,
    SendingRate,
    Start,
    StoredNotes,
)
from airflow_fanout.launch.stop_reasons import Finished, LongPause, Overtaken, Stopped
from airflow_fanout.staging.directory import GenerationDirectory
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.frozen import read_manifest, read_parameters
from airflow_fanout.staging.jobs import JobJournal, read_jobs
from airflow_fanout.staging.journal import JournalWriter
from airflow_fanout.staging.previous import PreviousResults
from airflow_fanout.staging.reconcile import CompletedSet
from airflow_fanout.staging.resume import resume

TICK_S = 1.0
GARBAGE = 5_000


def run(begun: bytes, parent_pipe: int, told_pipe: int, board: Board) -> int:
    """Do the job that the parent's first message tells; return the process's exit code.

    :param begun: what was read of the parent's pipe before: the first message, at least.
    """
    teller = MessageWriter(told_pipe)
    messages = MessageReader(parent_pipe, begun).messages()
    adopt_orphans()
    try:
        return _Fetch(_job(next(messages)), teller, messages, board).run()
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        # The disk's own errors are common, and their traceback explains nothing.
        details = "" if isinstance(error, OSError) else "".join(traceback.format_exception(error)[-8:])
        # What is wrong with the worker, the connection or the report is as wrong for the next try.
        is_final = isinstance(error, FanoutError) and not error.retry
        teller.tell(Failed(type(error).__name__, str(error), details, is_final))
        return os.EX_SOFTWARE


def _job(message: ParentMessage) -> Job:
    match message:
        case Start(job):
            return job
        case SendingRate() | NewCredentials() | NoCredentials() | ReservedSlots() | StoredNotes():
            raise AssertionError("the parent's first message is the job")
        case _:
            assert_never(message)


def _sending(
    job: Job, parts: EngineParts, finished: CompletedSet, meter: Meter, teller: MessageWriter
) -> Sender | ByConnection:
    """Return what sends the requests of a job for all parameters that aren't finished."""
    directory = list_at(job.directory)
    if job.connections:
        lines = read_parameters(directory, job.indexes, bytes)
        lanes = Lanes(lines, ConnectionName(job.connection_text).of, job.connections, parts.note)
        return ByConnection(
            job, parts, lanes, is_finished=lambda index: index in finished, meter=meter, tell=teller.tell
        )
    parameters = read_parameters(directory, job.indexes)
    if finished.count:
        parameters = ((index, value) for index, value in parameters if index not in finished)
    return Sender(job, parts, parameters, meter=meter, tell=teller.tell, is_answered=parts.is_resumed)


class _Fetch:
    """The parts of one fetch, put together."""

    def __init__(self, job: Job, teller: MessageWriter, messages: Iterator[ParentMessage], board: Board) -> None:
        apis = len(job.endpoints)
        allow_files(job.settings.concurrency, resource.getrlimit, resource.setrlimit, apis)
        directory = list_at(job.directory)
        self._shard = directory.shard(job.shard)
        generation = self._shard.generation(job.generation)
        # First the fence, then the reading: what an older try writes after this no longer counts.
        self._try = generation.attempt(job.attempt) if job.attempt else generation.new_try()
        manifest = read_manifest(directory)
        finished, damaged = resume(generation, job.indexes, manifest.id)
        self._teller = teller
        self._messages = messages
        self._board = board
        for part in damaged:
            teller.tell(DamagedPart(str(part)))
        calls = calls_of(job, board)
        writer = JournalWriter(
            self._try, part_numbers(self._try, job), list_id=manifest.id, sent_after_s=job.part_age_s
        )
        self._scribe = JournalThread(writer, at_once=job.request is not None and job.request.has_steps)
        self._jobs = self._job_journal(job, generation, finished, manifest.id)
        erased = sum(index in job.indexes for index in manifest.erased)
        meter = Meter(total=len(job.indexes) - erased, resumed=finished.count)
        parts = EngineParts(
            manifest=manifest,
            note=lambda text: teller.tell(Remark(text)),
            calls=calls,
            jobs=self._jobs,
            previous=self._previous_results(job),
            write=self._scribe.extend,
            is_resumed=finished.count > 0,
        )
        if job.fatal:
            go_on(job, self._try, finished, meter, self._scribe.extend)
        self._sending = _sending(job, parts, finished, meter, teller)

    def _previous_results(self, job: Job) -> PreviousResults | None:
        """Return what is there of the last good run's results; `None` if the request isn't conditional."""
        if job.request is None or not job.request.conditional:
            return None
        previous = PreviousResults()
        if job.previous is None:
            return previous
        try:
            # The parent looks at the board, and mustn't take this for a call that blocks.
            previous.fill(list_at(job.previous), self._board.step)
        except (FanoutError, OSError) as error:
            previous.clear()
            self._teller.tell(Remark(f"The last good run's results can't be read; all is asked for in full: {error}"))
        return previous

    def _job_journal(
        self, job: Job, generation: GenerationDirectory, finished: CompletedSet, list_id: str
    ) -> JobJournal | None:
        """Return which jobs there are; `None` for a request that creates none."""
        if job.request is None or job.request.poll is None:
            return None
        known = read_jobs(generation, list_id, lambda index: index in job.indexes and index not in finished)
        numbers = count(job.process, job.processes)
        return JobJournal(
            self._try,
            (number for number in numbers if self._try.jobs(number).size() is None),
            list_id=list_id,
            known=known,
            is_newest=lambda: self._shard.is_newest(self._try),
            # Who may create a job twice needn't wait until the notes are where a later try finds them.
            is_copied=job.part_age_s is not None and not job.request.is_repeatable,
        )

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._sending.stop, Stopped())
        # What a greenlet of an author's raises (SystemExit, say) ends that greenlet, and not the engine.
        gevent.get_hub().SYSTEM_ERROR = ()
        # What has been imported stays: the collector needn't look at it again and again. And a handful of answers are
        # hundreds of objects, which by themselves are no reason to look for cycles.
        gc.freeze()
        gc.set_threshold(GARBAGE)
        # Where PYTHONWARNINGS makes errors of them, pycurl's advice would end the fetch: see engine/libcurl/multi.py.
        warnings.filterwarnings("ignore", "socket_all is deprecated", DeprecationWarning)
        parts = (self._listen, self._sending.run, self._tick, self._scribe.run, self._sending.tell_for_ever)
        running = [gevent.spawn(part) for part in parts]
        try:
            # Whichever ends first: all but the driver never do, unless a disk or the parent's pipe has a fault.
            for ended in gevent.iwait(running, count=1):
                if isinstance(ended.get(), gevent.GreenletExit):
                    raise PartEnded
        finally:
            gevent.killall(running)
            self._scribe.close()
            if self._jobs is not None:
                self._jobs.close()
        return self._end()

    def _end(self) -> int:
        """End what functions have left behind, and tell how the fetch has ended; return the exit code."""
        if left := end_descendants(os.getpid(), but=trackers()):
            text = f"Functions of the report left {left} process(es) behind; they were ended."
            self._teller.tell(Remark(text))
        reached = self._sending.progress()
        reason = self._sending.stop_reason or Finished()
        if isinstance(reason, LongPause) and reached.done == reached.total:
            # The last answer of all asked for the pause: there is nothing to wait for.
            reason = Finished()
        # A pause that the last answer has asked for is for all.
        self._sending.tell(is_last=True)
        self._teller.tell(Ended(reason, replace(reached, limits={"over_time": self._sending.moments()})))
        return os.EX_OK if isinstance(reason, Finished) else os.EX_TEMPFAIL

    def _listen(self) -> None:
        for message in self._messages:
            self._hear(message)

    def _hear(self, message: ParentMessage) -> None:
        match message:
            case SendingRate(per_s):
                self._sending.allow(per_s)
            case NewCredentials():
                self._sending.take(message)
            case NoCredentials(connection):
                self._sending.give_up(connection)
            case ReservedSlots():
                self._sending.use(message)
            case StoredNotes(sizes):
                self._sending.stored(sizes)
            case Start():
                raise AssertionError("an engine has one job")
            case _:
                assert_never(message)

    def _tick(self) -> None:
        while True:
            gevent.sleep(TICK_S)
            self._board.step()
            self._sending.tick()
            if not self._shard.is_newest(self._try):
                # No grace: the newer try asks for all that is under way here.
                self._sending.stop(Overtaken(), grace_s=0.0)
            self._teller.tell_if_heard(ProgressReport(self._sending.progress()))
