"""What templates give in a DAG whose own switch asks for native objects: over Airflow's own rendering."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG, Param

from airflow_fanout import (
    CleanStagingOperator,
    ExtractOperator,
    GeventFetchOperator,
    HttpList,
    MongoLoadOperator,
    Request,
    ValidateOperator,
)
from airflow_fanout.adapters.extract_task import selection_of

REQUEST = Request(
    endpoint="/calls/{tel}",
    method="POST",
    query={"start": "{0}", "end": "{1}", "version": "1.10", "day": "{{ ds }}", "zip": "00123", "both": ["{0}", "1e5"]},
    headers={"X-List": "[1, 2]", "X-None": "None"},
    json={"account": "{id}", "flag": "True", "n": 1, "on": True, "version": "{{ params.version }}"},
    result="data.calls",
)
CONTEXT: dict[str, Any] = {"ds": "2026-11-20", "params": {"version": "1.10", "only": [{"tel": "0123"}], "db": "123"}}
REFERENCE = {"directory": "/somewhere"}


def native(*, as_default: bool = False) -> DAG:
    """Return a DAG whose templates give native objects, by its own switch or by its default arguments."""
    arguments = {"render_template_as_native_obj": True} if as_default else {}
    return DAG(
        "native",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        render_template_as_native_obj=not as_default,
        default_args=arguments,
        params={"only": Param([], type="array")},
    )


def rendered(operator: Any) -> Any:
    """Return an operator as it runs: Airflow's task runner renders it with the environment of the DAG."""
    operator.render_template_fields(CONTEXT, operator.dag.get_template_env())
    return operator


@pytest.mark.parametrize("as_default", [False, True])
def test_the_texts_of_a_request_stay_texts(as_default: bool) -> None:
    """In a native DAG, `{0}` is no set, `1.10` no number, and what was no text before stays what it was."""
    with native(as_default=as_default):
        fetch = GeventFetchOperator(task_id="fetch", request=REQUEST, http_conn_id="api", parameters=REFERENCE)
    asked = rendered(fetch).request_template
    assert asked["query"] == {**REQUEST.query, "day": "2026-11-20"}
    assert asked["headers"] == REQUEST.headers
    assert asked["json"] == {**REQUEST.json, "version": "1.10"}
    assert asked == REQUEST.template() | {"query": asked["query"], "json": asked["json"]}


def test_the_texts_of_a_mapped_fetch_stay_texts() -> None:
    """Its fields are rendered by Airflow's mapped operator, with the DAG's environment."""
    with native():
        mapped = GeventFetchOperator.partial(task_id="fetch", request=REQUEST, http_conn_id="api").expand(shard=[{}])
    fetch = mapped.unmap({"shard": {**REFERENCE, "shard": 0}})
    fetch._do_render_template_fields(fetch, mapped.template_fields, CONTEXT, fetch.dag.get_template_env(), set())
    assert fetch.request_template["query"] == {**REQUEST.query, "day": "2026-11-20"}


def test_all_our_templates_give_texts_in_a_native_dag() -> None:
    """Limits, switches, names, and the templates that no field shows."""
    listed = HttpList(http_conn_id="api", endpoint="/list/{{ params.db }}", query={"v": "{{ params.version }}"})
    with native():
        extract = ExtractOperator(
            task_id="extract", source=listed, limit="{{ '010' }}", only="{{ params.only | tojson }}"
        )
        fetch = GeventFetchOperator(
            task_id="fetch", request=REQUEST, http_conn_id="api", parameters=REFERENCE, refetch="{{ 1 == 1 }}"
        )
        load = MongoLoadOperator(
            task_id="load", parameters=REFERENCE, database="{{ params.db }}", collection="calls", key=("tel",)
        )
        clean = CleanStagingOperator(task_id="clean", keep_days="{{ 7 }}")
    assert rendered(extract).limit == "010"
    assert selection_of(extract, CONTEXT, extract.limit, extract.only).only == [{"tel": "0123"}]
    assert listed.rendered(lambda value: extract.render_template(value, CONTEXT)).query == {"v": "1.10"}
    assert rendered(fetch).refetch == "True"
    assert rendered(load).database == "123"
    assert rendered(clean).keep_days == "7"


def test_extracts_output_may_be_a_template() -> None:
    """The one field that isn't a text is read back from one, in every DAG."""
    context = {**CONTEXT, "listed": {"directory": "/somewhere", "parameters": 3}}
    with native():
        validate = ValidateOperator(task_id="validate", parameters="{{ listed }}")
    validate.render_template_fields(context, validate.dag.get_template_env())
    assert validate.parameters == context["listed"]


def test_the_dags_own_macros_and_filters_hold() -> None:
    """Texts are rendered with everything else that the DAG has set for its templates."""
    with DAG(
        "macros",
        schedule=None,
        render_template_as_native_obj=True,
        user_defined_macros={"two": lambda: "2"},
        user_defined_filters={"twice": lambda text: text * 2},
    ):
        clean = CleanStagingOperator(task_id="clean", keep_days="{{ two() | twice }}")
    assert rendered(clean).keep_days == "22"
