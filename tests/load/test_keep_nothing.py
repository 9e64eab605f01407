"""A report with `keep_days=0`: once its results are loaded, neither they nor the parameters are staged any more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout import ExtractOperator, FanoutTaskGroup, MongoLoadOperator, Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.operators.report import Report
from airflow_fanout.preflight.findings import Findings
from airflow_fanout.staging.catch_up import take_settled
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.live import live
from tests.load.reports import FIRST, ReportRun, Reports, Service

if TYPE_CHECKING:
    from pymongo.collection import Collection

IDS = [f"subscriber-{number}" for number in range(6)]


def no_key(parameter: Any, result: Any) -> dict[str, Any]:
    """Return a document that can't be loaded."""
    return {"id": None}


KEEP_NOTHING: dict[str, Any] = {"load": {"keep_days": 0}, "validate": {"allow_partial": False}}


@pytest.fixture
def reports(staging: Path, collection: Collection[dict[str, Any]]) -> Callable[..., Reports]:
    """Return what makes a report that keeps nothing."""
    assert staging
    return lambda **parts: Reports(collection.name, [*IDS], {**KEEP_NOTHING, **parts})


def staged_text(folder: Path) -> str:
    """Return all that can be read in a folder, names included."""
    texts = []
    for file in sorted(folder.rglob("*")):
        content = file.read_bytes() if file.is_file() else b""
        if file.suffix == ".zst":
            with zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True) as reader:
                content = reader.read()
        texts.append(f"{file.name} {content.decode(errors='replace')}")
    return "\n".join(texts)


def test_nothing_of_it_is_staged_once_it_is_loaded(
    reports: Callable[..., Reports], staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """Not of an earlier execution of extract either; what holds no parameter stays for messages and comparisons."""
    run = reports().run(0)
    run.extract()
    run.fetch()
    assert run.all()["load"]["documents"] == 6
    assert collection.count_documents({}) == 6
    assert "subscriber" not in staged_text(staging)
    assert not [*staging.rglob("*.zst")]
    assert (staging / "invoices" / ".history" / "report.jsonl").exists()
    assert [(each.step, each.total) for each in live(FolderStore(staging), "invoices", "day 0")] == [("load", 6)]


@pytest.mark.parametrize("step", ["fetch", "validate", "load"])
def test_a_run_that_is_cleared_says_what_to_do_and_extract_begins_again(
    reports: Callable[..., Reports], service: Service, collection: Collection[dict[str, Any]], step: str
) -> None:
    """From any later task on there is one message; nothing is requested, and the documents stay."""
    run = reports().run(0)
    run.all()
    run.context["dag_run"].clear_number = 1
    service.taken()
    with pytest.raises(AirflowFailException, match=r"keep_days=0\. Clear the run from its extract task on"):
        getattr(run, step)()
    assert service.taken() == []
    assert collection.count_documents({}) == 6
    assert run.all()["load"]["documents"] == 6


def test_a_load_whose_end_airflow_did_not_hear_of_is_good_when_it_is_retried(
    reports: Callable[..., Reports], staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """It died while it removed what was staged, or after that: the retry removes the rest, and has its counts."""
    run = reports().run(0)
    for step in ("extract", "fetch", "validate"):
        getattr(run, step)()
    kept = {file: file.read_bytes() for file in staging.rglob("*.zst")}
    first = run.load()
    for file, content in kept.items():
        file.write_bytes(content)
    assert "subscriber" in staged_text(staging)
    collection.drop()
    assert run.load() == first
    assert collection.count_documents({}) == 0
    assert "subscriber" not in staged_text(staging)


def test_what_is_left_out_stays_for_the_next_run_and_only_that(
    reports: Callable[..., Reports], service: Service, staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """The next run asks for it, with its own date; after that it is gone, too, and the message about it isn't."""
    report = reports(validate={"allow_partial": True})
    service.statuses.update({IDS[1]: 500})
    assert report.run(0).all()["load"]["left_out"] == 1
    assert {name for name in IDS if name in staged_text(staging)} == {IDS[1]}
    service.statuses.clear()
    assert report.run(1).all()["load"]["catch_up"][0]["documents"] == 1
    assert collection.count_documents({}) == 12
    assert "subscriber" not in staged_text(staging)
    [settled] = take_settled(FolderStore(staging), "invoices", "day 1")
    assert (settled.run_id, settled.loaded) == ("day 0", 1)


def test_a_load_that_fails_removes_nothing(reports: Callable[..., Reports], staging: Path) -> None:
    """What isn't in MongoDB is only there."""
    run: ReportRun = reports(load={"keep_days": 0, "document": no_key}).run(0)
    with pytest.raises(AirflowFailException):
        run.all()
    assert "subscriber" in staged_text(staging)


@pytest.mark.parametrize("keep_days", [1, -1, True, "0", 0.5])
def test_any_other_number_of_days_is_an_import_error(keep_days: object) -> None:
    """The message says who keeps the others."""
    with pytest.raises(BadSetting, match=r"keep_days is .*CleanStagingOperator\(keep_days"):
        MongoLoadOperator(
            task_id="load",
            parameters={"directory": ""},
            database="reports",
            collection="calls",
            key=("id",),
            keep_days=keep_days,  # type: ignore[arg-type]
        )


def test_what_compares_with_the_last_run_is_an_import_error() -> None:
    """There would be nothing to compare with, and every request would be answered in full."""
    with (
        DAG("invoices", schedule=None, start_date=FIRST),
        pytest.raises(BadSetting, match=r"load.keep_days is 0: expected None with Request\(conditional=True\)"),
    ):
        FanoutTaskGroup(
            "report",
            extract={"source": lambda: IDS, "names": ("id",)},
            fetch={"request": Request(endpoint="/items/{id}", conditional=True), "http_conn_id": "call_api"},
            load={"database": "reports", "collection": "calls", "key": ("id",), "keep_days": 0},
        )


def test_the_preflight_finds_a_second_load_of_the_list() -> None:
    """Whichever of them ends first would leave the other one nothing."""
    with DAG("invoices", schedule=None, start_date=FIRST) as dag:
        extract = ExtractOperator(task_id="extract", source=lambda: IDS, names=("id",))
        target: dict[str, Any] = {"parameters": extract.output, "database": "reports", "key": ("id",)}
        MongoLoadOperator(task_id="first", collection="one", keep_days=0, **target)
        MongoLoadOperator(task_id="second", collection="two", **target)
    findings = Findings()
    Report(extract, dag).check_kept(findings)
    assert [str(each) for each in findings.problems] == [
        "first: keep_days is 0, and second would find nothing to load any more"
    ]
