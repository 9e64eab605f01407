"""Which byte strings were there before: exact, and flat in memory for any number of them."""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self


class Seen:
    """A set of byte strings in a temporary database on disk, open until it is closed.

    A Python set of a million parameters takes 100 MB of the task's memory; this takes a fixed cache.
    """

    def __init__(self) -> None:
        # An empty name is SQLite's temporary database: a file that is gone with the connection, however it ends.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192;"
            "CREATE TABLE seen (identity BLOB PRIMARY KEY) WITHOUT ROWID; BEGIN"
        )

    def close(self) -> None:
        """Give up the database; nothing can be asked or put in afterwards."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, identity: bytes) -> bool:
        """Put a byte string in; return whether it is new."""
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (identity,)).rowcount == 1

    def __contains__(self, identity: bytes) -> bool:
        return self._database.execute("SELECT 1 FROM seen WHERE identity = ?", (identity,)).fetchone() is not None
