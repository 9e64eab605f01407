"""One load under way: what is written where, by which rules, and for how long MongoDB may be away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_fanout.mongo.documents import Encoded
from airflow_fanout.mongo.retrying import Retrying
from airflow_fanout.mongo.target import Target
from airflow_fanout.mongo.work import LoadWork

if TYPE_CHECKING:
    from pymongo.collection import Collection


@dataclass(frozen=True, kw_only=True)
class Loading:
    """What each mode of a load is given.

    :param collection: the target, written and read by a majority.
    :param target: what MongoDB has said of it.
    :param documents: the run's documents.
    :param run: the run's own name, the same for each try of it.
    :param work: where the load says how far it is.
    """

    collection: Collection[Any]
    target: Target
    documents: Encoded
    run: str
    retrying: Retrying
    work: LoadWork
