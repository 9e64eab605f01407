"""Files and folders of the staging area: made with the right modes, written whole, and read only if they are files.

"Not there" and "can't be read" differ: `Path.glob` finds nothing in a folder that it may not read.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from airflow_fanout.staging.errors import StagingChanged

# Lists and journals hold personal data: by default only the user of the tasks may read them.
PRIVATE = 0o700
# Some file systems keep no modes and make no links (SMB, FAT), and say so in one of these ways.
_UNSUPPORTED = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def make_folder(path: Path, mode: int | None = None) -> None:
    """Make a folder, and those above it that aren't there yet; one that is there stays as it is.

    :param mode: the mode of what is made, whatever the umask; by default that of the folder above it.
    :raises FileExistsError: when something else has this name.
    """
    try:
        make_new_folder(path, mode)
    except FileNotFoundError:
        make_folder(path.parent, mode)
        make_folder(path, mode)
    except FileExistsError:
        if not path.is_dir():
            raise


def make_new_folder(path: Path, mode: int | None = None) -> None:
    """Make a folder that isn't there yet; raise `FileExistsError` if it is."""
    path.mkdir(PRIVATE)
    first_mode = path.stat().st_mode
    # The bit that hands the group on comes from the folder above, and would be lost.
    wanted = (mode_of(path.parent) if mode is None else mode) | (first_mode & stat.S_ISGID)
    if stat.S_IMODE(first_mode) != wanted:
        with _modes_kept():
            path.chmod(wanted)


def mode_of(folder: Path) -> int:
    """Return who may do what in a folder: its permission bits."""
    return folder.stat().st_mode & 0o777


def create(path: Path, *, append: bool = False) -> IO[bytes]:
    """Open a new file for writing, unbuffered, for those who may use its folder; with `append`, also one that is there.

    :raises FileExistsError: when it is there, unless it is appended to.
    """
    is_new = not append or not path.exists()
    file = open(  # noqa: SIM115 - the caller closes it
        path,
        "ab" if append else "xb",
        buffering=0,
        opener=lambda name, flags: os.open(name, flags | os.O_CLOEXEC, PRIVATE & 0o666),
    )
    wanted = mode_of(path.parent) & 0o666
    if is_new and stat.S_IMODE(os.fstat(file.fileno()).st_mode) != wanted:
        with _modes_kept():
            os.fchmod(file.fileno(), wanted)
    return file


@contextmanager
def _modes_kept() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Give an error of the operating system the name of the file that it is about: a read or a write names none."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing, also after a power failure; the last writer wins."""
    with _unfinished(path, content) as unfinished:
        unfinished.replace(path)


def create_whole(path: Path, content: bytes, link: Callable[[Path, Path], None] = os.link) -> None:
    """Write a file in the same way, unless it is there.

    :param link: gives a file another name, which nothing else may have.
    :raises FileExistsError: when it is there.
    """
    with _unfinished(path, content) as unfinished:
        try:
            link(unfinished, path)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            # Without links (SMB, FAT), two that come at the same moment may both succeed.
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
            unfinished.replace(path)


@contextmanager
def _unfinished(path: Path, content: bytes) -> Iterator[Path]:
    """Write a file under a name that nobody looks for; the file is on the disk then, and gone afterwards."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with named(path), create(unfinished) as file:
            write_all(file, content)
            os.fsync(file.fileno())
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def write_all(file: IO[bytes], content: bytes) -> None:
    """Write all of these bytes, with as few calls as the system allows."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading, unbuffered.

    :raises StagingChanged: when it is a folder, a pipe or a device, which would never end or hang.
    """
    # Without O_NONBLOCK, a pipe that nobody writes to is waited for.
    more = os.O_NONBLOCK | os.O_CLOEXEC
    try:
        # The caller closes it.
        file = open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | more))  # noqa: SIM115
    except IsADirectoryError:
        raise StagingChanged(str(path), "isn't a file") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise StagingChanged(str(path), "isn't a file")
    return file


def listed(folder: Path) -> list[os.DirEntry[str]]:
    """Return what lies in a folder; nothing if it isn't there.

    :raises OSError: with the folder's name, when it can't be read or isn't a folder.
    """
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def is_there(file: Path) -> bool:
    """Return whether there is such a file.

    :raises StagingChanged: when something else has its name.
    """
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise StagingChanged(str(file), "isn't a file")
    return True
