from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias, AssetOrTimeSchedule, CronTriggerTimetable, task
from msgspec.structs import replace

from airflow_fanout import AssetEvents, ExtractOperator, SqlList
from airflow_fanout.errors import BadSetting
from tests.sources.reading import Access, check, read, refused, refused_early


class Output:
    """What stands for another task's output; it has the value already."""

    operator = SimpleNamespace(task_id="customers")

    def __init__(self, value: Any) -> None:
        self._value = value

    def iter_references(self) -> Any:
        return iter(())

    def resolve(self, _: Any) -> Any:
        return self._value


def test_a_list_and_rows() -> None:
    """Parameters of any kind, and rows as a query's operator returns them; what JSON lacks is as in a database."""
    rows = [("C1", date(2026, 11, 20)), {"id": "C2"}, "C3", 4]
    check(Output(rows))
    assert read(Output(rows)) == [["C1", "2026-11-20"], {"id": "C2"}, "C3", 4]
    assert read(Output(iter(["C1"]))) == ["C1"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "it has returned nothing: it was skipped, hasn't run in this run, or its do_xcom_push is False"),
        ("C1", "it is of type str, and a source takes a list"),
        ({"id": "C1"}, "it is of type dict, and a source takes a list"),
        (7, "it is of type int, and a source takes a list"),
    ],
)
def test_what_is_no_list(value: Any, problem: str) -> None:
    """The preflight looks at it."""
    words, retry = refused_early(Output(value))
    assert f"the output of the task 'customers': {problem}" in words
    assert not retry


def test_an_item_that_is_no_parameter() -> None:
    """Its place is named."""
    assert "item 2: it has a value of type object" in refused(Output(["C1", object()]))[0]


def test_extract_comes_after_the_task() -> None:
    """The task whose output it takes is upstream of extract, without a word more."""
    with DAG("calls", schedule=None):

        @task
        def customers() -> list[str]:
            return ["C1"]

        listed = customers()
        extract = ExtractOperator(task_id="extract", source=listed)
    assert extract.upstream_task_ids == {"customers"}


def events(*extras: Any, name: str = "customers") -> dict[str, Any]:
    """Return the asset events of a run, as Airflow gives them."""
    return {"triggering_asset_events": {Asset(name): [SimpleNamespace(extra=extra) for extra in extras]}}


def test_events_of_an_asset() -> None:
    """The items of all events, in order; those of other assets don't count."""
    source = AssetEvents(asset=Asset("customers"), items="ids")
    values = events({"ids": ["C1", "C2"]}, {"ids": ["C3"], "other": 1})
    values["triggering_asset_events"][Asset("orders")] = [SimpleNamespace(extra={"ids": ["O1"]})]
    check(source, **values)
    assert read(source, **values) == ["C1", "C2", "C3"]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "none has started this run. Schedule the DAG on the asset"),
        (events({"ids": ["O1"]}, name="orders"), "none has started this run"),
        (events({"ids": ["C1"]}, {}), "event 2 of 2 has no 'ids' in its extra, which has: nothing"),
        (events({"id": "C1"}), "event 1 of 1 has no 'ids' in its extra, which has: id"),
        (events({"ids": "C1"}), "event 1 of 1 has 'ids' of type str in its extra, not a list"),
    ],
)
def test_events_without_a_list(values: dict[str, Any], problem: str) -> None:
    """The preflight looks at each event."""
    words, retry = refused_early(AssetEvents(asset="customers", items="ids"), **values)
    assert f"the events of the asset 'customers': {problem}" in words
    assert not retry


@pytest.mark.parametrize("options", [{"asset": ""}, {"asset": None}, {"asset": "customers", "items": ""}])
def test_mistakes_are_import_errors(options: dict[str, Any]) -> None:
    """What can be known to be wrong while the DAG file is parsed is."""
    with pytest.raises(BadSetting):
        AssetEvents(**options)


@pytest.mark.parametrize("schedule", [None, "@daily", [Asset("orders")], Asset("orders") | Asset("clients")])
def test_a_dag_that_the_events_can_not_start(schedule: Any) -> None:
    """It is known while the DAG file is parsed."""
    with DAG("calls", schedule=schedule), pytest.raises(BadSetting, match="an asset on which the DAG is scheduled"):
        ExtractOperator(task_id="extract", source=AssetEvents(asset="customers"))


@pytest.mark.parametrize(
    "schedule",
    [
        [Asset("customers")],
        Asset("orders") | (Asset("clients") & Asset("customers")),
        AssetAlias("people"),
        [Asset.ref(uri="x://y")],
        AssetOrTimeSchedule(timetable=CronTriggerTimetable("@daily", timezone="UTC"), assets=[Asset("customers")]),
    ],
)
def test_a_dag_that_the_events_may_start(schedule: Any) -> None:
    """The asset is a part of the schedule, or may be what an alias or another name leads to."""
    with DAG("calls", schedule=schedule):
        assert ExtractOperator(task_id="extract", source=AssetEvents(asset="customers")).task_id == "extract"


def test_a_template_that_nobody_knows() -> None:
    """It would become an empty text in the query; the run's own date is known."""
    with DAG("calls", schedule=None):
        good = SqlList(conn_id="warehouse", sql="SELECT id FROM customers WHERE day = '{{ day }}'")
        assert ExtractOperator(task_id="good", source=good).task_id == "good"
        with pytest.raises(BadSetting, match=r"source has the template {{ region }}, and Airflow has no such value"):
            ExtractOperator(
                task_id="bad", source=replace(good, sql="SELECT id FROM customers WHERE r = '{{ region }}'")
            )


def test_nothing_is_read_before_it_is_iterated_over() -> None:
    """An output that isn't there is an error of reading, not of opening."""
    assert AssetEvents(asset="customers").open(Access(), names=()).doing is None
