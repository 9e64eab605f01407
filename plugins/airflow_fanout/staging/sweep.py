"""The runs' directories in the staging area, found and removed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from airflow_fanout.staging.directory import text_of
from airflow_fanout.staging.listing import listed, numbered

REMOVED = ".removed-"
LINK = "is a symbolic link, which is never followed"
# The histories of good and of failed runs, and what a file system itself keeps on a disk of its own.
NOT_RUNS = (".history", "lost+found")


class Left(msgspec.Struct, frozen=True):
    """What a cleaning has left as it was.

    :param is_failure: whether it may be a run's that had to go; else it isn't ours.
    """

    path: Path
    problem: str
    is_failure: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class RunDirectory(msgspec.Struct, frozen=True):
    """All that a run has in the staging area; an id is `None` if the folder's name can't be read back."""

    path: Path

    @property
    def dag_id(self) -> str | None:
        """The DAG's id."""
        return text_of(self.path.parent.name)

    @property
    def run_id(self) -> str | None:
        """The run's id."""
        return text_of(self.path.name)

    def changed(self) -> float:
        """Return when anything in it was changed last, in seconds since 1970."""
        return max(_stat(path).st_mtime for path in _all(self.path))

    def size(self) -> int:
        """Return how many bytes it has."""
        return sum(_stat(path).st_size for path in _all(self.path))

    def remove(self) -> int:
        """Remove it, at once for whoever looks for it, and return how many bytes it had."""
        size = self.size()
        # Its files go one by one: a task must find the whole of a list or none.
        removed = self.path.with_name(f"{REMOVED}{secrets.token_hex(8)}")
        self.path.rename(removed)
        shutil.rmtree(removed)
        return size


class Sweep:
    """A walk through a staging area that goes on whatever it meets, and remembers what it had to leave.

    Symbolic links are never followed: what they lead to isn't the staging area's.
    """

    def __init__(self, staging: Path) -> None:
        self.staging = staging
        self.left: list[Left] = []

    def runs(self) -> Iterator[RunDirectory]:
        """Yield the directories that extract has made a list in, DAG by DAG; whatever else lies there isn't ours."""
        for dag in self._folders(self.staging):
            for run in self._folders(dag):
                if any(self._has_list(report) for report in self._folders(run, strays=False)):
                    yield RunDirectory(run)

    def finish_removals(self) -> None:
        """Remove what an earlier removal that was broken off has left."""
        # The walk over the runs reports what can't be read, once.
        for dag in self._folders(self.staging, told=False):
            for entry in self._entries(dag, told=False):
                if entry.is_symlink() and entry.name.startswith(REMOVED):
                    self.left.append(Left(Path(entry.path), LINK))
                elif entry.name.startswith(REMOVED):
                    with self.going_on():
                        shutil.rmtree(entry.path)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Take an error of the operating system for a reason to leave what it is about, and go on."""
        try:
            yield
        except FileNotFoundError:
            # Another cleaning, or somebody by hand, was faster.
            return
        except OSError as error:
            if error.filename is None:
                # Not about a file: whoever was asked about the run can't be reached.
                raise
            self.left.append(Left(Path(str(error.filename)), error.strerror or str(error), is_failure=True))

    def _has_list(self, report: Path) -> bool:
        lists: list[tuple[int, Path]] = []
        with self.going_on():
            lists = numbered(report, "list")
        return bool(lists)

    def _folders(self, folder: Path, *, told: bool = True, strays: bool = True) -> Iterator[Path]:
        for entry in self._entries(folder, told=told):
            if entry.name in NOT_RUNS or entry.name.startswith(REMOVED):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)
            elif told and strays:
                problem = LINK if entry.is_symlink() else "isn't a folder"
                self.left.append(Left(Path(entry.path), problem))

    def _entries(self, folder: Path, *, told: bool) -> list[os.DirEntry[str]]:
        try:
            return sorted(listed(folder), key=lambda entry: entry.name)
        except OSError as error:
            if told:
                self.left.append(Left(folder, error.strerror or str(error), is_failure=True))
            return []


def _all(path: Path) -> Iterator[Path]:
    yield path
    for folder, folders, files in os.walk(path, onerror=_unless_gone):
        yield from (Path(folder, name) for name in (*folders, *files))


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _stat(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except FileNotFoundError:
        # A file that was just renamed: what it lies in has changed at the same moment.
        return path.parent.lstat()
