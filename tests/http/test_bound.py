"""What is bound to a function: resolved when the task runs, or refused while the DAG file is parsed."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, XComArg, task, task_group

from airflow_fanout import (
    CustomCheck,
    ExtractOperator,
    GeventFetchOperator,
    HttpList,
    MongoLoadOperator,
    Request,
    ValidateOperator,
)
from airflow_fanout.adapters.border import list_directory
from airflow_fanout.adapters.bound import resolved, resolved_value
from airflow_fanout.errors import BadSetting

TEMPLATE = "{{ var.value.api_key }}"
REFERENCE = {"directory": "/somewhere"}


@dataclass
class Client:
    """A thing of an author's that has a method, and can be called."""

    key: Any

    def fetch(self, session: Any, tel: str = "", *more: Any) -> None:
        """Request something."""

    def __call__(self, session: Any, tel: str = "", *more: Any) -> None:
        """Request something."""


def fetch(session: Any, tel: str = "", *more: Any, key: Any = None) -> Any:
    """Request something."""


def closed_over(key: Any) -> Any:
    """Return a function that holds a value."""

    def inner(session: Any, tel: str = "", *more: Any) -> Any:
        return key

    return inner


def with_default(key: Any) -> Any:
    """Return a function that has a value as a default."""

    def inner(session: Any, tel: str = "", *more: Any, key: Any = key) -> Any:
        return key

    return inner


def decorated(key: Any) -> Any:
    """Return a decorated function that holds a value."""
    inner = closed_over(key)

    @functools.wraps(inner)
    def outer(*args: Any) -> Any:
        return inner(*args)

    return outer


HOLDERS = [
    lambda value: functools.partial(fetch, key=value),
    lambda value: functools.partial(fetch, value),
    lambda value: functools.partial(functools.partial(fetch, key=value), None),
    lambda value: functools.partial(fetch, key={"headers": [("X-Key", value)]}),
    lambda value: functools.partial(fetch, key=Client(value)),
    lambda value: Client(value).fetch,
    Client,
    closed_over,
    with_default,
    lambda value: with_default(Request(endpoint="/", query={"key": value})),
    decorated,
]


def operators(function: Any) -> list[Any]:
    """Return constructors of all operators that take a function."""
    common: dict[str, Any] = {"parameters": REFERENCE}
    return [
        lambda: ExtractOperator(task_id="extract", source=function),
        lambda: GeventFetchOperator(task_id="fetch", request=function, http_conn_id="api", **common),
        lambda: ValidateOperator(task_id="validate", checks=(CustomCheck(function),), **common),
        lambda: MongoLoadOperator(
            task_id="load", database="d", collection="c", key=("tel",), document=function, **common
        ),
    ]


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("text", [TEMPLATE, "key={{params.key}}", "{% if params.key %}a{% endif %}", "{{\nds\n}}"])
def test_a_template_inside_a_function_is_refused_when_it_is_parsed(holder: Any, text: str) -> None:
    """Airflow would hand it over as it is written; the message says where such values belong."""
    for make in operators(holder(text)):
        with pytest.raises(BadSetting) as caught:
            make()
        assert "Airflow renders no template inside a function" in str(caught.value)
        assert 'GeventFetchOperator(values={"key": "{{ var.value.key }}"})' in str(caught.value)


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("text", ["plain", "{tel}", "{ user { id } }", "{'a': {}}", "}} {{"])
def test_other_texts_may_stand_in_a_function(holder: Any, text: str) -> None:
    """Braces alone are no template."""
    for make in operators(holder(text)):
        assert make().task_id


@pytest.mark.parametrize("holder", HOLDERS[4:])
def test_an_xcom_that_nobody_would_resolve_is_refused(holder: Any) -> None:
    """In a default, a closure or an object it would arrive as it is; in a partial's own arguments it is resolved."""
    with DAG("report", schedule=None):
        first = ExtractOperator(task_id="first", source=list)
        with pytest.raises(BadSetting, match=r"functools\.partial"):
            ExtractOperator(task_id="extract", source=holder(first.output))


def of(account: str, params: Any) -> list[str]:
    """Return an account's parameters."""
    return [f"{account}-1", f"{account}-2"]


def test_a_source_gets_the_value_of_its_mapped_task_group() -> None:
    """Each of the group's instances has its own account, also in the query of a list and inside collections."""
    made: dict[str, Any] = {}
    with DAG("report", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):

        @task_group
        def report(account: Any) -> None:
            source = functools.partial(of, account)
            made["extract"] = ExtractOperator(task_id="extract", source=source, only=account)
            listed = HttpList(http_conn_id="api", endpoint="/list", query={"account": account})
            made["list"] = ExtractOperator(task_id="list", source=listed)

        report.expand(account=["A", "B", "C"])
    # The part of a context that Airflow itself reads to find out which of them is meant.
    context: Any = {"ti": SimpleNamespace(map_index=1)}
    extract = made["extract"]
    assert resolved(extract.source, context)(params={}) == ["B-1", "B-2"]
    assert resolved_value({"a": [extract.source.args[0]]}, context) == {"a": ["B"]}
    assert resolved_value(extract.only, context) == "B"
    listed = made["list"].source.rendered(lambda value: made["list"].render_template(value, context))
    assert listed.query == {"account": "B"}


def test_an_xcom_in_a_partial_makes_its_task_upstream() -> None:
    """Wherever a function or a list holds it, the task that gives it runs before."""
    with DAG("report", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):

        @task
        def token() -> str:
            return "t"

        given: Any = token()
        assert isinstance(given, XComArg)
        extract = ExtractOperator(task_id="extract", source=functools.partial(of, given))
        listed = HttpList(http_conn_id="api", endpoint="/list", query={"ids": [given]})
        second = ExtractOperator(task_id="second", source=listed)
        asked = GeventFetchOperator(
            task_id="fetch",
            request=functools.partial(fetch, key={"k": given}),
            http_conn_id="api",
            parameters=REFERENCE,
        )
    assert [operator.upstream_task_ids for operator in (extract, second, asked)] == [{"token"}] * 3


def test_the_lists_of_a_mapped_group_are_not_taken_for_one() -> None:
    """A task outside the group gets all of its lists, and would load only the first: it is refused."""
    lists = [{"directory": f"/somewhere/{number}"} for number in (1, 2)]
    with pytest.raises(BadSetting, match="parameters is '2 lists': expected one list"):
        list_directory(lists)
    shards = [{"directory": "/somewhere/1", "shard": number} for number in (0, 1)]
    assert str(list_directory(shards)) == "/somewhere/1"
