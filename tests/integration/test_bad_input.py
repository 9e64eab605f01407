"""What bad input gets: an error in the task's log that says what to do, before anything was sent or written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from harness.numbers import number
from tests.airflow_fixture import SharedAirflow
from tests.integration.own import OwnReports, own_service
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = pytest.mark.airflow


@dataclass(frozen=True)
class Refused:
    """A report that is refused, by which task, and with which words."""

    dag_id: str
    task: str
    says: tuple[str, ...]


# The reports are in dags/bad_input.py.
UNSENT = (
    Refused("misspelt", "extract", ("endpoint uses {tle}", "every parameter of this list has: tel", "mean {tel}?")),
    Refused("not_json", "extract", ("Parameter 1 of the source", "isn't JSON", "a dict that JSON can hold")),
    Refused("empty", "extract", ("nobody (bad_input", "no parameter at all", "allow_empty=True")),
    Refused("twins_refused", "extract", ("Parameter 10 of the source", "appears earlier", 'duplicates="drop"')),
    Refused("no_connection", "extract", ("'nowhere' isn't there", "AIRFLOW_CONN_NOWHERE")),
    Refused("no_host", "extract", ("'hostless' has no host", "Admin > Connections")),
    Refused("not_a_number", "extract", ("concurrency is 'plenty'", "a whole number of at least 1")),
    Refused(
        "unready",
        "extract",
        (
            "5 problems found",
            "fetch: The connection 'nowhere' isn't there",
            "fetch: concurrency is '[]'",
            "load: database is 'None'",
            "load: The connection 'mongo_address' has the type 'mongodb'",
            "extract: shards is 2,000",
        ),
    ),
    Refused("unknown_only", "extract", ("asks for 1 parameter(s) that the source doesn't have", "…00")),
)
UNWRITTEN = (
    Refused("no_key", "load", ("it has no key field 'customer'; it has: calls, as_of", "No document of this run")),
    Refused("beyond_64_bits", "load", ("parameter 5 ({tel: …05})", "its field 'total' can't be stored", "64 bits")),
    Refused("same_key", "load", ("another document of this run has the same day", "No document of this run")),
    Refused("not_validated", "load", ("No validate task has passed these results", "Put ValidateOperator before")),
)
GOOD = ("empty_allowed", "twins_dropped")
CONF: Mapping[str, Mapping[str, Any]] = {"unknown_only": {"only": [{"tel": number(101)}, {"tel": number(1500)}]}}


@dataclass(frozen=True)
class Ended:
    """All of these reports after their end, and how often each subscriber was asked for meanwhile."""

    runs: Mapping[str, Run]
    asked: Mapping[str, int]
    paths: Mapping[str, int]


@pytest.fixture(scope="module")
def ended(airflow: SharedAirflow) -> Iterator[Ended]:
    """All of these reports, run side by side."""
    client = airflow.client()
    wanted = [*GOOD, *(case.dag_id for case in (*UNSENT, *UNWRITTEN))]
    with own_service() as service, OwnReports(airflow, service).open() as reports:
        runs = {name: Run.trigger(client, reports.dag(name), CONF.get(name)) for name in wanted}
        for run in runs.values():
            run.ended()
        yield Ended(runs, service.asked(), service.stats()["by_path"])


@pytest.mark.parametrize("case", [*UNSENT, *UNWRITTEN], ids=lambda case: case.dag_id)
def test_bad_input_is_refused(ended: Ended, case: Refused) -> None:
    """The task fails at once, without retry, and its log says what is wrong and what to do."""
    run = ended.runs[case.dag_id]
    log = run.log(case.task)
    assert run.states[case.task] == "failed", log
    assert run.tries(case.task) == 1
    assert [words for words in case.says if words not in log] == [], log


def test_nothing_is_sent_for_bad_input(ended: Ended) -> None:
    """Whatever is wrong before the fetch stops the run before its first request."""
    assert ended.asked == {number(index): 5 for index in range(200, 210)}


def test_nothing_is_sent_for_a_report_that_is_not_ready(ended: Ended) -> None:
    """Not even its list is asked for; its one failed task is extract, and the others weren't begun."""
    assert "/subscribers.json" not in ended.paths
    states = ended.runs["unready"].states
    assert {task: state for task, state in states.items() if state == "failed"} == {"extract": "failed"}


@pytest.mark.parametrize("case", UNWRITTEN, ids=lambda case: case.dag_id)
def test_nothing_is_written_of_a_refused_load(ended: Ended, loaded: Database[dict[str, Any]], case: Refused) -> None:
    """Of results that can't all be loaded, none is."""
    assert loaded[ended.runs[case.dag_id].dag_id].count_documents({}) == 0


def test_an_empty_list_may_be_allowed(ended: Ended, loaded: Database[dict[str, Any]]) -> None:
    """With `allow_empty=True` an empty list goes through all four tasks, and is no document."""
    run = ended.runs["empty_allowed"]
    run.succeeded()
    assert [run.returned(task)["parameters"] for task in ("extract", "fetch", "validate", "load")] == [0, 0, 0, 0]
    assert run.returned("load")["documents"] == loaded[run.dag_id].count_documents({}) == 0


def test_duplicates_are_dropped_and_counted(ended: Ended, loaded: Database[dict[str, Any]]) -> None:
    """Of equal parameters the first is kept; the others are counted, and not asked for."""
    run = ended.runs["twins_dropped"]
    run.succeeded()
    listed = run.returned("extract")
    assert (listed["parameters"], listed["duplicates"]) == (10, 3)
    assert run.returned("fetch")["requests"] == loaded[run.dag_id].count_documents({}) == 10
