"""Counts the statements that the page's queries send: run as a program in an Airflow's environment, for some DAGs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.utils.session import create_session
from sqlalchemy import event

from airflow_fanout.page import routes, stored

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@contextmanager
def counted(session: Session, counts: dict[str, int], name: str) -> Iterator[None]:
    """Count the statements of a session."""

    def count(*_: object) -> None:
        counts[name] = counts.get(name, 0) + 1

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", count)


def main(dag_id: str) -> dict[str, int]:
    """Return the statements of the report's page and of a run's."""
    counts: dict[str, int] = {}
    with create_session() as session:
        [newest] = stored.newest_runs(session, [dag_id], 1)
        for name in ("run", "report"):
            # Neither knows the DAG's outline from before.
            stored._outlines.clear()
            with counted(session, counts, name):
                _ = routes.run(dag_id, newest.run_id, session) if name == "run" else routes.report(dag_id, session)
    return counts


if __name__ == "__main__":
    print(json.dumps({dag_id: main(dag_id) for dag_id in sys.argv[1:]}))
