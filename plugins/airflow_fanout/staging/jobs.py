"""Which jobs an API was asked to create, written down before and after: no later try creates one of them again.

They stand in files of their own beside the parts of the journal: who reads results never meets them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum

import msgspec

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.staging.directory import GenerationDirectory, TryDirectory
from airflow_fanout.staging.errors import JournalDamaged
from airflow_fanout.staging.label import check_label, label_of
from airflow_fanout.staging.lines import LinesWriter, labelled, read_lines, whole_frames
from airflow_fanout.staging.store import Taken


class JobState(StrEnum):
    """What is known of a job."""

    INTENDED = "intended"
    CREATED = "created"
    OVER = "over"


class JobNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line about the job of one parameter; the last one counts.

    :param index: the parameter's.
    :param at: when it was written, as a Unix time.
    :param job: its id or address, once it is created.
    """

    index: int
    state: JobState
    at: float
    job: Json = None


class JobJournal:
    """What one engine knows of its parameters' jobs, and writes down for those after it.

    A line is with the operating system when a method returns, so that it survives the engine. That blocks the engine
    for some tens of microseconds; for a job, which takes seconds, that is nothing.

    :param attempt: the engine's try.
    :param numbers: the numbers that its file may have.
    :param list_id: the id of the frozen list that the jobs are about.
    :param known: what earlier tries have left, by index.
    :param is_newest: whether no later try has begun.
    :param is_copied: whether a job may be created only when the note about it was copied to where later tries look.
    """

    def __init__(
        self,
        attempt: TryDirectory,
        numbers: Iterator[int],
        *,
        list_id: str,
        known: dict[int, JobNote],
        is_newest: Callable[[], bool],
        is_copied: bool = False,
    ) -> None:
        self._attempt = attempt
        self._numbers = numbers
        self._list_id = list_id
        self._known = known
        self._is_newest = is_newest
        self.is_copied = is_copied
        self._announced: dict[int, int] = {}
        self._stored = 0
        self._lines: LinesWriter | None = None

    def last(self, index: int) -> JobNote | None:
        """Return what is known of a parameter's job; `None` if none was ever intended, or if it is over."""
        note = self._known.get(index)
        return None if note is None or note.state is JobState.OVER else note

    def announce(self, index: int) -> None:
        """Write down that a job is about to be created, some time before it is: `may_begin` says when it may be."""
        note = JobNote(index, JobState.INTENDED, time.time())
        self._announced[index] = self._append(note).written

    def may_begin(self, index: int) -> bool:
        """Return whether a parameter need not wait: its job exists or may exist, or the announcement was copied."""
        if self.last(index) is not None:
            return True
        end = self._announced.get(index)
        return end is not None and end <= self._stored

    def stored(self, sizes: Mapping[str, int]) -> None:
        """Note how many bytes of each file of notes were copied, by the file's name."""
        if self._lines is not None:
            self._stored = sizes.get(self._lines.location.key.rpartition("/")[2], 0)

    def intend(self, index: int) -> bool:
        """Write down that a job is about to be created, unless it was announced; return whether it may be created.

        A later try has begun after it was written or before: in the first case it reads this line, in the second it is
        seen here. So of two tries, one at most doesn't know of the other's job.
        """
        note = JobNote(index, JobState.INTENDED, time.time())
        if self._announced.pop(index, None) is None:
            self._append(note)
        self._known[index] = note
        return self._is_newest()

    def created(self, index: int, job: Json) -> None:
        """Write down the id or the address of a job that was created."""
        self._write(JobNote(index, JobState.CREATED, time.time(), job))

    def over(self, index: int) -> None:
        """Write down that there is no job, or that nothing comes of it: another one may be created."""
        self._announced.pop(index, None)
        self._write(JobNote(index, JobState.OVER, time.time()))

    def close(self) -> None:
        """Return when the disk has all lines."""
        if self._lines is not None:
            self._lines.close()

    def _write(self, note: JobNote) -> None:
        self._append(note)
        self._known[note.index] = note

    def _append(self, note: JobNote) -> LinesWriter:
        """Add a line to the file, which is begun with the first one."""
        if self._lines is None:
            location = self._attempt.jobs(next(self._numbers))
            self._lines = LinesWriter(location, label_of(location, self._list_id))
        self._lines.append_line(codec.encode(note))
        self._lines.flush()
        return self._lines


class JobsCopy:
    """Puts what the engines of a try note about jobs into an object storage, where nothing can be added to a file.

    What is new each time becomes a file of its own there.

    :param local: the try in the folder where the engines write.
    :param stored: the try in the storage.
    :param list_id: the id of the frozen list that the jobs are about.
    """

    def __init__(self, local: TryDirectory, stored: TryDirectory, list_id: str) -> None:
        self._local, self._stored, self._list_id = local, stored, list_id
        self._copied: dict[str, int] = {}
        self._pieces = 0

    @property
    def sizes(self) -> dict[str, int]:
        """How many bytes of each file were put up, by the file's name."""
        return {key.rpartition("/")[2]: size for key, size in self._copied.items()}

    def put_up(self) -> None:
        """Put up what is new; whatever fails is put up the next time, under the same name."""
        for file in self._local.jobs_files():
            copied = self._copied.get(file.key, 0)
            if (file.size() or 0) == copied:
                continue
            new = whole_frames(file.content()[copied:])
            location = self._stored.jobs(self._pieces)
            with suppress(Taken):
                location.create(labelled(label_of(location, self._list_id)) + new)
                self._copied[file.key] = copied + len(new)
            # An answer that got lost has brought a part of it: it is put again, in the next file.
            self._pieces += 1


_note = codec.decoder(JobNote)


def read_jobs(generation: GenerationDirectory, list_id: str, wanted: Callable[[int], bool]) -> dict[int, JobNote]:
    """Return the last note about each wanted parameter's job.

    :param wanted: says whether a parameter, by its index, is to be fetched.
    :raises JournalDamaged: when a file can't be read: which jobs there are isn't known then.
    """
    notes: dict[int, JobNote] = {}
    for location in generation.jobs():
        try:
            check_label(location, list_id)
            for note in map(_note, read_lines(location)):
                if wanted(note.index):
                    notes[note.index] = note
        except FileNotFoundError:
            # An object storage knows a file by name before it has it; whoever died in between left only the name.
            continue
        except codec.NotJson as error:
            raise JournalDamaged(str(location), str(error)) from error
    return notes
