"""A load: the documents of all good results are made, then written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow_fanout.model.outcome import Record
from airflow_fanout.mongo.access import Login
from airflow_fanout.mongo.documents import encoded
from airflow_fanout.mongo.modes import Mode
from airflow_fanout.mongo.shape import Shape
from airflow_fanout.mongo.work import LoadWork
from airflow_fanout.mongo.write import write
from airflow_fanout.mongo.written import Written

if TYPE_CHECKING:
    from pymongo.collection import Collection

COUNTED_EACH = 1000


def load(
    records: Iterable[Record],
    shape: Shape,
    collection: Collection[Any],
    *,
    run: str,
    mode: Mode,
    timeout_s: float,
    login: Login,
    work: LoadWork,
) -> tuple[int, Written]:
    """Make and encode the documents of all good records, write them, and return their number and what was written.

    :param run: the run's own name, the same for each try of it.
    :param timeout_s: how long MongoDB may leave one step unanswered.
    :param work: where it is said how far the load is; its first step, making the documents, has begun.
    :raises BadDocument: for the first document that can't be written; nothing was written.
    :raises FanoutError: for whatever keeps MongoDB from taking all of them; see `write`.
    """
    with encoded(_counted(records, work), shape) as documents:
        written = write(collection, documents, run=run, mode=mode, timeout_s=timeout_s, login=login, work=work)
        work.begin("Loaded", documents.count)
        work.add(documents.count)
        return documents.count, written


def _counted(records: Iterable[Record], work: LoadWork) -> Iterator[Record]:
    for number, record in enumerate(records, start=1):
        yield record
        if number % COUNTED_EACH == 0:
            work.add(COUNTED_EACH)
