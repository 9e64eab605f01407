"""From the paths of a test to places of a store in a folder, and back."""

from __future__ import annotations

from pathlib import Path

from airflow_fanout.staging.directory import GenerationDirectory, ReportDirectory, TryDirectory
from airflow_fanout.staging.folder import FolderStore, list_at
from airflow_fanout.staging.store import Location


def place(path: Path) -> Location:
    """Return a file as a place in the store that its folder is."""
    return Location(FolderStore(path.parent), path.name)


def report_at(path: Path) -> ReportDirectory:
    """Return the report whose lists lie in a folder."""
    return list_at(str(path / "list-0001")).report


def generation_at(path: Path) -> GenerationDirectory:
    """Return the generation that lies in a folder."""
    return GenerationDirectory(FolderStore(path.parent), path.name)


def try_at(path: Path) -> TryDirectory:
    """Return the try that lies in a folder."""
    return TryDirectory(FolderStore(path.parent), path.name)


def path_of(where: Location) -> Path:
    """Return the path of what is in a folder."""
    return Path(str(where))


def written(where: Location, content: bytes) -> Path:
    """Write a file without the store's care, as somebody may; return its path."""
    path = path_of(where)
    path.write_bytes(content)
    return path
