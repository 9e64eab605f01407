"""A run that was extracted and fetched, in a staging area of a test's own, and the operators that go on with it."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow_fanout import MongoLoadOperator, ValidateOperator
from airflow_fanout.model.as_of import AsOf
from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.files import PRIVATE
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.frozen import Manifest, Selection, freeze
from airflow_fanout.staging.journal import JournalWriter
from tests.staging.places import path_of

AS_OF = datetime(2026, 11, 22, tzinfo=UTC)
COUNT = 60


@dataclass(frozen=True)
class Staged:
    """A run's list and journal: three parts of a first try, and one of a second."""

    directory: ListDirectory
    manifest: Manifest

    @property
    def reference(self) -> dict[str, Any]:
        """What extract has returned."""
        return {"directory": str(self.directory), "list": self.manifest.id}

    @property
    def parts(self) -> list[Path]:
        """The files of the journal."""
        return [path_of(part) for part in self.directory.shard(0).generation(1).parts()]


def staged(staging: Path, *, run_id: str = "monday", version: int = 1, day: int = 22) -> Staged:
    """Freeze a list, and write the journal that a fetch would leave."""
    directory = ReportDirectory.of(
        FolderStore(staging, PRIVATE), dag_id="report", run_id=run_id, report="calls"
    ).new_list()
    manifest = freeze(
        (f"+12025550{index:03d}" for index in range(100, 100 + COUNT)),
        directory,
        as_of=AsOf(moment=AS_OF.replace(day=day), day=f"2026-11-{day}", source="logical_date"),
        names=("tel",),
        duplicates="drop",
        selection=Selection(),
        shards=1,
    )
    made = Staged(directory, manifest)
    for indexes in (range(20), range(20, 40), range(40, COUNT)):
        write_part(made, indexes, version, first=indexes.start == 0)
    write_part(made, range(10), version, first=True)
    directory.shard(0).generation(1).mark_complete({})
    return made


def write_part(run: Staged, indexes: range, version: int, *, first: bool) -> None:
    """Write one part of the journal, with `first` that of a new try."""
    generation = run.directory.shard(0).generation(1)
    attempt = generation.new_try() if first else generation.newest_try()
    assert attempt is not None
    number = len(attempt.parts())
    journal = JournalWriter(attempt, iter([number]), list_id=run.manifest.id)
    for index in indexes:
        parameter = {"tel": f"+12025550{100 + index:03d}"}
        journal.append(Record.of(index, parameter, Outcome(Kind.OK, result={"v": version, "i": index}), 1, 1.0))
    journal.close()


def validate(run: Staged, **options: Any) -> dict[str, Any]:
    """Judge a run as its task does."""
    operator = ValidateOperator(task_id="validate", parameters=run.reference, **options)
    return operator.execute({})  # type: ignore[typeddict-item] # nothing of the context is needed


def load(run: Staged, collection: str, mode: str) -> dict[str, Any]:
    """Load a run as its task does, into a collection of the database `reports`."""
    operator = MongoLoadOperator(
        task_id="load",
        parameters=run.reference,
        database="reports",
        collection=collection,
        key=("tel",),
        mode=mode,  # type: ignore[arg-type] # one of the three
    )
    task = SimpleNamespace(dag_id="report", run_id="monday", task_id="load", map_index=-1)
    context: Any = {"ti": task, "outlet_events": defaultdict(SimpleNamespace)}
    return operator.execute(context)


def connect(mongo_connection: str, staging: Path) -> None:
    """Tell the operators where the staging area and MongoDB are."""
    os.environ["AIRFLOW__FANOUT__STAGING"] = str(staging)
    os.environ["AIRFLOW_CONN_MONGO_DEFAULT"] = mongo_connection
