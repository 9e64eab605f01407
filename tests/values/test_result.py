from __future__ import annotations

from typing import Any

import pytest

from airflow_fanout.api.result import PartMissing, ResultPath
from airflow_fanout.codec import Json

ANSWER = {"data": {"calls": [{"to": "a"}, {"to": "b"}], "none": None, "zero": 0}, "": "empty name"}


@pytest.mark.parametrize(
    ("path", "part"),
    [
        (None, ANSWER),
        ("data.calls", [{"to": "a"}, {"to": "b"}]),
        ("data.calls.1.to", "b"),
        ("data.zero", 0),
        ("data.none", None),
        ("data.none.deeper.still", None),
    ],
)
def test_the_part_is_found_by_its_path(path: str | None, part: Json) -> None:
    """A dotted path leads into objects by name and into lists by place; a null on the way is a null result."""
    assert ResultPath(path).of(ANSWER) == part


@pytest.mark.parametrize("path", ["rows", "data.rows", "data.calls.2", "data.calls.-1", "data.calls.²", "data.zero.x"])
def test_a_part_that_is_not_there_is_no_null(path: str) -> None:
    """A step that leads nowhere is told as missing: an API that renamed its field has not answered "nothing"."""
    with pytest.raises(PartMissing, match="no field"):
        ResultPath(path).of(ANSWER)


def test_the_fields_that_are_there_are_named() -> None:
    """The message helps to see what the API calls it now."""
    with pytest.raises(PartMissing, match=r"it has: calls, none, zero$"):
        ResultPath("data.rows").of(ANSWER)


def test_an_answer_of_a_thousand_fields_is_not_listed() -> None:
    """An answer keyed by its own data makes a short message all the same."""
    with pytest.raises(PartMissing, match=r"and 980 more$") as caught:
        ResultPath("rows").of({f"k{number:03d}": 1 for number in range(1000)})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("empty", [[], {}, ""], ids=repr)
def test_empty_is_null_where_the_report_says_so(empty: Any) -> None:
    """An empty list, object or text is a result, unless the report counts it as none."""
    assert ResultPath("calls").of({"calls": empty}) == empty
    assert ResultPath("calls", empty_is_null=True).of({"calls": empty}) is None


@pytest.mark.parametrize("value", [0, False, 0.0, [None], " "], ids=repr)
def test_false_and_zero_are_not_empty(value: Any) -> None:
    """Zero calls, false, and a list of one null are answers, also where empty counts as null."""
    assert ResultPath(None, empty_is_null=True).of(value) == value


def test_names_that_may_be_data_are_masked() -> None:
    """An answer keyed by telephone numbers, addresses or people doesn't put them into a message."""
    answer = {"+12025550123": 1, "12025550199": 1, "a.b@example.com": 1, "Jo Doe": 1, "k2025550123": 1}
    words = {"@odata.nextLink": 1, "$ref": 1, "X-Total-Count": 1, "next_page": 1, "v2": 1}
    with pytest.raises(PartMissing) as caught:
        ResultPath("rows").of({**answer, **words})
    assert [name for name in answer if name in str(caught.value)] == []
    assert [name for name in words if name not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("path", "part"),
    [
        (("a.b",), {"c": {"d.e": 2}, "f": 3}),
        (["a.b", "c"], {"d.e": 2}),
        (("a.b", "c", "d.e"), 2),
        (("x", "0", "y"), 1),
    ],
)
def test_a_name_with_a_dot_is_written_in_a_tuple(path: Any, part: Json) -> None:
    """Names one by one, as a tuple or, out of JSON, as a list."""
    assert ResultPath(path).of({"a.b": {"c": {"d.e": 2}, "f": 3}, "x": [{"y": 1}]}) == part


@pytest.mark.parametrize(
    ("path", "names"),
    [("a.b", ("a.b",)), ("a.b.c", ("a.b", "c")), ("a.b.c.d.e", ("a.b", "c", "d.e")), ("a.b.g", ()), ("a.x", ())],
)
def test_a_dotted_text_that_means_a_name_with_a_dot_is_told(path: str, names: tuple[str, ...]) -> None:
    """The message says how to write the path that the answer has; it guesses nothing that isn't there."""
    with pytest.raises(PartMissing) as caught:
        ResultPath(path).of({"a.b": {"c": {"d.e": 2}, "f": 3}})
    assert caught.value.names == names
    assert ("is written as a tuple: " + repr(names) in str(caught.value)) is bool(names)
