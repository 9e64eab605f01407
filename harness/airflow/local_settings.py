"""What each Airflow of the harness executes as its `airflow_local_settings`: a rule for its SQLite.

SQLite refuses a write at once if another process has written since the transaction began to read; waiting would be of
no use. Airflow reads and then writes inside a savepoint, which begins a transaction as one that reads: creating a
backfill beside running tasks was answered with 503 nearly always, and the runs that it had taken back ended the
scheduler. Begun as one that writes, the transaction waits for its turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


@event.listens_for(Engine, "savepoint")
def begin_to_write(connection: Connection, _name: str) -> None:
    """Begin a transaction that writes, unless there is one."""
    made: Any = connection.connection.dbapi_connection
    if connection.dialect.driver == "pysqlite" and not made.in_transaction:
        made.execute("BEGIN IMMEDIATE")
