"""Puts the clock of a Python process back, and of its SQLite: Python runs this wherever it finds it on its path."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import Any

import time_machine

connect = sqlite3.connect


def connect_in_the_past(*args: Any, **options: Any) -> sqlite3.Connection:
    """Connect to a database whose CURRENT_TIMESTAMP is Python's; the scheduler asks it what is due."""
    connection = connect(*args, **options)
    connection.create_function("current_timestamp", 0, lambda: time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()))
    return connection


sqlite3.connect = sqlite3.dbapi2.connect = connect_in_the_past
time_machine.travel(time.time() + float(os.environ["CLOCK_OFFSET_S"]), tick=True).start()
