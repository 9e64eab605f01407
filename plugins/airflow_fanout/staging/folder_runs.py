"""The runs' folders in a staging area that is a folder, found and removed. Symbolic links are never followed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec

from airflow_fanout.staging import layout
from airflow_fanout.staging.files import listed
from airflow_fanout.staging.leftovers import Left, Leftovers

LINK = "is a symbolic link, which is never followed"


class RunFolder(msgspec.Struct, frozen=True):
    """All that a run has in a folder."""

    root: Path
    key: str

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.root / self.key

    def __str__(self) -> str:
        return str(self.path)

    @property
    def dag_id(self) -> str | None:
        """The DAG's id."""
        return layout.ids_of(self.key)[0]

    @property
    def run_id(self) -> str | None:
        """The run's id."""
        return layout.ids_of(self.key)[1]

    def changed(self) -> float:
        """Return when anything in it was changed last, in seconds since 1970."""
        return max(stat.st_mtime for stat in _stats(self.path))

    def size(self) -> int:
        """Return how many bytes it has."""
        return sum(stat.st_size for stat in _stats(self.path))

    def remove(self) -> int:
        """Remove it, at once for whoever looks for it, and return how many bytes it had."""
        size = self.size()
        # Its files go one by one: a task must find the whole of a list or none.
        removed = self.path.with_name(f"{layout.REMOVED}{secrets.token_hex(8)}")
        self.path.rename(removed)
        shutil.rmtree(removed)
        return size


def runs_below(root: Path, leftovers: Leftovers) -> Iterator[RunFolder]:
    """Yield the folders that extract has made a list in, DAG by DAG; whatever else lies there isn't ours."""
    for dag in _folders(root, leftovers):
        for run in _folders(dag, leftovers):
            reports = (_entries(report, leftovers) for report in _folders(run, leftovers, strays=False))
            if any(layout.numbers([entry.name for entry in entries], layout.LIST) for entries in reports):
                yield RunFolder(root, run.relative_to(root).as_posix())


def finish_removals(root: Path, leftovers: Leftovers) -> None:
    """Remove the folders of runs whose removal was interrupted."""
    # The walk over the runs reports what can't be read, once.
    unread = Leftovers()
    for dag in _folders(root, unread):
        for entry in _entries(dag, unread):
            if entry.is_symlink() and entry.name.startswith(layout.REMOVED):
                leftovers.append(Left(entry.path, LINK))
            elif entry.name.startswith(layout.REMOVED):
                with leftovers.going_on():
                    shutil.rmtree(entry.path)


def _folders(folder: Path, leftovers: Leftovers, *, strays: bool = True) -> Iterator[Path]:
    for entry in _entries(folder, leftovers):
        # Histories, and runs that are being removed.
        if entry.name in layout.NOT_RUNS or entry.name.startswith(layout.REMOVED):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield Path(entry.path)
        elif strays:
            leftovers.append(Left(entry.path, LINK if entry.is_symlink() else "isn't a folder"))


def _entries(folder: Path, leftovers: Leftovers) -> list[os.DirEntry[str]]:
    try:
        return sorted(listed(folder), key=lambda entry: entry.name)
    except OSError as error:
        leftovers.append(Left(str(folder), error.strerror or str(error), is_failure=True))
        return []


def _stats(run: Path) -> Iterator[os.stat_result]:
    """Yield what the file system knows of a folder, and of everything in it."""

    def unless_gone(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    walk = os.walk(run, onerror=unless_gone)
    below = (Path(folder, name) for folder, folders, names in walk for name in (*folders, *names))
    for path in chain([run], below):
        try:
            stat = path.lstat()
        except FileNotFoundError:
            # A file that was just renamed: what it lies in has changed at the same moment.
            stat = path.parent.lstat()
        yield stat
