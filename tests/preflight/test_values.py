"""What can be known of `values=` while a DAG file is parsed, and what is secret of them."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_fanout import ExtractOperator, FanoutTaskGroup, GeventFetchOperator, Request
from airflow_fanout.errors import BadSetting, FanoutError
from airflow_fanout.preflight.values import is_open


def by_keyword(session: Any, tel: str, *, key: str) -> None:
    """Take one value."""


def by_any(session: Any, **fields: Any) -> None:
    """Take all values."""


async def never(session: Any, tel: str, *, key: str) -> None:
    """Be awaited by nobody."""


WITH_KEY = Request(endpoint="/x/{tel}", headers={"X-Key": "{key}"})
KEY = {"key": "{{ var.value.api_key }}"}
GOOD: list[tuple[Any, Any]] = [
    (by_keyword, KEY),
    (by_any, {**KEY, "day": "{{ macros.fanout.day() }}", "n": 3, "all": [1, {"a": None}]}),
    (WITH_KEY, KEY),
    (Request(endpoint="/x/{tel}"), {}),
]
BAD: list[tuple[Any, Any, str]] = [
    (by_keyword, {"kye": "x", "key": "x"}, r"values has 'kye', but by_keyword \(.*\) has no such argument"),
    (by_keyword, {"session": "x", "key": "x"}, "values has 'session', but this is the session of by_keyword"),
    (by_keyword, {"tel": "x", "key": "x"}, r"values has 'tel', and so have the parameters \(tel\): rename it"),
    (by_keyword, {}, "missing a required (keyword-only )?argument: 'key'"),
    (never, KEY, "async"),
    (WITH_KEY, {**KEY, "day": "x"}, r"values has 'day', but no text of the request has the field \{day\}"),
    (WITH_KEY, {}, r"headers uses \{key\}, but every parameter of this list has: tel"),
    (by_any, {"key": "{{ tel }}"}, "Airflow has no such value"),
    (by_any, "key", "values by their names"),
    (by_any, {"a key": 1}, "Python identifiers"),
    (by_any, {"key": object()}, r"values\['key'\].*a text, a number"),
    (by_any, {"key": [b"x"]}, r"values\['key'\]"),
]


def made(request: Any, values: Any, how: str) -> None:
    """Make a fetch with values: alone, in a group, or mapped over shards."""
    fetch = {"request": request, "http_conn_id": "api", "values": values}
    load = {"database": "d", "collection": "c", "key": ("tel",)}
    with DAG("report", schedule=None):
        if how == "alone":
            extract = ExtractOperator(task_id="extract", source=list, names=("tel",))
            GeventFetchOperator(task_id="fetch", parameters=extract.output, **fetch)
        else:
            shards = {"shards": 2} if how == "mapped" else {}
            FanoutTaskGroup("group", extract={"source": list, "names": ("tel",), **shards}, fetch=fetch, load=load)


@pytest.mark.parametrize("how", ["alone", "group", "mapped"])
@pytest.mark.parametrize(("request_", "values"), GOOD)
def test_good_values(request_: Any, values: Any, how: str) -> None:
    """Keywords of a function, and fields of a request."""
    made(request_, values, how)


@pytest.mark.parametrize("how", ["alone", "group", "mapped"])
@pytest.mark.parametrize(("request_", "values", "problem"), BAD)
def test_a_mistake_is_an_import_error(request_: Any, values: Any, problem: str, how: str) -> None:
    """It names the value, and what is wrong with it."""
    with pytest.raises(FanoutError, match=problem):
        made(request_, values, how)


def test_values_are_in_no_template_field() -> None:
    """What Airflow renders by itself it stores; another task's XCom makes that task an upstream one."""
    with DAG("report", schedule=None):
        first = ExtractOperator(task_id="first", source=list)
        values = {"key": first.output}
        fetch = GeventFetchOperator(
            task_id="fetch", request=by_any, http_conn_id="api", parameters=first.output, values=values
        )
    assert "values" not in fetch.template_fields
    assert fetch.upstream_task_ids == {"first"}
    with pytest.raises(BadSetting):
        GeventFetchOperator(task_id="fetch", request=by_any, http_conn_id="api", parameters=first.output, values=None)


@pytest.mark.parametrize(
    ("value", "is_known"),
    [
        ("plain", True),
        (3, True),
        ("{{ macros.fanout.day() }}", True),
        ("{{ params.day or 'var' }}", True),
        ("{{ run_id }}-{{ ds }}", True),
        ("{{ var.value.api_key }}", False),
        ("{{ conn.api.password }}", False),
        ("{{ secret_of(params.shop) }}", False),
        (["{{ ds }}", "{{ var.json.a }}"], False),
    ],
)
def test_what_is_secret(value: Any, is_known: bool) -> None:
    """All that comes from a Variable, a connection or a macro of the author's is; what Airflow shows anyway isn't."""
    assert is_open(value) is is_known
