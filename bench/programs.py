"""Programs that the benchmark needs from the machine: found on the PATH, never installed."""

from __future__ import annotations

import shutil
from pathlib import Path

# On Debian and Ubuntu; elsewhere the names are much the same.
PACKAGE_OF = {"cc": "gcc", "nginx": "nginx-light", "wrk": "wrk"}
# Debian keeps a server's program where an ordinary user's PATH doesn't look.
ALSO = "/usr/sbin:/sbin"


class NotInstalled(RuntimeError):
    """Programs are missing; ``programs`` are their names."""

    def __init__(self, programs: tuple[str, ...]) -> None:
        super().__init__(programs)
        self.programs = programs

    def __str__(self) -> str:
        packages = " ".join(PACKAGE_OF[program] for program in self.programs)
        return f"The benchmark needs {' and '.join(self.programs)} on the PATH; on Debian: apt-get install {packages}"


def found(program: str) -> Path | None:
    """Return where a program is, None if it isn't on this machine."""
    place = shutil.which(program) or shutil.which(program, path=ALSO)
    return Path(place) if place else None


def path_of(program: str) -> str:
    """Return where a program is; raise NotInstalled if it isn't on this machine."""
    place = found(program)
    if place is None:
        raise NotInstalled((program,))
    return str(place)


def check(programs: frozenset[str]) -> None:
    """Raise NotInstalled, with all that are missing, unless every program is there."""
    missing = tuple(sorted(program for program in programs if found(program) is None))
    if missing:
        raise NotInstalled(missing)
