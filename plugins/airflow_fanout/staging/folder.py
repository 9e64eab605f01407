"""A folder as the staging store: a key is a path below it."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import msgspec

from airflow_fanout.staging import files, layout
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.folder_runs import finish_removals, runs_below
from airflow_fanout.staging.leftovers import Leftovers
from airflow_fanout.staging.store import StagedRun, Taken

_CHUNK_BYTES = 1 << 17
LOOK_AGAIN_S = 0.1


class FolderStore(msgspec.Struct, frozen=True):
    """Objects as files. What is written whole, and what grows once it is closed, is on the disk.

    :param root: the staging area; it is made with the first claim.
    :param mode: the mode of the folders that are made, whatever the umask; by default that of the folder above. A file
        has the same without the right to enter.
    :param sync: returns when the disk has what was written to a file descriptor.
    """

    root: Path
    mode: int | None = None
    sync: Callable[[int], object] = os.fsync

    def address(self, key: str) -> str:
        """Return the path of a key."""
        return str(self.root / key)

    def put_whole(self, key: str, content: bytes) -> None:
        """Write a file under another name, and rename it once the disk has it. The folder must be there."""
        files.write_whole(self.root / key, content)

    def create(self, key: str, content: bytes = b"") -> None:
        """Make a folder for a claim, else link a file that is whole; the folders above are made, too.

        :raises Taken: when it is there.
        """
        path = self.root / key
        files.make_folder(path.parent, self.mode)
        try:
            if key.endswith("/"):
                files.make_new_folder(path, self.mode)
            else:
                files.create_whole(path, content)
        except FileExistsError:
            raise Taken(str(path)) from None

    def begin(self, key: str, head: bytes = b"") -> GrowingFile:
        """Open a new file, which nobody else may have made, and write its first bytes.

        :raises FileExistsError: when it is there.
        """
        return GrowingFile(self.root / key, self.sync, head)

    def append(self, key: str, content: bytes) -> None:
        """Write bytes to a file's end, with as few calls as the system allows; the folders above are made, too."""
        path = self.root / key
        files.make_folder(path.parent, self.mode)
        with files.named(path), files.create(path, append=True) as file:
            files.write_all(file, content)

    @contextmanager
    def locked(self, key: str, wait_s: float) -> Iterator[None]:
        """Keep all others, on any worker, from locking the same key meanwhile; the folders above are made, too.

        The lock ends with its process, however that ends.

        :param wait_s: how long to wait for another one's lock, in seconds.
        :raises TimeoutError: if it lasts for longer.
        """
        path, until_s = self.root / key, time.monotonic() + wait_s
        files.make_folder(path.parent, self.mode)
        with files.named(path), files.create(path, append=True) as file:
            while not _is_locked(file.fileno()):
                if time.monotonic() > until_s:
                    raise TimeoutError
                time.sleep(LOOK_AGAIN_S)
            yield

    def read(self, key: str, size: int = sys.maxsize) -> Iterator[bytes]:
        """Yield a file's bytes in chunks of 128 KiB.

        :raises StagingChanged: when it isn't a file.
        """
        path = self.root / key
        with files.named(path), files.open_file(path) as file:
            while chunk := file.read(min(_CHUNK_BYTES, size)):
                size -= len(chunk)
                yield chunk

    def delete(self, key: str) -> None:
        """Remove a file, or the folder of a claim.

        :raises FileNotFoundError: when it isn't there.
        """
        path = self.root / key
        if key.endswith("/"):
            path.rmdir()
        else:
            path.unlink()

    def move(self, key: str, to: str) -> None:
        """Rename a file; what had the other name is replaced.

        :raises FileNotFoundError: when it isn't there.
        """
        (self.root / key).replace(self.root / to)

    def names(self, key: str) -> list[str]:
        """Return the names in a folder, in no order; none if it isn't there.

        :raises OSError: with the folder's name, when it can't be read or isn't a folder.
        """
        return [entry.name for entry in files.listed(self.root / key)]

    def numbers(self, key: str, kind: str, first: int = 1) -> list[int]:
        """Return the numbers of the folders of one kind in a folder, from one on, in order."""
        return [number for number in layout.numbers(self.names(key), kind) if number >= first]

    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """Return how many bytes these files have; those that aren't there are left out."""
        sizes = {}
        for key in keys:
            with suppress(FileNotFoundError):
                sizes[key] = (self.root / key).stat().st_size
        return sizes

    def is_there(self, key: str) -> bool:
        """Return whether there is such a file.

        :raises StagingChanged: when something else has its name.
        """
        return files.is_there(self.root / key)

    def runs(self, leftovers: Leftovers) -> Iterator[StagedRun]:
        """Yield the runs that extract has made a list in, DAG by DAG; symbolic links are never followed."""
        return runs_below(self.root, leftovers)

    def finish_removals(self, leftovers: Leftovers) -> None:
        """Remove the folders of runs whose removal was interrupted."""
        finish_removals(self.root, leftovers)


class GrowingFile:
    """A new file that stays open, unbuffered: what was written survives the death of the process."""

    def __init__(self, path: Path, sync: Callable[[int], object], head: bytes) -> None:
        self._path = path
        self._sync = sync
        self._file: IO[bytes] = files.create(path)
        self._written = 0
        try:
            self.write(head)
        except OSError:
            self._file.close()
            raise

    def write(self, content: bytes, /) -> None:
        """Write bytes to the file's end, all of them or none."""
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            # That a disk is full helps those who know which one; the error of a write names no file.
            error.filename = error.filename or str(self._path)
            # Half of a piece with others after it would take the whole file with it.
            self._file.truncate(self._written)
            self._file.seek(self._written)
            raise
        self._written += len(content)

    def close(self) -> None:
        """Return when the disk has the file."""
        with files.named(self._path):
            self._sync(self._file.fileno())
            self._file.close()


def list_at(address: str) -> ListDirectory:
    """Return the list that lies in a folder, as `str` of a list tells it; what is made for it has its mode."""
    path = Path(address)
    root = ([*path.parents][: layout.LIST_DEPTH] or [path])[-1]
    try:
        mode = files.mode_of(path)
    except OSError:
        # Whoever looks into it says what is wrong with it.
        mode = None
    return ListDirectory(FolderStore(root, mode), path.relative_to(root).as_posix())


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
