"""Requests that are answered in full only if something has changed since the report's last good run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout import Cursor, Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.results import Results
from tests.load.reports import ReportRun, Reports, Service

if TYPE_CHECKING:
    from pymongo.collection import Collection

IDS = [f"i{number}" for number in range(4)]
PLAIN = Request(endpoint="/items/{id}", conditional=True)
Make = Callable[..., Reports]


@pytest.fixture
def service(service: Service) -> Service:
    """The service, whose items are all of version 1."""
    service.versions = dict.fromkeys(IDS, '"1"')
    return service


@pytest.fixture
def reports(staging: Path, collection: Collection[dict[str, Any]]) -> Make:
    """Return what makes a report."""
    assert staging
    return lambda **parts: Reports(collection.name, [*IDS], {"validate": {"allow_partial": False}, **parts})


def fetched(run: ReportRun) -> dict[str, tuple[str, int | None, Any]]:
    """Extract, fetch and validate; return kind, status and result of each parameter."""
    run.extract()
    run.fetch()
    run.validate()
    directory = list_at(run.listed["directory"])
    records = Results(directory, read_manifest(directory)).records()
    return {record.parameter["id"]: (record.kind, record.status, record.result) for record in records}


def seen(service: Service) -> tuple[list[str], list[str]]:
    """Return which items were asked for on a condition, and which had not changed, since the last call."""
    conditions, unchanged = sorted(service.conditions), sorted(service.unchanged)
    service.conditions.clear()
    service.unchanged.clear()
    return conditions, unchanged


@pytest.mark.parametrize("transport", ["curl", "requests"])
@pytest.mark.parametrize("by", ["versions", "dates", "both"])
def test_what_has_not_changed_keeps_its_result(reports: Make, service: Service, transport: str, by: str) -> None:
    """A 304 is an ok with the old result; what has changed comes in full; the run after that knows both."""
    if by != "versions":
        service.dates = dict.fromkeys(IDS, "Sun, 22 Nov 2026 10:00:00 GMT")
    if by == "dates":
        service.versions = {}
    report = reports(fetch={"transport": transport})
    first = fetched(report.run(0, request=PLAIN))
    assert seen(service) == ([], [])
    if by == "dates":
        service.dates["i1"] = "Mon, 23 Nov 2026 10:00:00 GMT"
    else:
        service.versions["i1"] = '"2"'
    for day in (1, 2):
        later = fetched(report.run(day, request=PLAIN))
        unchanged = ["i0", "i2", "i3"] if day == 1 else IDS
        assert seen(service) == (IDS, unchanged)
        assert {item: status for item, (_, status, _) in later.items()} == {
            item: 304 if item in unchanged else 200 for item in IDS
        }
        assert {kind for kind, _, _ in later.values()} == {"ok"}
        changed = {} if by == "dates" else {"v": '"2"'}
        assert {item: result for item, (_, _, result) in later.items()} == {
            **{item: result for item, (_, _, result) in first.items()},
            "i1": {**first["i1"][2], **changed},
        }


def test_what_is_loaded_is_the_old_result(
    reports: Make, service: Service, collection: Collection[dict[str, Any]]
) -> None:
    """Each run's documents are whole, with its own date."""
    report = reports()
    for day in (0, 1):
        report.run(day, request=PLAIN).all()
    assert seen(service)[1] == IDS
    assert collection.count_documents({"result.v": '"1"'}) == 2 * len(IDS)


def test_another_address_is_another_thing(reports: Make, service: Service) -> None:
    """A version belongs to an address: a request for another day is asked for in full, whatever its version."""
    report = reports()
    daily = Request(endpoint="/items/{id}", query={"day": "{{ macros.fanout.day() }}"}, conditional=True)
    fetched(report.run(0, request=daily))
    assert {result["day"] for _, _, result in fetched(report.run(1, request=daily)).values()} == {"2026-11-21"}
    assert seen(service) == ([], [])


@pytest.mark.parametrize(
    "changed",
    [{"result": "id"}, {"headers": {"Accept-Language": "de"}}, {"failed_if": "broken"}, {"null_statuses": (404,)}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_changed_request_is_asked_in_full(reports: Make, service: Service, changed: dict[str, Any]) -> None:
    """An old result is what the author wanted then."""
    report = reports()
    fetched(report.run(0, request=PLAIN))
    fetched(report.run(1, request=Request(endpoint="/items/{id}", conditional=True, **changed)))
    assert seen(service) == ([], [])


@pytest.mark.parametrize("damage", ["gone", "cut", "manifest"])
def test_without_the_old_journal_all_is_asked_in_full(reports: Make, service: Service, damage: str) -> None:
    """The staging area was cleaned, or a disk has lost something: that is no reason to fail, or to guess."""
    report = reports()
    first = report.run(0, request=PLAIN)
    fetched(first)
    folder = Path(first.listed["directory"])
    if damage == "gone":
        shutil.rmtree(folder.parents[1])
    elif damage == "cut":
        [part] = folder.glob("journal/*/*/*/part-*")
        part.write_bytes(part.read_bytes()[:-20])
    else:
        (folder / "manifest.json").write_text("{}")
    later = fetched(report.run(1, request=PLAIN))
    assert seen(service) == ([], [])
    assert {status for _, status, _ in later.values()} == {200}


def test_a_plain_report_sends_no_condition_and_keeps_no_version(reports: Make, service: Service) -> None:
    """Nothing of it is in a journal unless the author asks for it; then the next run is the first."""
    report = reports()
    request = Request(endpoint="/items/{id}")
    run = report.run(0, request=request)
    fetched(run)
    directory = list_at(run.listed["directory"])
    assert {record.validators for record in Results(directory, read_manifest(directory)).records()} == {None}
    fetched(report.run(1, request=request))
    fetched(report.run(2, request=PLAIN))
    assert seen(service) == ([], [])


def test_refetch_asks_for_all_in_full(reports: Make, service: Service) -> None:
    """Who wants everything again doesn't want old results."""
    report = reports()
    fetched(report.run(0, request=PLAIN))
    fetched(reports(fetch={"refetch": True}).run(1, request=PLAIN))
    assert seen(service) == ([], [])


def test_a_failure_is_no_version(reports: Make, service: Service) -> None:
    """What failed in the last run is asked for in full; a 304 that nobody has asked for is a failure."""
    report = reports(validate={"allow_partial": True})
    service.statuses.update(i1=500, i2=304)
    first = fetched(report.run(0, request=PLAIN))
    assert (first["i1"][:2], first["i2"][:2]) == (("http_error", 500), ("http_error", 304))
    service.statuses.clear()
    later = fetched(report.run(1, request=PLAIN))
    assert {item: status for item, (_, status, _) in later.items()} == {"i0": 304, "i1": 200, "i2": 200, "i3": 304}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "POST", "json": {}}, "False with POST: only a GET has versions"),
        ({"pages": Cursor(field="next"), "result": "items"}, "nothing besides `conditional`"),
        ({"failed_if": bool}, "no function in `failed_if`"),
        ({"headers": {"if-none-match": "*"}}, "no 'if-none-match', because `conditional` sends its own"),
        ({"conditional": "yes"}, "conditional is 'yes': expected True or False"),
    ],
    ids=["post", "pages", "function", "header", "text"],
)
def test_what_has_no_versions_is_an_import_error(fields: dict[str, Any], message: str) -> None:
    """A condition needs one request, whose answer is read in the same way each time."""
    with pytest.raises(BadSetting, match=message):
        Request(**{"endpoint": "/items/{id}", "conditional": True, **fields})
