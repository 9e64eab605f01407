from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.errors import BadSetting
from airflow_fanout.model.errors import BadParameter
from airflow_fanout.model.parameter import arguments, check_names, fields, normalise
from tests.ids import plain_repr


def refusal(raw: object, names: tuple[str, ...] = ()) -> BadParameter:
    """Return the error that a raw parameter gets."""
    with pytest.raises(BadParameter) as caught:
        normalise(raw, index=4, names=names)
    return caught.value


@pytest.mark.parametrize("raw", ["+12025550100", "", 7, 0, 1.5, {"tel": None}, [1, [2]]], ids=repr)
def test_json_values_are_parameters_as_they_are(raw: Any) -> None:
    """A text, a number, a list and an object stay what they are when no names are asked for."""
    found = normalise(raw, index=0)
    assert (found, type(found)) == (raw, type(raw))


def test_a_tuple_is_a_list() -> None:
    """A tuple of two days is a JSON list of two texts."""
    assert normalise(("2026-11-15", "2026-11-22"), index=0) == ["2026-11-15", "2026-11-22"]


@pytest.mark.parametrize("raw", [None, True, b"+1", {1, 2}, date(2026, 11, 22), object()], ids=plain_repr)
def test_other_types_are_refused_by_name(raw: object) -> None:
    """What isn't a text, a number, a tuple or an object is refused, with its type and its place."""
    error = refusal(raw)
    assert (error.index, error.problem) == (4, f"is of type {type(raw).__name__}")


@pytest.mark.parametrize("raw", [(), [], {}], ids=repr)
def test_a_parameter_without_values_is_refused(raw: object) -> None:
    """An empty tuple or object asks for nothing."""
    assert refusal(raw).problem == "is empty"


@pytest.mark.parametrize("inner", [float("nan"), date(2026, 11, 22), b"x"], ids=repr)
def test_an_inner_value_that_is_no_json_is_refused(inner: object) -> None:
    """A tuple is refused for one value in it, and the values aren't shown."""
    error = refusal(("+12025550100", inner))
    assert error.problem.startswith("isn't JSON")
    assert "2025550100" not in str(error)


@given(st.lists(st.integers(), min_size=1, max_size=5), st.integers(min_value=0, max_value=6))
def test_names_make_an_object_of_as_many_values(values: list[int], number: int) -> None:
    """Names give an object with a value each, in order; another number of names than of values is refused."""
    names = tuple(f"f{place}" for place in range(number))
    if number == len(values):
        assert list(normalise(tuple(values), index=0, names=names).items()) == list(zip(names, values, strict=True))
    elif number:
        assert f"{len(values)} value(s)" in refusal(tuple(values), names).problem


def test_a_name_for_a_single_value() -> None:
    """A text with one name is an object of one field."""
    assert normalise("+12025550100", index=0, names=("tel",)) == {"tel": "+12025550100"}


def test_of_an_object_the_named_fields_are_kept() -> None:
    """An object loses the fields that nobody asked for, and gets the names' order."""
    raw = {"name": "Ann Example", "since": "2021", "tel": "+12025550100"}
    assert list(normalise(raw, index=0, names=("tel", "since"))) == ["tel", "since"]


def test_an_object_without_a_named_field_is_refused() -> None:
    """The message names the field that is missing, not the values that are there."""
    error = refusal({"tle": "+12025550100"}, ("tel",))
    assert "'tel'" in error.problem
    assert error.shown == "{tle: …00}"


@pytest.mark.parametrize("names", ["tel", ("tel number",), (7,), ("tel", "tel"), ("",)], ids=repr)
def test_names_that_cannot_work_are_refused(names: Any) -> None:
    """Names are different Python identifiers in a tuple; a single text is the classic slip."""
    with pytest.raises(BadSetting) as caught:
        check_names(names)
    assert caught.value.field == "names"


def test_good_names_are_returned_as_a_tuple() -> None:
    """A list of names is as good as a tuple, and none are fine."""
    assert check_names(["start", "end"]) == ("start", "end")
    assert check_names(()) == ()


@pytest.mark.parametrize(
    ("parameter", "by_name", "called_with"),
    [
        ({"tel": "a", "day": "b"}, {"tel": "a", "day": "b"}, ([], {"tel": "a", "day": "b"})),
        (["a", "b"], {"0": "a", "1": "b"}, (["a", "b"], {})),
        ("a", {"0": "a"}, (["a"], {})),
        (7, {"0": 7}, ([7], {})),
    ],
    ids=repr,
)
def test_values_by_field_and_as_arguments(parameter: Any, by_name: Any, called_with: Any) -> None:
    """An object has its own names and is called by keyword; other values are counted and called by position."""
    assert fields(parameter) == by_name
    assert arguments(parameter) == called_with
