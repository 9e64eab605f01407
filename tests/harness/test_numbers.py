import re

import pytest

from harness.numbers import CAPACITY, TooManyNumbers, number, numbers


def test_all_numbers_are_fictional_and_distinct() -> None:
    """Every number is one of North America's from 555-0100 to 555-0199 in E.164, and none comes twice."""
    everything = list(numbers(CAPACITY))
    assert len(set(everything)) == CAPACITY
    assert all(re.fullmatch(r"\+1[2-9][0-8]\d55501\d\d", tel) for tel in everything)


def test_service_codes_are_left_out() -> None:
    """Codes such as 911, 800 and 888 belong to services, whose 555-01XX numbers can be somebody's."""
    codes = {tel[2:5] for tel in numbers(CAPACITY)}
    assert codes.isdisjoint({"211", "411", "911", "800", "833", "888", "889", "900"})
    assert {"201", "202", "212"} <= codes


def test_order_is_fixed() -> None:
    """A longer list begins with the shorter one, and a number is found by its place."""
    assert list(numbers(3)) == ["+12015550100", "+12015550101", "+12015550102"]
    assert list(numbers(5000))[:2000] == list(numbers(2000))
    assert number(100) == "+12025550100"


def test_more_than_there_are_is_refused() -> None:
    """Asking for more numbers than are reserved says how many there are."""
    with pytest.raises(TooManyNumbers, match=f"at most {CAPACITY:,}"):
        numbers(CAPACITY + 1)
