"""How the tests are distributed over the workers of pytest-xdist."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.distribution import Distribution, stable, unit_of


class Worker:
    """A worker that runs nothing."""

    shutting_down = False
    gateway = SimpleNamespace(id="gw")

    def send_runtest_some(self, indices: list[int]) -> None: ...

    def shutdown(self) -> None: ...


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


def test_the_shared_airflow_ends_with_the_last_test_that_may_use_it() -> None:
    """Once, whichever worker runs that test, and also when the worker crashes of it."""
    tests = [
        "tests/integration/test_a.py::test_a",
        "tests/integration/test_a.py::test_b",
        "tests/values/test_c.py::test_c",
    ]
    config: Any = SimpleNamespace(option=SimpleNamespace(), getvalue=lambda _: ["popen", "popen"])
    for crashes in (False, True):
        ends: list[bool] = []
        distribution = Distribution(config, None, lambda ends=ends: ends.append(True))  # type: ignore[misc]
        first, second = workers = (Worker(), Worker())
        for worker in workers:
            distribution.add_node(worker)
            distribution.add_node_collection(worker, tests)
        distribution.schedule()
        distribution.mark_test_complete(first, 0)
        assert ends == []
        if crashes:
            assert distribution.remove_node(second) == tests[1]
        else:
            distribution.mark_test_complete(second, 1)
        assert ends == [True]
        distribution.mark_test_complete(first, 2)
        assert ends == [True]
