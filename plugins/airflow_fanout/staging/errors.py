"""What can be wrong with the files that the tasks of a run hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError


@dataclass(eq=False)
class DuplicateParameter(FanoutError):
    """The same parameter twice, in a report whose author refuses that."""

    index: int
    shown: str

    sentence: ClassVar[str] = (
        "Parameter {index} of the source ({shown}) appears earlier in the source. Fix the source, "
        'or set duplicates="drop" to keep the first of each.'
    )


@dataclass(eq=False)
class UnknownSelection(FanoutError):
    """`only` names parameters that the list doesn't have."""

    missing: int
    shown: str

    sentence: ClassVar[str] = (
        "`only` asks for {missing} parameter(s) that the source doesn't have, for example {shown}. "
        "Nothing was frozen or sent. Write them exactly as the source gives them."
    )


@dataclass(eq=False)
class StagingLost(FanoutError):
    """The run's directory doesn't hold what an earlier task put there."""

    path: str
    problem: str

    sentence: ClassVar[str] = (
        "{path} {problem}. Every worker must see the same staging area ([fanout] staging). "
        "If it was cleaned, clear the run from its extract task on."
    )


@dataclass(eq=False)
class StagingFailed(FanoutError):
    """A file of the run's directory can't be written or read."""

    retry: ClassVar[bool] = True

    path: str
    problem: str

    sentence: ClassVar[str] = (
        "{path}: {problem}. The staging area ([fanout] staging) needs free space, and must be writable "
        "for the user that runs the tasks. Fix that, then clear this task: the journal keeps its results."
    )


@dataclass(eq=False)
class StorageMissing(FanoutError):
    """The object storage has no such bucket or container."""

    address: str

    sentence: ClassVar[str] = (
        "The bucket or container of the staging area, {address}, isn't there. Create it, or correct [fanout] staging."
    )


@dataclass(eq=False)
class NotPutUp(FanoutError):
    """Results of a fetch are on its worker's disk only: the object storage takes none."""

    retry: ClassVar[bool] = True

    address: str
    problem: str
    seconds: float
    parts: int
    records: int
    size: int

    sentence: ClassVar[str] = (
        "{address} couldn't be written for {seconds:,.0f} s: {problem}. The outcomes of {records:,} parameter(s) "
        "({parts} part(s), {size:,} bytes) are lost with this try; all earlier ones are there. The next try requests "
        "these again. Check the object storage and the connection in [fanout] staging."
    )


@dataclass(eq=False)
class JournalDamaged(FanoutError):
    """A part of the journal, or a frozen list, whose bytes aren't those that were written."""

    part: str
    problem: str

    sentence: ClassVar[str] = (
        "{part} is damaged ({problem}): it isn't what was written, so none of it is used. "
        "Clear the fetch task: it moves the damaged part of the journal aside and fetches its records again. "
        "If the damaged file is the list (parameters.jsonl.zst), clear the run from its extract task on."
    )


@dataclass(eq=False)
class TemporaryFailed(FanoutError):
    """The folder for temporary files is full, or can't be used."""

    retry: ClassVar[bool] = True

    folder: str
    problem: str

    sentence: ClassVar[str] = (
        "{folder}: {problem}. This is the folder for temporary files, not the staging area: extract "
        "needs room there for the list, and load for all of its documents. Free space there, or set TMPDIR on the "
        "workers to a folder with more, then clear this task."
    )


@dataclass(eq=False)
class StagingChanged(FanoutError):
    """A file or folder of a run isn't what the report's tasks have written."""

    path: str
    problem: str

    sentence: ClassVar[str] = (
        "{path} {problem}. The report's tasks didn't leave it like this. "
        "Restore it, or clear the run from its extract task on."
    )


@dataclass(eq=False)
class ForeignPart(JournalDamaged):
    """A part of the journal that was written for another list, or for another place."""

    sentence: ClassVar[str] = (
        "{part} {problem}, so none of it is used. Clear the fetch task: it moves the file aside and "
        "requests its parameters again."
    )


@dataclass(eq=False)
class PartLost(FanoutError):
    """A file of the journal is missing or shorter than fetch has left it."""

    part: str
    problem: str

    sentence: ClassVar[str] = (
        "{part} {problem}, so results are lost. "
        "Clear the fetch task with its downstream tasks: it requests only the lost results again."
    )


@dataclass(eq=False)
class NotFetched(FanoutError):
    """Results were asked for before fetch has come to its end."""

    path: str
    problem: str

    sentence: ClassVar[str] = (
        "{problem} ({path}), so there is nothing to judge yet. Validate must run after fetch: "
        "chain the tasks as extract >> fetch >> validate >> load."
    )


@dataclass(eq=False)
class NotAsValidated(FanoutError):
    """A file isn't the one that validate has judged; found before the first write."""

    path: str
    problem: str

    sentence: ClassVar[str] = (
        "{path} {problem}, so nothing was written. Load takes exactly what validate has judged. "
        "Clear the validate task with its downstream tasks to judge the files as they are now."
    )


@dataclass(eq=False)
class StagingDenied(FanoutError):
    """The user of this task may not read or write a file or a folder of the staging area."""

    path: str
    user: int
    owner: str

    sentence: ClassVar[str] = (
        "{path} can't be read or written by the user of this task (uid {user}){owner}. Run the "
        "workers, the DAG processor and the triggerer as one user, or let a group share the staging area "
        "([fanout] staging_mode). Then clear this task."
    )


@dataclass(eq=False)
class NotCleaned(FanoutError):
    """Some of the staging area couldn't be read or removed; all the rest was cleaned."""

    failures: tuple[str, ...]

    def __str__(self) -> str:
        lines = "".join(f"\n  {failure}" for failure in self.failures)
        return (
            f"{len(self.failures):,} entries of the staging area could not be read or removed. All others are done."
            f"{lines}\nThey must be readable and writable for the user of this task ([fanout] staging_mode). "
            "Fix that, or remove them by hand."
        )


@dataclass(eq=False)
class SharedTarget(FanoutError):
    """Two instances of a mapped load would replace each other's documents; found before the first write."""

    collection: str
    mode: str
    other: int
    claim: str

    sentence: ClassVar[str] = (
        "{collection} already belongs to the instance with map index {other} of this load, and "
        'mode="{mode}" would remove its documents. Nothing was written. Use mode="upsert", or give each '
        "instance its own collection. If the mapping has changed since then, remove {claim}, then clear this "
        "task."
    )
