"""Several reports in one run: mapped ones, and two in one task group. None takes another's place."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, TaskGroup, task, task_group
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout import ExtractOperator, FanoutTaskGroup, MongoLoadOperator, Request
from airflow_fanout.adapters.reports import report_name
from airflow_fanout.errors import BadSetting
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.folder import list_at
from harness.airflow.connections import mongo_connection
from tests.load.staged import COUNT, Staged, staged, validate
from tests.staging.places import path_of

if TYPE_CHECKING:
    from pymongo.collection import Collection

REPORT: dict[str, Any] = {
    "fetch": {"request": Request(endpoint="/{tel}"), "http_conn_id": "api"},
    "load": {"database": "reports", "collection": "calls", "key": ("tel",)},
}


@pytest.fixture
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mongo_uri: str) -> Path:
    """A staging area of the test's own."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_MONGO_DEFAULT", mongo_connection(mongo_uri))
    # These reports have no API.
    monkeypatch.setenv("AIRFLOW__FANOUT__PREFLIGHT", "False")
    return tmp_path


def extract(task_id: str) -> ExtractOperator:
    """Return an extract of the DAG or of the group that is being written."""
    return ExtractOperator(task_id=task_id, source=lambda: ["+12025550100"], names=("tel",))


def list_of(operator: ExtractOperator, map_index: int = -1) -> ListDirectory:
    """Run an extract, as one instance of it; return its list's directory."""
    run = SimpleNamespace(run_id="monday", logical_date=None, run_after=None, conf={}, run_type="manual")
    run.logical_date = run.run_after = datetime(2026, 11, 22, tzinfo=UTC)
    context: Any = {
        "dag_run": run,
        "params": {},
        "dag": operator.dag,
        "ti": SimpleNamespace(map_index=map_index, task_id=operator.task_id),
    }
    made: Any = operator.execute(context)
    return list_at(made["directory"])


def test_two_reports_of_one_task_group_share_neither_directory_nor_history(staging: Path) -> None:
    """Each extract is a report of its own, in a plain task group as well as without one."""
    with DAG("daily", schedule=None):
        with TaskGroup("both"):
            first, second = extract("calls"), extract("accounts")
        third = extract("numbers")
    lists = [list_of(one) for one in (first, second, third)]
    assert {path_of(made).name for made in lists} == {"list-0001"}
    assert [path_of(made.history).name for made in lists] == [
        "both.calls.jsonl",
        "both.accounts.jsonl",
        "numbers.jsonl",
    ]


def test_a_reports_own_group_names_it(staging: Path) -> None:
    """A FanoutTaskGroup is one report; another extract in it is another report."""
    with DAG("daily", schedule=None):
        group = FanoutTaskGroup("calls", extract={"source": lambda: ["+12025550100"], "names": ("tel",)}, **REPORT)
        with group:
            other = extract("other")
    assert [path_of(list_of(one)).parent.name for one in (group.extract, other)] == ["calls", "calls.other"]


def test_each_mapped_report_has_a_directory_and_a_history_of_its_own(staging: Path) -> None:
    """The map index tells them apart, so that a repeated one finds its own."""
    with DAG("daily", schedule=None):
        mapped = extract("calls")
    lists = [list_of(mapped, index) for index in (0, 1, 10, 1)]
    assert [f"{path_of(made).parent.name}/{path_of(made).name}" for made in lists] == [
        "calls@0/list-0001",
        "calls@1/list-0001",
        "calls@10/list-0001",
        "calls@1/list-0002",
    ]
    assert [path_of(made.history).name for made in lists[:3]] == ["calls@0.jsonl", "calls@1.jsonl", "calls@10.jsonl"]
    assert report_name("calls", None, -1) == "calls"


def in_group(mode: str, collection: str, *, nested: bool = False) -> None:
    """Write a DAG with a mapped task group that loads, whose load is perhaps in a group in it."""
    with DAG("daily", schedule=None):

        @task_group
        def of_account(account: str) -> None:
            if nested:
                FanoutTaskGroup(
                    "calls",
                    extract={"source": list},
                    fetch=REPORT["fetch"],
                    load={**REPORT["load"], "mode": mode, "collection": collection},
                )
            else:
                target = {**REPORT["load"], "collection": collection}
                MongoLoadOperator(task_id="load", parameters={"directory": "x"}, mode=mode, **target)

        of_account.expand(account=["a", "b"])


@pytest.mark.parametrize("mode", ["replace_run", "swap"])
def test_a_mapped_load_that_would_remove_the_others_documents_is_an_import_error(mode: str) -> None:
    """In a mapped task group, in a group in it, and by partial and expand; the message says what to do instead."""
    for nested in (False, True):
        with pytest.raises(BadSetting, match="each of its instances would remove the documents of the others"):
            in_group(mode, "calls", nested=nested)
    with DAG("daily", schedule=None), pytest.raises(BadSetting, match='expected "upsert"'):
        MongoLoadOperator.partial(task_id="load", mode=mode, **REPORT["load"])


def test_a_mapped_load_may_upsert_or_have_collections_of_its_own() -> None:
    """Neither does any harm: they are parsed."""
    in_group("upsert", "calls")
    in_group("swap", "calls_{{ ti.map_index }}")
    with DAG("daily", schedule=None):

        @task
        def listed() -> list[dict[str, str]]:
            return []

        load = MongoLoadOperator.partial(task_id="load", mode="swap", database="reports", key=("tel",))
        load.expand(parameters=listed(), collection=["a", "b"])


def load_as(run: Staged, map_index: int, collection: str, mode: str) -> dict[str, Any]:
    """Load a run as one instance of a mapped load does, after its collection's template was rendered."""
    operator = MongoLoadOperator(
        task_id="load",
        parameters=run.reference,
        mode=mode,  # type: ignore[arg-type] # one of the three
        **{**REPORT["load"], "collection": collection},
    )
    instance = SimpleNamespace(dag_id="report", run_id="monday", task_id="load", map_index=map_index)
    context: Any = {"ti": instance, "outlet_events": defaultdict(SimpleNamespace)}
    return operator.execute(context)


@pytest.mark.parametrize("mode", ["replace_run", "swap"])
def test_a_rendered_collection_belongs_to_one_instance(
    staging: Path, collection: Collection[dict[str, Any]], mode: str
) -> None:
    """If a template gives two instances the same one, the second writes nothing; the first may be repeated."""
    first, second = staged(staging), staged(staging)
    validate(first)
    validate(second, samples=0)
    assert load_as(first, 0, collection.name, mode)["documents"] == COUNT
    collection.update_many({}, {"$set": {"mine": True}})
    with pytest.raises(AirflowFailException, match="belongs to the instance with map index 0"):
        load_as(second, 1, collection.name, mode)
    assert collection.count_documents({"mine": True}) == COUNT
    assert load_as(first, 0, collection.name, mode)["documents"] == COUNT
    assert load_as(second, 1, f"{collection.name}_other", mode)["documents"] == COUNT
    collection.database[f"{collection.name}_other"].drop()
