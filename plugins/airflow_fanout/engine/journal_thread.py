"""The scribe: brings the journal to the disk from a thread of its own, off the requests' way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gevent.event import Event
from gevent.threadpool import ThreadPool

from airflow_fanout.model.outcome import Record
from airflow_fanout.staging.journal import JournalWriter
from airflow_fanout.staging.lines import FRAME_BYTES

# A kill may cost no more than a second's worth of results; on a busy machine a beat may be late.
BEAT_S = 0.5
# When the disk is slower than the API, so much may wait for it in memory; then the requests wait, too.
MOST_WAITING = 64 * FRAME_BYTES


class JournalThread:
    """Takes records at any time, and writes them in batches: each half second, or when a frame is full.

    Compressing and writing let go of the interpreter, and a disk that takes its time holds up nobody.

    :param at_once: whether `extend` returns when the records are written. If a parameter needs several requests, a kill
        would cost all of these for each record in memory; so no parameter begins in its place before.
    """

    def __init__(self, journal: JournalWriter, *, at_once: bool = False) -> None:
        self._journal = journal
        self._at_once = at_once
        self._enough = 0 if at_once else FRAME_BYTES
        self._written = Event()
        self._thread = ThreadPool(1)
        self._full = Event()
        self._room = Event()
        self._room.set()
        self._batch: Any = None

    def extend(self, records: Sequence[Record]) -> None:
        """Take records; waits only when too much is waiting already, or if they are to be written at once."""
        self._journal.extend(records)
        if self._journal.waiting >= self._enough:
            self._full.set()
            if self._journal.waiting >= MOST_WAITING:
                self._room.clear()
                self._room.wait()
            if self._at_once:
                self._written.wait()

    def run(self) -> None:
        """Write for ever; an error of the disk is raised here."""
        while True:
            self._full.wait(BEAT_S)
            self._full.clear()
            self._room.set()
            written, self._written = self._written, Event()
            self._batch = self._thread.spawn(self._journal.write, self._journal.take())
            self._batch.get()
            written.set()

    def close(self) -> None:
        """Write what is left; all of it is on the disk then. An error of the disk is raised here, too."""
        self._room.set()
        if self._batch is not None:
            # It may be under way still, or have failed, and nobody waits for it any more.
            self._batch.get()
        self._thread.kill()
        self._journal.close()
