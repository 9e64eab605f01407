"""Which parameters have no good result: from the staging area, in pages or as CSV, for those who may read the log."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from airflow_fanout.adapters.border import is_storage, list_directory, staging_address
from airflow_fanout.errors import FanoutError
from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.page import stored
from airflow_fanout.page.errors import NotShown
from airflow_fanout.page.guards import READS_LOGS, READS_REPORT
from airflow_fanout.page.routes import outlines_of, run_of
from airflow_fanout.page.steps import numbers_of
from airflow_fanout.privacy.telling import words_of
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import read_manifest, read_parameters
from airflow_fanout.staging.results import Results
from airflow_fanout.validation.verdict import cut, show

GUARDS = [Depends(guard) for guard in (*READS_REPORT, READS_LOGS)]
PAGE_ROWS = 100
GONE = (
    "The list isn't there: either this API server doesn't see the workers' staging area, or the run's files were "
    "cleaned. The samples above are what is left."
)
# A spreadsheet takes a text that begins like this for a formula; a number with a sign is none.
FORMULA = re.compile(r"[=@\t\r]|[+-](?![0-9]+$)")
COLUMNS = ("index", "parameter", "kind", "status", "attempts", "message")

router = APIRouter(prefix="/data/dags/{dag_id}/runs/{run_id}", dependencies=GUARDS)


class MissingList(msgspec.Struct, frozen=True, kw_only=True):
    """A run's list, of which some parameters have no good result.

    :param shown: whether the report shows its parameters as they are.
    :param accepted: the kinds of outcome that the report takes as good.
    """

    directory: ListDirectory
    shown: bool
    accepted: frozenset[str]

    def rows(self, search: str = "") -> Iterator[dict[str, Any]]:
        """Yield a row for each such parameter, those without any outcome last.

        :param search: a text that a row must hold, whatever its case; what is masked isn't searched.
        """
        manifest = read_manifest(self.directory)
        results = Results(self.directory, manifest)
        wanted = search.casefold()
        for row in self._rows(results, manifest.count):
            if not wanted or any(wanted in str(value).casefold() for value in row.values()):
                yield row

    def _rows(self, results: Results, count: int) -> Iterator[dict[str, Any]]:
        for record in results.records():
            if record.kind not in self.accepted:
                yield self._row(record)
        untried = {*results.missing()}
        if not untried:
            return
        for index, parameter in read_parameters(self.directory, range(count)):
            if index in untried:
                name = show(parameter, shown=self.shown)
                row = {"index": index, "parameter": name, "kind": str(Kind.NOT_TRIED), "attempts": 0}
                yield {**row, "status": None, "message": "The run ended before it was requested."}

    def _row(self, record: Record) -> dict[str, Any]:
        failure, message = record.failure, ""
        if failure is not None:
            words = words_of(failure, kind=record.kind, status=record.status, parameter=record.parameter)
            message = f"{failure.type}: {cut(failure.message if self.shown else words)}"
        return {
            "index": record.index,
            "parameter": show(record.parameter, shown=self.shown),
            "kind": str(record.kind),
            "status": record.status,
            "attempts": record.attempts,
            "message": message,
        }


def missing_list(dag_id: str, run_id: str, session: SessionDep, report: str = "") -> MissingList:
    """Return the list of one of a run's reports.

    :param report: its name; by default the only one.
    :raises NotShown: if there is no list, or it isn't where this server looks.
    """
    outlines = {outline.name: outline for outline in outlines_of(session, dag_id)}
    outline = outlines.get(report) if report else next(iter(outlines.values()), None)
    if outline is None:
        raise NotShown("There is no such report.")
    tasks = stored.stored_tasks(session, run_of(session, dag_id, run_id), outline.task_ids)
    verdict = next((numbers_of(task) for task in tasks if outline.step_of(task.task_id) == "validate"), {})
    extracted = next((task.returned for task in tasks if outline.step_of(task.task_id) == "extract"), None)
    first = extracted[0] if isinstance(extracted, list) and extracted else extracted
    if not isinstance(first, dict) or not isinstance(first.get("directory"), str):
        raise NotShown("There is no list yet.")
    directory = _reachable(first["directory"], stored.team_of(session, dag_id))
    return MissingList(
        directory=directory, shown=verdict.get("shown") is True, accepted=frozenset(verdict.get("accepted") or ["ok"])
    )


def _reachable(address: str, team: str | None) -> ListDirectory:
    """Return the list at an address; whoever could change an XCom must not have this server read another file.

    :param team: the one that the DAG belongs to.
    """
    try:
        area = staging_address(team)
        if not _is_within(address, area):
            raise NotShown(f"The list is at {address}, and this API server's staging area is {area}.", 409)
        directory = list_directory({"directory": address})
        directory.manifest.content()
    except FileNotFoundError:
        raise NotShown(GONE, 409) from None
    except (FanoutError, OSError) as error:
        raise NotShown(f"This API server can't read the staging area: {type(error).__name__}.", 409) from error
    return directory


def _is_within(address: str, area: str) -> bool:
    if is_storage(address) or is_storage(area):
        return address.startswith(f"{area.rstrip('/')}/") and ".." not in address.split("/")
    return Path(address).resolve().is_relative_to(Path(urlsplit(area).path).expanduser().resolve())


Missing = Annotated[MissingList, Depends(missing_list)]


@router.get("/missing")
def missing(listed: Missing, search: str = "", offset: Annotated[int, Query(ge=0)] = 0) -> dict[str, Any]:
    """Return a page of the parameters without a good result, and how many there are."""
    rows, total = [], 0
    try:
        for row in listed.rows(search):
            if offset <= total < offset + PAGE_ROWS:
                rows.append(row)
            total += 1
    except (FanoutError, OSError) as error:
        raise NotShown(f"The results can't be read: {type(error).__name__}. Fetch may be writing them.", 409) from error
    return {"rows": rows, "total": total, "offset": offset, "page": PAGE_ROWS, "shown": listed.shown}


@router.get("/missing.csv")
def missing_csv(listed: Missing, search: str = "") -> StreamingResponse:
    """Return all of them as CSV in UTF-8, row by row, with the columns of the table.

    :param search: returns only the rows that contain this text.
    """
    headers = {"Content-Disposition": 'attachment; filename="missing.csv"'}
    return StreamingResponse(_csv(listed.rows(search)), media_type="text/csv", headers=headers)


def _csv(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
