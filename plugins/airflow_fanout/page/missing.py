"""Which parameters have no good result: from the staging area, in pages or as CSV, for those who may read the log."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import msgspec
from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from airflow_fanout.page import stored
from airflow_fanout.page.errors import NotShown
from airflow_fanout.page.guards import READS_LOGS, READS_REPORT
from airflow_fanout.page.missing_list import MissingList
from airflow_fanout.page.missing_rows import PAGE_ROWS, MissingRow
from airflow_fanout.page.reaching import reachable_list
from airflow_fanout.page.routes import known_dag, run_of
from airflow_fanout.page.steps import numbers_of

GUARDS = [Depends(guard) for guard in (*READS_REPORT, READS_LOGS)]
# A spreadsheet takes a text that begins like this for a formula; a number with a sign is none.
FORMULA = re.compile(r"[=@\t\r]|[+-](?![0-9]+$)")
COLUMNS = MissingRow.__struct_fields__

router = APIRouter(prefix="/data/dags/{dag_id}/runs/{run_id}", dependencies=GUARDS)


def missing_list(dag_id: str, run_id: str, session: SessionDep, report: str = "") -> MissingList:
    """Return the list of one of a run's reports.

    :param report: its name; by default the only one.
    :raises NotShown: if there is no list, or it isn't where this server looks.
    """
    outlines = {outline.name: outline for outline in known_dag(session, dag_id).reports}
    outline = outlines.get(report) if report else next(iter(outlines.values()), None)
    if outline is None:
        raise NotShown("There is no such report.")
    tasks = stored.stored_tasks(session, run_of(session, dag_id, run_id), outline.task_ids)
    verdict = next((numbers_of(task) for task in tasks if outline.step_of(task.task_id) == "validate"), {})
    extracted = next((task.returned for task in tasks if outline.step_of(task.task_id) == "extract"), None)
    first = extracted[0] if isinstance(extracted, list) and extracted else extracted
    if not isinstance(first, dict) or not isinstance(first.get("directory"), str):
        raise NotShown("There is no list yet.")
    directory = reachable_list(first["directory"], stored.team_of(session, dag_id))
    return MissingList(
        directory=directory, shown=verdict.get("shown") is True, accepted=frozenset(verdict.get("accepted") or ["ok"])
    )


Missing = Annotated[MissingList, Depends(missing_list)]
Search = Annotated[str, Query(max_length=200)]


@router.get("/missing")
def missing(listed: Missing, search: Search = "", offset: Annotated[int, Query(ge=0)] = 0) -> dict[str, Any]:
    """Return a page of the parameters without a good result, and how many there are."""
    rows = listed.rows(search)
    page = [msgspec.to_builtins(row) for row in islice(rows.rows(offset), PAGE_ROWS)]
    return {"rows": page, "total": rows.count, "offset": offset, "page": PAGE_ROWS, "shown": listed.shown}


@router.get("/missing.csv")
def missing_csv(listed: Missing, search: Search = "") -> StreamingResponse:
    """Return all of them as CSV in UTF-8, a hundred at a time, with the columns of the table.

    :param search: returns only the rows that contain this text.
    """
    headers = {"Content-Disposition": 'attachment; filename="missing.csv"'}
    return StreamingResponse(_csv(listed.rows(search).rows()), media_type="text/csv", headers=headers)


def _csv(rows: Iterator[MissingRow]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    while page := list(islice(rows, PAGE_ROWS)):
        writer.writerows([_cell(getattr(row, name)) for name in COLUMNS] for row in page)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
