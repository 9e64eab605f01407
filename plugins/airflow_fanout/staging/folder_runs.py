"""The runs' folders in a staging area that is a folder, found and removed. Symbolic links are never followed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
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
        return max(_stat(path).st_mtime for path in _all(self.path))

    def size(self) -> int:
        """Return how many bytes it has."""
        return sum(_stat(path).st_size for path in _all(self.path))

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
            if any(_has_list(report, leftovers) for report in _folders(run, leftovers, strays=False)):
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


def _has_list(report: Path, leftovers: Leftovers) -> bool:
    names: list[str] = []
    with leftovers.going_on():
        names = [entry.name for entry in listed(report)]
    return bool(layout.numbers(names, layout.LIST))


def _folders(folder: Path, leftovers: Leftovers, *, strays: bool = True) -> Iterator[Path]:
    for entry in _entries(folder, leftovers):
        if not layout.may_hold_runs(entry.name):
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


def _all(path: Path) -> Iterator[Path]:
    yield path
    for folder, folders, names in os.walk(path, onerror=_unless_gone):
        yield from (Path(folder, name) for name in (*folders, *names))


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _stat(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except FileNotFoundError:
        # A file that was just renamed: what it lies in has changed at the same moment.
        return path.parent.lstat()
