"""How the tests are distributed over the workers of pytest-xdist."""

from __future__ import annotations

from tests.distribution import stable, unit_of


def test_names_are_the_same_in_each_worker() -> None:
    """An object's address is no part of a test's name, and two objects are still two tests."""
    found = [["a[<object at 0x7f18>]", "a[<object at 0x7f19>]", "b"], ["a[<object at 0x1>]", "a[<object at 0x2>]", "b"]]
    assert list(stable(found[0])) == list(stable(found[1])) == ["a[<object>]", "a[<object>]#2", "b"]


def test_a_file_is_one_workers_but_for_those_that_wait() -> None:
    """Tests of reports go one by one; those that look at the same runs stay together."""
    assert unit_of("tests/engine/test_pump.py::test_a[1]") == "tests/engine/test_pump.py"
    assert unit_of("tests/integration/test_days.py::test_a") == "tests/integration/test_days.py::test_a"
    assert unit_of("tests/integration/test_bad_input.py::test_a[x]") == "tests/integration/test_bad_input.py"
    assert unit_of("tests/page/test_rights.py::test_a") == "tests/page/"
    assert unit_of("tests/page/test_page.py::test_b[x]") == "tests/page/"
