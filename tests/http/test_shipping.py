from __future__ import annotations

import functools
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.errors import FunctionNotSent
from airflow_fanout.outcome import Kind
from airflow_fanout.shipping import check_call, describe, pack
from tests.engine.harness import frozen, job, run
from tests.http.dag_file import loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType


@pytest.fixture
def dag_file(tmp_path: Path) -> Iterator[ModuleType]:
    """Give a DAG file's module, loaded as Airflow loads it."""
    with loaded(tmp_path) as module:
        yield module


def result_of(tmp_path: Path, function: Callable[..., Any], parameter: object = "7a") -> object:
    """Return what a function gives in a real engine."""
    [record] = run(job(frozen(tmp_path, [parameter]), function)).records
    assert record.kind is Kind.OK, record.failure
    return record.result


def load(data: bytes, *args: object) -> str:
    """Return what a packed function gives in a fresh interpreter that doesn't know this one's modules."""
    code = "import cloudpickle, sys; data, *args = eval(sys.stdin.read()); print(cloudpickle.loads(data)(*args))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=repr((data, *args)), capture_output=True, text=True, check=False, timeout=30
    )
    return done.stdout + done.stderr


def test_function_of_a_dag_file(tmp_path: Path, dag_file: ModuleType) -> None:
    """A function written in the DAG file runs in the engine, with the constants and classes that it uses."""
    assert result_of(tmp_path, dag_file.plain) == {"tel": "7a", "limit": 3, "days": 7}


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("doubled", "14"),
        ("anonymous", "7!"),
        ("decorated", "7"),
        ("instance", "7?"),
        ("rows", "[Row(tel='7', seconds=1), ('7', 2)]"),
    ],
)
def test_everything_callable_of_a_dag_file(dag_file: ModuleType, name: str, given: str) -> None:
    """A partial, a lambda, a decorated function, an object with `__call__` and named tuples of a DAG file travel."""
    assert load(pack(getattr(dag_file, name)), None, "7") == f"{given}\n"


def test_generator_function_of_a_dag_file(tmp_path: Path, dag_file: ModuleType) -> None:
    """A generator function's result is the list of what it yields."""
    assert result_of(tmp_path, dag_file.numbered) == [["7a", 0], ["7a", 1], ["7a", 2]]


def test_function_of_a_dag_file_inside_another(dag_file: ModuleType) -> None:
    """A DAG file's function travels also as the argument of a partial around another module's function."""
    assert load(pack(functools.partial(dag_file.mapped, dag_file.helper)), None, "x") == "X\n"
    assert load(pack(functools.partial(map, dag_file.helper)), "ab").startswith("<map object")


def test_packing_leaves_no_trace(dag_file: ModuleType) -> None:
    """Packing changes nothing in the parent: the module isn't pickled by value afterwards."""
    import cloudpickle

    pack(dag_file.plain)
    assert dag_file.__name__.encode() in cloudpickle.dumps(dag_file.plain)
    assert dag_file.__name__ not in cloudpickle.list_registry_pickle_by_value()


def test_function_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of a module on the parent's path is imported by the engine, from there."""
    folder = tmp_path / "lib"
    folder.mkdir()
    folder.joinpath("fanout_test_reports.py").write_text("def fetch(session, tel):\n    return __name__ + tel\n")
    monkeypatch.syspath_prepend(folder)
    import fanout_test_reports  # type: ignore[import-not-found] # it has just been written

    assert b"fanout_test_reports" in pack(fanout_test_reports.fetch)
    assert result_of(tmp_path, fanout_test_reports.fetch) == "fanout_test_reports7a"


def test_lambda_with_a_closure(tmp_path: Path) -> None:
    """A lambda travels with the values that it closes over."""
    suffix = ["!", "?"]
    assert result_of(tmp_path, lambda _, tel: [tel, *suffix]) == ["7a", "!", "?"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("locked", "cannot pickle '_thread.lock' object"),
        ("connected", "cannot pickle 'socket' object"),
        ("awaited", "it is async"),
    ],
)
def test_functions_that_cannot_travel(dag_file: ModuleType, name: str, why: str) -> None:
    """A function that uses a lock or a socket, or is async, is refused with its name, its line and the reason."""
    with pytest.raises(FunctionNotSent) as caught:
        pack(getattr(dag_file, name))
    assert f"The function {name} (report.py:" in str(caught.value)
    assert why in str(caught.value)


def test_partial_of_an_async_function(dag_file: ModuleType) -> None:
    """A partial doesn't hide that a function is async."""
    with pytest.raises(FunctionNotSent, match="it is async"):
        pack(functools.partial(dag_file.awaited, tel="7"))


AIRFLOW = """
from airflow.sdk import BaseHook, Variable
import airflow.sdk as sdk

def by_class(session, tel):
    return Variable.get("x")

def by_module(session, tel):
    return sdk.Variable.get("x")

def by_object(session, tel):
    return hook.conn

hook = BaseHook()
"""


def test_airflow_is_refused_by_name(tmp_path: Path) -> None:
    """A function that uses Airflow (a class, a module, an object) is refused, and told which part it uses."""
    program = f"""
import sys
from pathlib import Path
from airflow_fanout.errors import FunctionNotSent
from airflow_fanout.shipping import pack
from tests.http.dag_file import loaded
with loaded(Path(sys.argv[1]), {AIRFLOW!r}) as dag_file:
    for name in ("by_class", "by_module", "by_object"):
        try:
            pack(getattr(dag_file, name))
        except FunctionNotSent as error:
            print(error)
"""
    # In a process of its own: importing Airflow makes a folder in the home, and is nothing for this one.
    root = Path(__file__).resolve().parents[2]
    environment = {"PYTHONPATH": f"{root / 'plugins'}:{root}", "AIRFLOW_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
    )
    by_class, by_module, by_object = [line for line in done.stdout.splitlines() if line.startswith("The function")]
    assert "it uses airflow.sdk.definitions.variable.Variable" in by_class
    assert "it uses airflow.sdk" in by_module
    assert "BaseHook" in by_object
    assert "there is no Airflow in the engine" in by_class


def test_call_is_checked_before_anything_is_sent() -> None:
    """A function whose signature doesn't fit the parameters is refused, with the arguments that it would get."""

    def two(session: object, start: str, end: str) -> None:
        """Take two values."""

    check_call(two, ["2026-11-22", "2026-11-23"])
    check_call(two, {"end": "2026-11-23", "start": "2026-11-22"})
    check_call(lambda *_, **__: None, {"tel": 1})
    check_call(print, "a built-in without much of a signature")
    with pytest.raises(FunctionNotSent, match=r"called with \(session, value 0\): missing a required argument: 'end'"):
        check_call(two, "2026-11-22")
    with pytest.raises(FunctionNotSent, match=r"called with \(session, day\)"):
        check_call(two, {"day": "2026-11-22"})
    with pytest.raises(FunctionNotSent, match="session"):
        check_call(two, {"session": 1, "start": 1, "end": 1})


def test_functions_have_names_for_people() -> None:
    """A function is named with file and line, also inside a partial; an object by its class, without its contents."""
    described = describe(functools.partial(result_of, function=print))
    assert described == f"result_of (test_shipping.py:{result_of.__code__.co_firstlineno})"
    assert "…" not in describe(threading.Thread(target=print).run)


def test_module_that_the_engine_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of a module that is gone by the time the engine imports it fails the engine, and names the module."""
    module = tmp_path / "fanout_test_gone.py"
    module.write_text("def fetch(session, tel):\n    return tel\n")
    monkeypatch.syspath_prepend(tmp_path)
    import fanout_test_gone  # type: ignore[import-not-found] # it has just been written

    todo = job(frozen(tmp_path, ["a"]), fanout_test_gone.fetch)
    module.unlink()
    found = run(todo)
    assert (found.last.what, found.last.value["kind"]) == ("failed", "ModuleNotFoundError")
    assert "fanout_test_gone" in found.last.value["message"]
    assert found.outcomes == {}
