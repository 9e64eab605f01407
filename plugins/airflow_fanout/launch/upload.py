"""What engines write on the local disk is put into the object storage, by a thread of their parent's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.messages import StoredNotes
from airflow_fanout.staging import layout
from airflow_fanout.staging.directory import TryDirectory
from airflow_fanout.staging.errors import NotPutUp
from airflow_fanout.staging.jobs import JobsCopy
from airflow_fanout.staging.journal import read_places
from airflow_fanout.staging.layout import TRY
from airflow_fanout.staging.store import Location

# How often it is looked what there is to put up; where jobs are created, a job that isn't known there may be created
# again by the next try.
BEAT_S, BEAT_OF_JOBS_S = 1.0, 0.2
# How often it is looked whether a newer try has begun.
LOOK_EACH_S = 5.0
# How long a fetch that has all its results waits for an object storage that is away.
FINISH_S = 600.0
# After a failure, the next attempt comes after this many seconds, then after twice as many, up to the last.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 15.0


class Upload:
    """Puts up the closed parts of a try, what is known of its jobs, and its progress, while the context lasts.

    An object storage that is away for a while is tried again and again: the engines go on meanwhile. A newer try in the
    storage is made visible in the folder, where the engines look for one.

    :param local: the try's directory in the folder.
    :param stored: the same in the object storage.
    :param list_id: the id of the frozen list.
    :param warn: takes a sentence for the log.
    :param beat_s: how often it is looked what there is to put up, in seconds.
    """

    def __init__(
        self,
        local: TryDirectory,
        stored: TryDirectory,
        list_id: str,
        warn: Callable[[str], None],
        beat_s: float = BEAT_S,
    ) -> None:
        self._local, self._stored, self._warn, self._beat_s = local, stored, warn, beat_s
        self._sent: set[str] = set()
        self._aside: list[Location] = []
        self._jobs = JobsCopy(local, stored, list_id)
        self._confirmed: dict[str, int] = {}
        self._progress = b""
        self._looked_s = time.monotonic()
        self._failing_since_s: float | None = None
        self._problem = ""
        self._pause_s = FIRST_PAUSE_S
        self._is_over = threading.Event()
        self._working = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="fanout-upload", daemon=True)
        # Hears which notes about jobs are in the storage; called by this one's thread.
        self.confirm: Callable[[StoredNotes], None] = lambda _notes: None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()

    def put_aside(self, path: str) -> str:
        """Put a damaged part aside in the storage, too, and return its address there.

        :param path: the part in the folder.
        """
        key = path.removeprefix(self._local.store.address("")).lstrip("/")
        part = Location(self._stored.store, key)
        self._aside.append(part)
        return str(part)

    def finish(self, limit_s: float) -> None:
        """Put up all that is left, when the engines have ended.

        :param limit_s: how long to wait for a storage that is away, in seconds.
        :raises NotPutUp: when it can't be put up.
        """
        self._is_over.set()
        until_s = time.monotonic() + limit_s
        while not self._beat(is_end=True, wait_s=limit_s):
            if time.monotonic() + self._pause_s > until_s:
                raise self._lost(time.monotonic() - (self._failing_since_s or time.monotonic()))
            time.sleep(self._pause_s)

    def rescue(self, limit_s: float) -> None:
        """Put up what is left of a fetch that has failed; of what can't be, there is a warning."""
        try:
            self.finish(limit_s)
        except NotPutUp as error:
            self._warn(str(error))

    def _run(self) -> None:
        pause_s = self._beat_s
        while not self._is_over.wait(pause_s):
            pause_s = self._beat_s if self._beat() else self._pause_s

    def _beat(self, *, is_end: bool = False, wait_s: float = -1.0) -> bool:
        """Put up what is there to be put up; return whether that went well.

        :param wait_s: how long the other thread may take for what it is doing, in seconds.
        """
        with self._alone(wait_s):
            try:
                self._put_up(is_end=is_end)
            except (OSError, FanoutError) as error:
                self._has_failed(error)
                return False
            self._is_well()
            return True

    @contextmanager
    def _alone(self, wait_s: float) -> Iterator[None]:
        if not self._working.acquire(timeout=wait_s):
            raise self._lost(wait_s)
        try:
            yield
        finally:
            self._working.release()

    def _put_up(self, *, is_end: bool) -> None:
        self._jobs.put_up()
        if not is_end:
            self._confirm_notes()
            self._look()
        for part in self._parts(is_end=is_end):
            # Its whole content, or nothing: a second attempt finds what the first one has put.
            self._stored.below(part.key.rpartition("/")[2]).create(part.content())
            self._sent.add(part.key)
        self._put_progress()
        while self._aside:
            with suppress(FileNotFoundError):
                self._aside[0].store.move(self._aside[0].key, f"{self._aside[0].key}{layout.DAMAGED}")
            del self._aside[0]

    def _has_failed(self, error: OSError | FanoutError) -> None:
        """Note a failure, of which there is one warning until all is well again."""
        self._problem = str(error) if isinstance(error, FanoutError) else error.strerror or str(error)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        if self._failing_since_s is None:
            self._failing_since_s = time.monotonic()
            self._warn(
                f"{self._stored} can't be written: {self._problem}. It is tried again; the fetch goes on, and its "
                "results are on this worker's disk only until then."
            )

    def _is_well(self) -> None:
        if self._failing_since_s is not None:
            seconds = time.monotonic() - self._failing_since_s
            self._warn(f"{self._stored} can be written again, after {seconds:,.0f} s; nothing was lost.")
        self._failing_since_s, self._pause_s = None, FIRST_PAUSE_S

    def _parts(self, *, is_end: bool) -> list[Location]:
        """Return the parts to put up: those that are closed, and at the end all of them."""
        parts = self._local.parts() if is_end else self._local.closed()
        return [part for part in parts if part.key not in self._sent]

    def _put_progress(self) -> None:
        with suppress(FileNotFoundError):
            progress = self._local.shard.progress.content()
            if progress != self._progress:
                self._stored.shard.progress.put_whole(progress)
                self._progress = progress

    def _look(self) -> None:
        """Look now and then whether a newer try has begun."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_EACH_S:
            self._looked_s = now_s
            self._is_overtaken()

    def _is_overtaken(self) -> bool:
        """Return whether a newer try has begun in the storage; make it visible to the engines, once they have begun."""
        if self._stored.shard.is_newest(self._stored):
            return False
        own = layout.number_of(self._local.key)
        if self._local.generation.numbers(TRY, own) == [own]:
            self._local.generation.claim_next(TRY)
        return True

    def _confirm_notes(self) -> None:
        """Say which notes are in the storage, unless a newer try has begun: that may have looked for them before."""
        sizes = self._jobs.sizes
        if sizes != self._confirmed and not self._is_overtaken():
            self.confirm(StoredNotes(sizes))
            self._confirmed = sizes

    def _lost(self, seconds: float) -> NotPutUp:
        parts = self._parts(is_end=True)
        records = sum(1 for part in parts for _ in read_places(part))
        size = sum(part.size() or 0 for part in parts)
        return NotPutUp(str(self._stored), self._problem, seconds, len(parts), records, size)
