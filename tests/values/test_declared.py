"""A mistake in what an author writes names the class and the field, where it is written."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import msgspec
import pytest

import airflow_fanout
from airflow_fanout import Drift, HttpList, MaxEmpty, Request, Retry, Throttle
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.declared import Declared


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda: Retry(attempts=3), "Retry has no field 'attempts'. Its fields are: max_attempts, initial_delay_s, "),
        (lambda: Request(endpoint="/x", quary={}), "Request has no field 'quary'. Its fields are: endpoint, method, "),
        (lambda: Drift(row=1), "Drift has no field 'row'. Its fields are: rows, "),
        (Request, "Request needs the field 'endpoint'."),
        (lambda: HttpList(http_conn_id="api"), "HttpList needs the field 'endpoint'."),
        (MaxEmpty, "MaxEmpty needs the field 'share'."),
        (lambda: Retry(3), "Retry has too many values without a name. Name them: Retry(max_attempts=…)."),
        (lambda: MaxEmpty(1, 2), "MaxEmpty has too many values without a name. Name them: MaxEmpty(share=…)."),
    ],
)
def test_a_wrong_name_is_named(write: Callable[[], object], says: str) -> None:
    """With what would be right."""
    with pytest.raises(TypeError) as caught:
        write()
    assert str(caught.value).startswith(says)


def test_a_wrong_value_is_said_by_its_own_check() -> None:
    """Not by the check of names."""
    with pytest.raises(BadSetting, match=r"retry\.max_attempts is '3'"):
        Retry(max_attempts="3")  # type: ignore[arg-type] # it is what is checked


def test_an_error_of_a_classs_own_stays_as_it_is() -> None:
    """It knows better what is wrong."""

    class Own(Declared, frozen=True):
        value: Any

        def __post_init__(self) -> None:
            self.value()

    with pytest.raises(TypeError, match=r"^'int' object is not callable$"):
        Own(value=3)


def test_a_declared_value_travels() -> None:
    """It is copied, replaced, sent and read like any other."""
    throttle = Throttle(rate_per_s=5.0)
    assert deepcopy(throttle) == throttle
    assert msgspec.structs.replace(throttle, rate_per_s=6.0) == Throttle(rate_per_s=6.0)
    assert msgspec.json.decode(msgspec.json.encode(throttle), type=Throttle) == throttle


def test_all_that_an_author_writes_is_checked_so() -> None:
    """Every public class with fields."""
    public = [getattr(airflow_fanout, name) for name in airflow_fanout.__all__]
    structs = [found for found in public if isinstance(found, type) and issubclass(found, msgspec.Struct)]
    assert len(structs) >= 14
    assert [found for found in structs if not issubclass(found, Declared)] == []
