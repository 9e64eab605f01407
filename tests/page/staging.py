"""A list with the journal of its fetch, some of whose parameters have no good result."""

from __future__ import annotations

from airflow_fanout.model.as_of import AsOf
from airflow_fanout.model.outcome import Failure, Kind, Outcome, Record
from airflow_fanout.staging.directory import ReportDirectory
from airflow_fanout.staging.frozen import Selection, freeze
from airflow_fanout.staging.journal import JournalWriter
from airflow_fanout.staging.store import Store
from tests.page.left import COUNT, MISSING, Seeded


def stage(store: Store, run: Seeded) -> str:
    """Freeze a list, and write the journal of a fetch that lacks some."""
    report = ReportDirectory.of(store, dag_id=run.dag_id, run_id=run.run_id, report="calls")
    directory = report.new_list()
    tels = [f"+1202555{index:05d}" for index in range(COUNT)]
    as_of = AsOf(moment=run.day, day=f"{run.day:%Y-%m-%d}", source="logical_date")
    manifest = freeze(tels, directory, as_of=as_of, names=("tel",), duplicates="drop", selection=Selection(), shards=1)
    generation = directory.shard(0).generation(1)
    journal = JournalWriter(generation.new_try(), iter([0]), list_id=manifest.id)
    bad_ones = {*range(500, 500 + 400 * (MISSING - 1), 400), COUNT - 1}
    for index, tel in enumerate(tels):
        outcome = Outcome(Kind.OK, result=[1])
        if index in bad_ones:
            failure = Failure("HTTPError", "503 Service Unavailable for that subscriber")
            outcome = Outcome(Kind.HTTP_ERROR, status=503, failure=failure)
            if index % 3 == 0:
                outcome = Outcome(Kind.TIMEOUT, failure=Failure("ReadTimeout", "no answer for 30 s"))
        attempts = 5 if index in bad_ones else 1
        journal.append(Record.of(index, {"tel": tel}, outcome, attempts, 210.0))
    journal.close()
    generation.mark_complete({})
    return str(directory)
