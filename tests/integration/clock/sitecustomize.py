"""Puts the clock of a Python process back, and of its SQLite: Python runs this wherever it finds it on its path.

By how much is in a file, which every process goes on to look at: so the clocks of all can be put forward together.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import time_machine

LOOK_AGAIN_S = 0.2
OFFSET = Path(os.environ["CLOCK_OFFSET_FILE"])
connect = sqlite3.connect


def connect_in_the_past(*args: Any, **options: Any) -> sqlite3.Connection:
    """Connect to a database whose CURRENT_TIMESTAMP is Python's; the scheduler asks it what is due."""
    connection = connect(*args, **options)
    connection.create_function("current_timestamp", 0, lambda: time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()))
    return connection


class Clock:
    """This process's clock, which follows the file."""

    def __init__(self) -> None:
        self._offset_s = float(OFFSET.read_text())
        self._clock = time_machine.travel(time.time() + self._offset_s, tick=True).start()

    def follow(self) -> None:
        """Follow the file; threads don't come along in a fork, so a fork begins one of its own."""
        threading.Thread(target=self._follow, name="clock", daemon=True).start()

    def _follow(self) -> None:
        while OFFSET.exists():
            offset_s = float(OFFSET.read_text())
            self._clock.shift(offset_s - self._offset_s)
            self._offset_s = offset_s
            time.sleep(LOOK_AGAIN_S)


sqlite3.connect = sqlite3.dbapi2.connect = connect_in_the_past
clock = Clock()
clock.follow()
os.register_at_fork(after_in_child=clock.follow)
