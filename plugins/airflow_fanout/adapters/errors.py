"""What can be wrong with a task within its DAG and its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError


@dataclass(eq=False)
class NoList(FanoutError):
    """Extract has returned nothing that this task could take."""

    def __str__(self) -> str:
        return (
            "There is no list: the extract task has returned nothing in this run. It was skipped, it hasn't run yet, "
            "its XCom was deleted, or its do_xcom_push is False. Clear the run from extract on. If extract may be "
            "skipped, let this task be skipped with it: the trigger rule none_failed lets it run all the same."
        )


@dataclass(eq=False)
class LoadBroke(FanoutError):
    """Load met an error of its own, or of the report's function, that it has no sentence for."""

    retry: ClassVar[bool] = True

    kind: str
    places: str

    def __str__(self) -> str:
        return (
            f"Load failed with {self.kind}, raised in: {self.places}. What the error says isn't shown, since it may "
            "hold personal data. Load is safe to run again. If a line of the report's own file is among these, look "
            "there; else report the lines as a defect."
        )


@dataclass(eq=False)
class SharedTarget(FanoutError):
    """Two instances of a mapped load would replace each other's documents; found before the first write."""

    collection: str
    mode: str
    other: int
    claim: str

    def __str__(self) -> str:
        return (
            f'{self.collection} belongs to the instance with map index {self.other} of this load already, and mode="'
            f'{self.mode}" would remove its documents. Nothing was written. Use mode="upsert", or give each instance a '
            f"collection of its own. If the mapping was changed since then, remove {self.claim} and clear this task."
        )
