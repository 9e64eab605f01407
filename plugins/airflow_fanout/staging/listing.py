"""What lies in a folder of the staging area: "not there" and "can't be read" differ, other names are skipped.

`Path.glob` finds nothing in a folder that it may not read, and takes an editor's backup for what it is a copy of.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from airflow_fanout.staging.errors import StagingChanged

_NUMBERED = re.compile(r"([a-z]+)-([0-9]{4,})")
_PART = re.compile(r"part-([0-9]{5,})\.jsonl\.zst")


def listed(folder: Path) -> list[os.DirEntry[str]]:
    """Return what lies in a folder; nothing if it isn't there.

    :raises OSError: with the folder's name, when it can't be read or isn't a folder.
    """
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def numbered(folder: Path, prefix: str) -> list[tuple[int, Path]]:
    """Return what is named `<prefix>-0001` and so on, in the order of the numbers."""
    found = ((_number(entry.name, prefix), Path(entry.path)) for entry in listed(folder))
    return sorted((number, path) for number, path in found if number is not None)


def _number(name: str, prefix: str) -> int | None:
    match = _NUMBERED.fullmatch(name)
    if match is None or match[1] != prefix:
        return None
    number = int(match[2])
    # One number has one name: "try-00001" is somebody's copy.
    return number if name == numbered_name(prefix, number) else None


def numbered_name(prefix: str, number: int) -> str:
    """Return the name of what has a number."""
    return f"{prefix}-{number:04d}"


def parts(folder: Path) -> list[Path]:
    """Return the parts of one try, in the order of their numbers; copies and backups of them are none."""
    found = [(int(match[1]), Path(entry.path)) for entry in listed(folder) if (match := _PART.fullmatch(entry.name))]
    return [path for _, path in sorted(found)]


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
