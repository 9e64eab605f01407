from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.masking import SHORT, mask, scrub

PRINTED = st.characters(codec="ascii", categories=["L", "N", "P", "Zs"])
LONG = st.text(PRINTED, min_size=SHORT + 1)


@given(LONG)
def test_a_long_value_shows_its_last_two_characters(value: str) -> None:
    """Of a value of more than four characters, two are shown, whatever its length."""
    assert mask(value) == f"…{value[-2:]}"


@given(st.text(PRINTED, max_size=SHORT))
def test_a_short_value_shows_nothing(value: str) -> None:
    """Of a value of up to four characters nothing is shown: two would be half of it."""
    assert mask(value) == "…"


def test_objects_and_tuples_keep_their_shape() -> None:
    """The names of fields and the places of values stay, at every level; the values are masked."""
    assert mask({"tel": "+12025550100", "days": ["2026-11-22", 7]}) == "{tel: …00, days: (…22, …)}"
    assert mask(("2026-11-15", "2026-11-22")) == "(…15, …22)"


def test_numbers_are_masked_like_their_digits() -> None:
    """A customer number of many digits is personal data as its text is."""
    assert mask(4711081512) == "…12"
    assert mask(True) == "…"


@given(LONG, st.text(PRINTED, max_size=20), st.text(PRINTED, max_size=20))
def test_a_scrubbed_text_does_not_hold_the_value(value: str, before: str, after: str) -> None:
    """Wherever a long value stands in a message, it is gone from it afterwards."""
    assert value not in scrub(f"{before}{value}{after}{value}", {"tel": value})


@pytest.mark.parametrize("value", ["+12025550100", "Ann Example", "a/b c+d&e=ü"])
def test_a_value_is_found_as_it_stands_in_an_address(value: str) -> None:
    """A value in the path or in the query of an address is masked, too, however it is escaped there."""
    query = urlencode({"q": value})
    address = f"/calls/{quote(value, safe='')} or /{quote(value)} or /calls?{query} failed"
    masked = mask(value)
    assert scrub(address, value) == f"/calls/{masked} or /{masked} or /calls?q={masked} failed"


def test_all_values_of_a_parameter_are_scrubbed() -> None:
    """Each value of an object or of a tuple is masked, the longest first, so that no rest of one remains."""
    text = "no calls from 12025550100 in 12025550100-2026"
    assert scrub(text, {"a": "12025550100", "b": ["12025550100-2026"]}) == "no calls from …00 in …26"


def test_a_short_value_does_not_riddle_the_message() -> None:
    """The parameter 7 doesn't blot out every 7 of a message."""
    assert scrub("HTTP 517 after 7 attempts", {"id": 7}) == "HTTP 517 after 7 attempts"
