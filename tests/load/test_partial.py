"""A run that is loaded in part, and the next one, which first asks for what that one has left out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from msgspec.structs import replace

from airflow_fanout import MaxEmpty, ResultSchema
from airflow_fanout.staging.catch_up import Settled, take_settled
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.left_out import (
    LeftOut,
    left_out_by,
    left_out_parameters,
    read_left_out,
    write_left_out,
)
from airflow_fanout.staging.store import Location
from tests.load.reports import FIRST, ReportRun, Reports, Service

if TYPE_CHECKING:
    from pymongo.collection import Collection

IDS = [f"i{number}" for number in range(6)]
DAYS = [f"2026-11-{20 + day}" for day in range(10)]
NOT_LOADED = {"parameters": 1, "documents": 0, "left_out": 1, "given_up": 0}
Make = Callable[..., Reports]


@pytest.fixture
def reports(staging: Path, collection: Collection[dict[str, Any]]) -> Make:
    """Return what makes a report."""
    assert staging
    return lambda **parts: Reports(collection.name, [*IDS], parts)


def stored(collection: Collection[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the ids of the documents, by the day that the API was asked for; it is the day of the document's date."""
    by_day: dict[str, list[str]] = {}
    for document in collection.find().sort("id"):
        assert document["result"] == {"id": document["id"], "day": f"{document['as_of']:%Y-%m-%d}"}
        by_day.setdefault(document["result"]["day"], []).append(document["id"])
    return by_day


def left_out(staging: Path, run: ReportRun) -> LeftOut | None:
    """Return what a run has left out."""
    found = left_out_by(FolderStore(staging), "invoices", run.context["run_id"])
    return found.get("report")


def test_what_is_left_out_is_asked_for_first_with_its_own_date(
    reports: Make, service: Service, staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """The first run is marked as partial everywhere; the second one loads the rest of it, each under its own date."""
    report = reports()
    service.statuses.update(i1=500, i4=404)
    first = report.run(0).all()
    assert (first["validate"]["left_out"], first["validate"]["coverage"]) == (2, 4 / 6)
    assert (first["load"]["partial"], first["load"]["left_out"], first["load"]["documents"]) == (True, 2, 4)
    assert stored(collection) == {DAYS[0]: ["i0", "i2", "i3", "i5"]}
    known = left_out(staging, report.run(0))
    assert known is not None
    assert (known.count, known.causes, known.day) == (
        2,
        {"http_error 500 HTTPError": 1, "http_error 404 HTTPError": 1},
        DAYS[0],
    )

    service.statuses.clear()
    service.taken()
    second = report.run(1).all()
    assert second["extract"]["catch_up"] == 1
    assert service.taken() == sorted([(item, DAYS[1]) for item in IDS] + [("i1", DAYS[0]), ("i4", DAYS[0])])
    assert second["fetch"]["catch_up"] == [{"day": DAYS[0], "parameters": 2, "ok": 2, "kinds": {"ok": 2}}]
    assert second["fetch"]["parameters"] == 6
    assert second["validate"]["catch_up"] == [
        {"day": DAYS[0], "parameters": 2, "ok": 2, "kinds": {"ok": 2}, "left_out": 0}
    ]
    assert (second["load"]["partial"], second["load"]["documents"]) == (False, 6)
    assert second["load"]["catch_up"] == [
        {"day": DAYS[0], "parameters": 2, "documents": 2, "left_out": 0, "given_up": 0}
    ]
    assert stored(collection) == {DAYS[0]: IDS, DAYS[1]: IDS}
    assert left_out(staging, report.run(0)) is None
    settled = Settled(run_id="day 0", day=DAYS[0], loaded=2, given_up=0, days=7)
    assert take_settled(FolderStore(staging), "invoices", "day 1") == [settled]
    assert take_settled(FolderStore(staging), "invoices", "day 1") == []
    assert report.run(2).extract()["catch_up"] == 0
    assert [*(staging / "invoices" / ".history" / "left-out" / "report").iterdir()] == []


def test_it_is_asked_for_first(reports: Make, service: Service) -> None:
    """The earlier date comes before the run's own."""
    report = reports(fetch={"concurrency": 1})
    service.statuses.update(i1=500)
    report.run(0).all()
    service.statuses.clear()
    service.requests.clear()
    report.run(1).all()
    assert service.requests[0] == ("i1", DAYS[0])
    assert len(service.requests) == 7


def test_what_fails_again_is_kept_and_only_that(
    reports: Make, service: Service, staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """Each run asks for all that is still missing, of whichever run; nothing that was loaded is asked for again."""
    report = reports()
    service.statuses.update(i1=500, i4=500)
    report.run(0).all()
    service.statuses.pop("i1")
    second = report.run(1).all()
    assert second["load"]["catch_up"][0]["left_out"] == 1
    known = left_out(staging, report.run(0))
    assert known is not None
    assert known.count == 1
    service.statuses.clear()
    service.taken()
    third = report.run(2).all()
    asked_again = [request for request in service.taken() if request[1] != DAYS[2]]
    assert asked_again == [("i4", DAYS[0]), ("i4", DAYS[1])]
    assert [each["day"] for each in third["load"]["catch_up"]] == [DAYS[0], DAYS[1]]
    assert stored(collection) == {DAYS[0]: IDS, DAYS[1]: IDS, DAYS[2]: IDS}


def test_a_run_that_dies_loses_nothing(
    reports: Make, service: Service, staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """What a dead run had taken, the next one takes over; what a living one asks for, no other does."""
    report = reports()
    service.statuses.update(i1=500)
    report.run(0).all()
    service.statuses.clear()
    second = report.run(1)
    second.extract()
    second.fetch()
    report.alive.add("day 1")
    assert report.run(2).extract()["catch_up"] == 0
    report.alive.clear()
    third = report.run(3)
    assert third.extract()["catch_up"] == 1
    service.taken()
    third.fetch()
    assert ("i1", DAYS[0]) in service.taken()
    # The dead one was cleared, and goes on: it has lost what it had taken, and loads its own.
    second.fetch()
    assert service.taken() == []
    assert second.validate()["catch_up"] == []
    assert second.load()["catch_up"] == [{**NOT_LOADED, "day": DAYS[0]}]
    assert left_out(staging, report.run(0)) is not None
    third.validate()
    assert third.load()["catch_up"][0]["documents"] == 1
    assert left_out(staging, report.run(0)) is None
    assert stored(collection) == {DAYS[0]: IDS, DAYS[1]: IDS, DAYS[3]: IDS}


def test_each_task_may_be_repeated(
    reports: Make, service: Service, staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """A repeated task asks for nothing that it has, and neither loses nor brings back what is left out."""
    report = reports()
    service.statuses.update(i1=500, i4=500)
    report.run(0).all()
    service.statuses.pop("i1")
    second = report.run(1)
    second.extract()
    second.fetch()
    service.taken()
    second.fetch()
    # What failed is asked for once more by each try, as always.
    assert service.taken() == [("i4", DAYS[0]), ("i4", DAYS[1])]
    for _ in range(2):
        second.validate()
    for _ in range(2):
        written = second.load()
        assert (written["left_out"], written["catch_up"][0]["documents"]) == (1, 1)
    counts = {day: left_out(staging, report.run(day)) for day in (0, 1)}
    assert [known and known.count for known in counts.values()] == [1, 1]
    service.statuses.clear()
    report.run(2).all()
    second.load()
    assert [left_out(staging, report.run(day)) for day in (0, 1)] == [None, None]
    assert stored(collection) == {DAYS[0]: IDS, DAYS[1]: IDS, DAYS[2]: IDS}


def test_clearing_the_partial_run_completes_it(
    reports: Make, service: Service, staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """Its fetch asks only for what is missing, as after a validation that failed; the next run has nothing to do."""
    report = reports()
    service.statuses.update(i1=500)
    first = report.run(0)
    first.all()
    service.statuses.clear()
    service.taken()
    first.fetch()
    assert service.taken() == [("i1", DAYS[0])]
    assert first.validate()["left_out"] == 0
    assert first.load()["partial"] is False
    assert left_out(staging, first) is None
    assert report.run(1).extract()["catch_up"] == 0
    assert stored(collection) == {DAYS[0]: IDS}


def test_a_run_that_left_out_something_else_since_keeps_that(reports: Make, service: Service, staging: Path) -> None:
    """While a later run asks for what an earlier one left out, that one is repeated and leaves out more."""
    report = reports()
    service.statuses.update(i1=500)
    first = report.run(0)
    first.all()
    second = report.run(1)
    service.statuses.clear()
    second.extract()
    second.fetch()
    service.statuses.update(i2=500, i3=500)
    first.all()
    second.validate()
    second.load()
    known = left_out(staging, first)
    assert known is not None
    assert known.count == 2


def test_after_their_time_they_are_given_up(
    reports: Make, service: Service, staging: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are asked for at least once more, and the log and the XCom have how many are given up."""
    report = reports()
    service.statuses.update(i1=500)
    report.run(0).all()
    [file] = staging.glob("invoices/.history/left-out/report/*/parameters.jsonl.zst")
    _age(file)
    later = report.run(1).all()
    assert [each["given_up"] for each in later["load"]["catch_up"]] == [1]
    [settled] = take_settled(FolderStore(staging), "invoices", "day 1")
    assert (settled.run_id, settled.loaded, settled.given_up) == ("day 0", 0, 1)
    assert "1 of them are given up, because their time is over" in capsys.readouterr().out
    assert left_out(staging, report.run(0)) is None


def _age(file: Path) -> None:

    location = Location(FolderStore(file.parent), file.name)
    known = read_left_out(location)
    assert known is not None
    parameters = [*left_out_parameters(location, known)]
    write_left_out(location, replace(known, until=datetime(2026, 1, 1, tzinfo=UTC)), parameters)


def test_a_trouble_of_theirs_is_none_of_the_run(
    reports: Make,
    service: Service,
    staging: Path,
    collection: Collection[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A check that their results fail keeps them for the next run; today's report is loaded."""
    schema = ResultSchema({"properties": {"day": {"not": {"const": DAYS[0]}}}})
    report = reports(validate={"checks": [schema, MaxEmpty(0.0)], "min_coverage": 0.5})
    service.statuses.update(i1=500)
    passing = Reports(collection.name, IDS, {})
    passing.run(0).all()
    service.statuses.clear()
    second = report.run(1).all()
    assert (
        "aren't loaded now, and are kept for the next run: ResultSchema: 1 results don't fit" in capsys.readouterr().out
    )
    assert second["load"]["catch_up"] == [{**NOT_LOADED, "day": DAYS[0]}]
    assert left_out(staging, report.run(0)) is not None
    assert stored(collection)[DAYS[1]] == IDS


def test_a_run_for_a_part_of_the_list_asks_for_nothing_else(reports: Make, service: Service) -> None:
    """`limit` and `only` say what the run is for."""
    report = reports()
    service.statuses.update(i1=500)
    report.run(0).all()
    assert report.run(1, limit=2).extract()["catch_up"] == 0
    assert report.run(1, only=["i1"]).extract()["catch_up"] == 0
    assert report.run(1).extract()["catch_up"] == 1


@pytest.mark.parametrize(
    ("statuses", "validate"),
    [
        (dict.fromkeys(IDS, 500), {}),
        (dict.fromkeys(IDS[:3], 500), {"min_coverage": 0.6}),
        (dict.fromkeys(IDS[:1], 500), {"allow_partial": False}),
    ],
    ids=["none is good", "too few are good", "not allowed"],
)
def test_too_little_is_not_loaded(
    reports: Make, service: Service, staging: Path, statuses: dict[str, int], validate: dict[str, Any]
) -> None:
    """A run without a good result, or with fewer than the author demands, fails as always."""
    run = reports(validate=validate).run(0)
    service.statuses.update(statuses)
    run.extract()
    run.fetch()
    with pytest.raises(AirflowFailException, match=f"{len(statuses)} of 6 parameters have no valid result"):
        run.validate()
    with pytest.raises(AirflowFailException, match="No validate task has passed these results"):
        run.load()
    assert left_out(staging, run) is None


def test_an_allowed_outcome_is_not_left_out(reports: Make, service: Service, staging: Path) -> None:
    """`allow` names outcomes that are good; `min_coverage` no longer lets others pass unseen."""
    report = reports(validate={"allow": ("http_error",), "min_coverage": 0.5})
    service.statuses.update(i1=404)
    returned = report.run(0).all()
    assert (returned["load"]["partial"], returned["validate"]["coverage"]) == (False, 1.0)
    assert left_out(staging, report.run(0)) is None


def test_without_a_date_in_the_key_the_newer_document_stays(
    reports: Make, service: Service, collection: Collection[dict[str, Any]]
) -> None:
    """What is loaded late doesn't replace what a run of a later date has loaded."""
    report = reports(load={"as_of_field": None})
    service.statuses.update(i1=500)
    report.run(0).all()
    held = report.run(1)
    held.extract()
    service.statuses.clear()
    report.alive.add("day 1")
    report.run(2).all()
    for step in (held.fetch, held.validate, held.load):
        step()
    assert stored(collection) == {DAYS[2]: IDS}


def test_a_function_is_asked_with_too(reports: Make, service: Service, collection: Collection[dict[str, Any]]) -> None:
    """A function has no template; it is called for what is left out like for anything else."""

    def fetch(session: Any, id: str) -> Any:  # noqa: A002 - the field's name
        response = session.get(f"/items/{id}")
        response.raise_for_status()
        return response.json()

    report = reports()
    service.statuses.update(i1=500)
    report.run(0, request=fetch).all()
    service.statuses.clear()
    service.taken()
    report.run(1, request=fetch).all()
    assert len(service.taken()) == 7
    assert collection.count_documents({"as_of": FIRST}) == 6
