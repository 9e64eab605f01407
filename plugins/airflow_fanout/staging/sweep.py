"""The runs' directories in the staging area, found and removed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airflow_fanout.staging.directory import text_of

REMOVED = ".removed-"


@dataclass(frozen=True)
class RunDirectory:
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


def run_directories(staging: Path) -> Iterator[RunDirectory]:
    """Yield the directories that extract has made a list in, DAG by DAG; whatever else lies there isn't ours."""
    for path in sorted(staging.glob("*/*")):
        if not path.name.startswith(REMOVED) and any(path.glob("*/list-[0-9]*")):
            yield RunDirectory(path)


def finish_removals(staging: Path) -> None:
    """Remove what an earlier removal that was broken off has left."""
    for path in staging.glob(f"*/{REMOVED}*"):
        shutil.rmtree(path)


def _all(path: Path) -> Iterator[Path]:
    yield path
    for folder, folders, files in os.walk(path):
        yield from (Path(folder, name) for name in (*folders, *files))


def _stat(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except FileNotFoundError:
        # A file that was just renamed: what it lies in has changed at the same moment.
        return path.parent.lstat()
