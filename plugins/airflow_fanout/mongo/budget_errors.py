"""What can go wrong with the document of a request budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError


@dataclass(eq=False)
class BudgetRefused(FanoutError):
    """MongoDB answers, and doesn't take the state of a request budget."""

    collection: str
    conn_id: str
    why: str

    sentence: ClassVar[str] = (
        "The request budget in {collection} can't be used: MongoDB refuses it ({why}). Let the user of the connection "
        "{conn_id!r} read and write there, then clear this task."
    )


@dataclass(eq=False)
class BudgetUnreadable(FanoutError):
    """The document of a request budget is none of this version's."""

    collection: str
    name: str
    why: str

    sentence: ClassVar[str] = (
        "The document {name!r} in {collection} can't be read as a request budget: {why}. If tasks of another version "
        "still run, wait for their end. Then remove the document, and clear this task: a new one is made."
    )
