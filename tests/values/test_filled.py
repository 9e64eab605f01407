"""Values that a request or a function has besides the parameter."""

from __future__ import annotations

import json
from typing import Any

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.api.compiled import Compiled
from airflow_fanout.api.filled import filled
from airflow_fanout.api.poll import Poll
from airflow_fanout.api.request import Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.functions import FunctionWithValues, describe

REQUEST = Request(
    endpoint="/{shop}/items/{id}",
    method="POST",
    query={"day": "{day}", "tags": "{tags}", "both": "{id}-{day}", "own": r"\{day\}"},
    headers={"X-Key": "{key}", "X-Id": "{id}"},
    json={"count": "{count}", "deep": [{"day": "on {day}"}], "id": "{id}"},
)
VALUES = {"shop": "a b/c", "day": "2026-11-22", "key": "k{id}y", "tags": ["x", "{id}"], "count": 3}


def test_values_stand_where_their_fields_stood() -> None:
    """In a path they are encoded, a whole text keeps the value's type, and a brace of a value is no field's."""
    sent = Compiled(filled(REQUEST, VALUES), ("id",)).message({"id": 7})
    path, _, query = sent.target.partition("?")
    assert path == "/a%20b%2Fc/items/7"
    assert query == "day=2026-11-22&tags=x&tags=%7Bid%7D&both=7-2026-11-22&own=%7Bday%7D"
    assert {**sent.headers} == {"X-Key": "k{id}y", "X-Id": "7", "Content-Type": "application/json"}
    assert sent.body == b'{"count":3,"deep":[{"day":"on 2026-11-22"}],"id":7}'


def test_the_texts_of_a_poll_have_them_too() -> None:
    """The job's field stays."""
    request = Request(endpoint="/jobs", method="POST", poll=Poll(endpoint="/{shop}/jobs/{job}"))
    poll = filled(request, {"shop": "a/b"}).poll
    assert poll is not None
    assert poll.endpoint == "/a%2Fb/jobs/{job}"


@given(st.text())
def test_a_text_is_sent_as_it_is(text: str) -> None:
    """Whatever stands in a value, backslashes and braces too, is sent, and nothing else."""
    request = filled(Request(endpoint="/x", method="POST", json={"a": "{v}", "b": "<{v}{id}{v}>"}), {"v": text})
    tree = Compiled(request, ("id",))
    try:
        body = tree.message({"id": 1}).body
    except UnicodeEncodeError:
        return
    assert json.loads(body or b"") == {"a": text, "b": f"<{text}1{text}>"}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"shop": "..", "key": "k"}, r"values\['shop'\] is an empty text or dots: expected a value that can be a part"),
        ({"shop": "", "key": "k"}, r"values\['shop'\]"),
        ({"shop": "a", "key": "s3cr3t\r\nX: 1"}, r"headers\['X-Key'\] is a value with a line break: expected a text"),
    ],
)
def test_a_value_that_cannot_stand_there_is_named_and_not_shown(values: dict[str, Any], problem: str) -> None:
    """A key with a line break would begin another header."""
    with pytest.raises(BadSetting, match=problem) as caught:
        filled(REQUEST, values)
    assert "s3cr3t" not in str(caught.value)


def fetch(session: object, tel: str, *, key: dict[str, int]) -> tuple[object, str, dict[str, int]]:
    """Return what it gets, and change it."""
    seen = dict(key)
    key["n"] += 1
    return session, tel, seen


def test_a_function_gets_its_values_and_each_call_its_own() -> None:
    """A field of the parameter with the name of a value is an error; nothing shows the values."""
    function = cloudpickle.loads(cloudpickle.dumps(FunctionWithValues(fetch, {"key": {"n": 1}})))
    assert [function("s", "7"), function("s", tel="7")] == [("s", "7", {"n": 1})] * 2
    with pytest.raises(TypeError, match="multiple values for keyword argument 'key'"):
        function("s", "7", key=1)
    assert describe(function) == describe(fetch)
    assert repr(function).endswith("values=['key'])")
