from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.codec import NotJson, canonical, decode, encode, plain
from tests.ids import plain_repr

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20)


@given(VALUES)
def test_what_json_holds_comes_back_as_it_was(value: Any) -> None:
    """Every JSON value is read as it was written, on one line, with its types."""
    line = encode(value)
    assert decode(line) == value
    assert repr(decode(line)) == repr(value)
    assert b"\n" not in line


@given(VALUES)
def test_an_authors_json_stays_what_it_is(value: Any) -> None:
    """A value that is JSON already passes unchanged."""
    assert repr(plain(value)) == repr(value)


@given(st.dictionaries(TEXTS, SCALARS, min_size=2))
def test_equal_objects_have_equal_canonical_bytes(value: dict[str, Any]) -> None:
    """The order of an object's fields doesn't show in its canonical form."""
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_an_account_number_of_thirty_digits_keeps_them() -> None:
    """Integers have any size: none comes back as a float or cut to 64 bits."""
    number = 123456789012345678901234567890
    assert decode(str(number)) == number
    assert encode(number) == str(number).encode()


def test_tuples_become_lists() -> None:
    """A tuple, also an inner one, is a list afterwards."""
    assert plain(("2026-11-22", ("a", 1))) == ["2026-11-22", ["a", 1]]


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        date(2026, 11, 22),
        b"bytes",
        {1, 2},
        {(1, 2): 3},
        object(),
        "half a surrogate pair \ud800",
    ],
    ids=plain_repr,
)
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    """A value without a JSON form is refused, not turned into something else, wherever it stands."""
    with pytest.raises(NotJson):
        plain(value)
    with pytest.raises(NotJson):
        plain({"in": [value]})


def test_a_value_that_holds_itself_is_refused() -> None:
    """A circle has no JSON form, and looking for it ends."""
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(NotJson):
        plain(circle)


@pytest.mark.parametrize(
    "text", [b"", b"NaN", b"1e400", b"[1,]", b"\xff", b'"\\ud800"', b"{'a': 1}", b"[1] [2]", b'{"a": 1'], ids=repr
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    """A text that isn't one JSON value raises NotJson, with something to read."""
    with pytest.raises(NotJson, match=r"\w"):
        decode(text)


def test_the_position_of_a_fault_is_told() -> None:
    """The message says at which byte the text stops being JSON."""
    with pytest.raises(NotJson, match="byte 3"):
        decode("[1,]")


def test_brackets_without_end_are_no_json() -> None:
    """An answer nested a hundred thousand levels deep is refused like any other text that can't be read."""
    with pytest.raises(NotJson, match="nested too deeply"):
        decode(b"[" * 100_000 + b"]" * 100_000)


def test_byte_order_mark_is_ignored() -> None:
    """Some servers send a byte order mark before their JSON."""
    assert decode(b'\xef\xbb\xbf{"a":1}') == {"a": 1}
