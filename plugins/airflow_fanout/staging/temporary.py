"""Temporary files, in the machine's folder for them, whose errors name that folder."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from airflow_fanout.staging.errors import TemporaryFailed


class _TemporaryFile(io.FileIO):
    """A file whose failed writes name the folder; also those of a buffer in front of it, whenever that is emptied."""

    def write(self, content: Any) -> int:
        with naming_temporary():
            return super().write(content)


def temporary_file() -> io.BufferedRandom:
    """Open a file that only its user may read, without a name where the system can: it is gone with the process.

    :raises TemporaryFailed: when it can't be made, and later whenever it can't be written.
    """
    return io.BufferedRandom(unbuffered_file())


def unbuffered_file() -> io.FileIO:
    """Open such a file without a buffer."""
    with naming_temporary(), tempfile.TemporaryFile(prefix="fanout-", buffering=0) as file:
        return _TemporaryFile(os.dup(file.fileno()), "r+b")


@contextmanager
def naming_temporary() -> Iterator[None]:
    """Make `TemporaryFailed` of an error of the operating system that is about a temporary file."""
    try:
        yield
    except OSError as error:
        folder = "TMPDIR"
        # None of the usual ones may be writable, nor the working directory.
        with suppress(OSError):
            folder = tempfile.gettempdir()
        raise TemporaryFailed(folder, error.strerror or str(error)) from error
