"""A folder of this machine's in which engines work on a list of an object storage, as if it were the staging area."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.upload import BEAT_OF_JOBS_S, BEAT_S, Upload
from airflow_fanout.staging import layout
from airflow_fanout.staging.directory import GenerationDirectory, ListDirectory, TryDirectory
from airflow_fanout.staging.errors import NotPutUp
from airflow_fanout.staging.files import PRIVATE
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.layout import TRY
from airflow_fanout.staging.store import Location
from airflow_fanout.staging.temporary import naming_temporary
from airflow_fanout.staging.validated import read_validated

if TYPE_CHECKING:
    # What plans a fetch packs functions.
    from airflow_fanout.launch.plan import Shard

PREFIX = "fanout-mirror-"
# How long a fetch that has failed waits for an object storage that is away, and one that Airflow has ended, which it
# kills five seconds later.
FAILED_S, ENDED_S = 60.0, 2.0
# On an object storage, a part is closed after this number of seconds. A machine that dies takes at most ten with it:
# a record is written within half a second, that the part is old is seen as soon, and it is put up in the second after.
PART_AGE_S = 7.5


class Mirror:
    """What the engines of one fetch need of a list: the list, and what earlier tries have brought.

    The try is claimed in the storage before anything is read there, as an engine does it in a folder.

    :param part: the part of the list.
    :param job: the fetch of it.
    :param root: the folder.
    :param warn: takes a sentence for the log.
    :param part_age_s: after how long a part is closed, and put up.
    """

    def __init__(self, part: Shard, job: Job, root: Path, warn: Callable[[str], None], part_age_s: float) -> None:
        # Nothing here outlives the task: the disk needn't be waited for.
        self._folder = FolderStore(root, PRIVATE, sync=lambda _: None)
        self.directory = ListDirectory(self._folder, part.directory.key)
        generation = part.directory.shard(job.shard).generation(job.generation)
        attempt = generation.new_try()
        self._copy_all((part.directory.parameters, part.directory.manifest))
        self._copy_tries(generation, attempt.key)
        previous = None if job.previous is None else self._copy_previous(part.directory, job.previous)
        self.job = replace(job, directory=str(self.directory), previous=previous, part_age_s=part_age_s)
        creates_jobs = job.request is not None and job.request.poll is not None
        beat_s = BEAT_OF_JOBS_S if creates_jobs else BEAT_S
        self.upload = Upload(TryDirectory(self._folder, attempt.key), attempt, part.manifest.id, warn, beat_s)

    def _copy_tries(self, generation: GenerationDirectory, until: str) -> None:
        """Copy the parts of the tries before one, and the notes about their jobs."""
        for number in generation.numbers(TRY):
            attempt = generation.attempt(number)
            if attempt.key == until:
                return
            self._folder.create(f"{attempt.key}/")
            self._copy_all(Location(attempt.store, f"{attempt.key}/{name}") for name in attempt.names())

    def _copy_previous(self, directory: ListDirectory, address: str) -> str:
        """Copy what the last good run has brought, and return where that is."""
        previous = ListDirectory(directory.store, layout.parts_of_address(address)[1])
        manifest = read_manifest(previous)
        judged = read_validated(previous, manifest.id)
        self._copy_all((previous.manifest, previous.validated))
        if judged is not None:
            for number, parts in judged.parts.items():
                generation = previous.shard(int(number)).generation(judged.generations[number])
                self._copy_all(generation.part(name) for name, *_ in parts)
        return str(ListDirectory(self._folder, previous.key))

    def _copy_all(self, locations: Iterable[Location]) -> None:
        for location in locations:
            # What is in a register only was never put, or was put aside.
            with suppress(FileNotFoundError):
                self._copy(location)

    def _copy(self, location: Location) -> None:
        chunks = location.read()
        first = next(chunks, b"")
        with naming_temporary():
            (self._folder.root / location.key).parent.mkdir(PRIVATE, parents=True, exist_ok=True)
            file = self._folder.begin(location.key, first)
        for chunk in chunks:
            with naming_temporary():
                file.write(chunk)
        with naming_temporary():
            file.close()


@contextmanager
def mirrored(
    part: Shard, job: Job, warn: Callable[[str], None], part_age_s: float = PART_AGE_S
) -> Iterator[Mirror | None]:
    """Give the mirror for a fetch, and put up what its engines write; `None` where they work in the staging area.

    What is left when the context ends is put up then, as far as that is possible.
    """
    if isinstance(part.directory.store, FolderStore) or not job.indexes:
        yield None
        return
    with _folder() as root:
        mirror = Mirror(part, job, root, warn, part_age_s)
        limit_s = ENDED_S
        try:
            with mirror.upload:
                yield mirror
                limit_s = FAILED_S
        except Exception as error:
            # A fetch that fails, or waits, goes on from there.
            if isinstance(error, FanoutError):
                limit_s = 0.0 if isinstance(error, NotPutUp) else FAILED_S
            raise
        finally:
            mirror.upload.rescue(limit_s)


@contextmanager
def _folder() -> Iterator[Path]:
    """Give a new folder that only this user may read, and remove those whose tasks have died."""
    with naming_temporary():
        _remove_abandoned(Path(tempfile.gettempdir()))
        root = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        # Its end is the end of the process, however that comes.
        descriptor = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)
        os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    """Remove the folders of fetches whose processes were killed: they hold parameters and results."""
    for root in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(root, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(root, ignore_errors=True)
            finally:
                os.close(descriptor)
