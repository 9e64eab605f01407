"""Counts the statements that the page's queries send: run as a program in an Airflow's environment, for some DAGs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.utils.session import create_session
from sqlalchemy import event

from airflow_fanout.page import routes, stored
from airflow_fanout.page.stored_backfills import backfills

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
        looks: dict[str, Callable[[], object]] = {
            "run": lambda: routes.run(dag_id, newest.run_id, session),
            "report": lambda: routes.report(dag_id, session),
        }
        if known := backfills(session, dag_id):
            looks["backfill"] = lambda: routes.backfill(dag_id, known[0].id, session)
        for name, look in looks.items():
            # None knows the DAG's outline from before.
            stored._known.clear()
            with counted(session, counts, name):
                look()
    return counts


if __name__ == "__main__":
    print(json.dumps({dag_id: main(dag_id) for dag_id in sys.argv[1:]}))
