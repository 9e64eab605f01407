from __future__ import annotations

import functools
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.launch.calling import check_call, check_function
from airflow_fanout.launch.function_errors import AsyncFunction, FunctionMisfits, FunctionNotSent
from airflow_fanout.launch.shipping import pack
from airflow_fanout.model.functions import describe
from airflow_fanout.model.outcome import Kind
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
        ("awaited", "is async, but the engine awaits nothing"),
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
    with pytest.raises(AsyncFunction, match=r"is async, but the engine awaits nothing. Write a plain `def`"):
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


PARSED = """
def fetch(session, number):
    return number

for shards in (None, 4):
    try:
        with DAG("report"):
            FanoutTaskGroup(
                "report",
                extract={"source": list, "names": ("tel",), "shards": shards},
                fetch={"request": fetch, "http_conn_id": "api"},
                load={"database": "d", "collection": "c", "key": ("tel",)},
            )
    except FunctionMisfits as error:
        print("parsed with", shards, error)
"""

MIXED = """
from airflow.sdk import Variable

SIGN = "!"

def fetch(session, tel):
    return tel + SIGN

def source():
    return Variable.get("list")
"""

PROGRAM = f"""
import sys
from pathlib import Path
from airflow.sdk import DAG
from airflow_fanout import FanoutTaskGroup
from airflow_fanout.launch.function_errors import FunctionNotSent
from airflow_fanout.launch.function_errors import FunctionMisfits
from airflow_fanout.launch.shipping import pack
from tests.engine.harness import frozen, job, run
from tests.http.dag_file import loaded
here = Path(sys.argv[1])
with loaded(here, {AIRFLOW!r}) as dag_file:
    for name in ("by_class", "by_module", "by_object"):
        try:
            pack(getattr(dag_file, name))
        except FunctionNotSent as error:
            print(name, error)
{PARSED}
sys.path.insert(0, str(here))
here.joinpath("fanout_test_mixed.py").write_text({MIXED!r})
import fanout_test_mixed
done = run(job(frozen(here, ["a"]), fanout_test_mixed.fetch))
print("mixed", [record.result or record.failure for record in done.records])
"""


@pytest.fixture(scope="module")
def with_airflow(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what is printed by a process that has imported Airflow; for this one, that is nothing."""
    root = Path(__file__).resolve().parents[2]
    home = str(tmp_path_factory.mktemp("home"))
    environment = {"PYTHONPATH": f"{root / 'plugins'}:{root}", "AIRFLOW_HOME": home, "HOME": home}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, home], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_airflow_is_refused_by_name(with_airflow: list[str]) -> None:
    """A function that uses Airflow (a class, a module, an object) is refused, and told which part it uses."""
    by_class, by_module, by_object = [line for line in with_airflow if line.startswith("by_")]
    assert "it uses airflow.sdk.definitions.variable.Variable" in by_class
    assert "it uses airflow.sdk" in by_module
    assert "BaseHook" in by_object
    assert "there is no Airflow in the engine" in by_class


def test_a_function_that_cannot_fit_is_an_import_error(with_airflow: list[str]) -> None:
    """A DAG whose fetch function doesn't take what extract names fails while it is parsed, mapped or not."""
    plain, mapped = [line for line in with_airflow if line.startswith("parsed with")]
    assert plain.startswith("parsed with None The function fetch (")
    assert mapped.startswith("parsed with 4 The function fetch (")
    assert "doesn't fit its arguments: it is called with (session, tel): missing a required argument: 'number'" in plain


def test_a_function_beside_imports_of_airflow_goes_alone(with_airflow: list[str]) -> None:
    """A function whose module imports Airflow for something else travels without that module."""
    assert with_airflow[-1] == "mixed ['a!']"


def test_call_is_checked_before_anything_is_sent() -> None:
    """A function whose signature doesn't fit the parameters is refused, with the arguments that it would get."""

    def two(session: object, start: str, end: str) -> None:
        """Take two values."""

    check_call(two, ["2026-11-22", "2026-11-23"])
    check_call(two, {"end": "2026-11-23", "start": "2026-11-22"})
    check_call(lambda *_, **__: None, {"tel": 1})
    check_call(print, "a built-in without much of a signature")
    with pytest.raises(FunctionMisfits, match=r"called with \(session, value 0\): missing a required argument: 'end'"):
        check_call(two, "2026-11-22")
    with pytest.raises(FunctionMisfits, match=r"called with \(session, day\)"):
        check_call(two, {"day": "2026-11-22"})
    with pytest.raises(FunctionMisfits, match="session"):
        check_call(two, {"session": 1, "start": 1, "end": 1})


def test_a_function_that_cannot_fit_is_refused_when_it_is_written() -> None:
    """The names of the parameters, a function without any parameter and one that is async are known at parse time."""

    def fetch(session: object, tel: str, day: str = "") -> None:
        """Take a number, and perhaps a day."""

    async def awaited(session: object, tel: str) -> None:
        """Wait."""

    class Awaited:
        """Called as a function, and async."""

        async def __call__(self, session: object, tel: str) -> None:
            """Wait."""

    for names in ((), ("tel",), ("tel", "day")):
        check_function(fetch, names)
    check_function(lambda *_: None, ())
    check_function(print, ())
    with pytest.raises(FunctionMisfits) as caught:
        check_function(fetch, ("start", "end"))
    assert f"fetch (test_shipping.py:{fetch.__code__.co_firstlineno})(session" in str(caught.value)
    assert "called with (session, start, end): missing a required argument: 'tel'" in str(caught.value)
    for takes_none in (lambda: None, lambda _session: None):
        with pytest.raises(FunctionMisfits, match=r"called with \(session, …the parameter…\): too many positional"):
            check_function(takes_none, ())
    for function in (awaited, Awaited(), functools.partial(awaited, tel="7")):
        with pytest.raises(AsyncFunction, match=r"is async, .* asyncio isn't needed"):
            check_function(function, ())


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
    assert found.failure.kind == "ModuleNotFoundError"
    assert "fanout_test_gone" in found.failure.message
    assert found.outcomes == {}


def test_the_engine_runs_what_the_task_has_loaded_when_a_link_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link to the DAG folder moves between parsing and the engine's start: the engine gets the parsed version."""
    for version in ("one", "two"):
        folder = tmp_path / version
        folder.mkdir()
        text = (
            f"def fetch(session, tel):\n    import fanout_test_late as late\n    return [{version!r}, late.VERSION]\n"
        )
        folder.joinpath("fanout_test_linked.py").write_text(text)
        folder.joinpath("fanout_test_late.py").write_text(f"VERSION = {version!r}\n")
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "one")
    monkeypatch.syspath_prepend(link)
    import fanout_test_linked  # type: ignore[import-not-found] # it has just been written

    todo = job(frozen(tmp_path, ["a"]), fanout_test_linked.fetch)
    moved = tmp_path / "moved"
    moved.symlink_to(tmp_path / "two")
    moved.replace(link)
    assert [record.result for record in run(todo).records] == [["one", "one"]]


@pytest.mark.parametrize("changed", ["fanout_test_changed", "fanout_test_helper"])
def test_code_that_has_changed_in_its_place_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """A module's file that isn't what the task has loaded is named, whether the function needs it early or late."""
    tmp_path.joinpath("fanout_test_helper.py").write_text("VERSION = 'one'\n")
    tmp_path.joinpath("fanout_test_changed.py").write_text(
        "import fanout_test_helper\ndef fetch(session, tel):\n    return fanout_test_helper.VERSION\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import fanout_test_changed  # type: ignore[import-not-found] # it has just been written

    todo = job(frozen(tmp_path, ["a"]), fanout_test_changed.fetch)
    for name in ("fanout_test_changed", "fanout_test_helper"):
        del sys.modules[name]
    with (tmp_path / f"{changed}.py").open("a") as file:
        file.write("# version two\n")
    found = run(todo)
    assert found.failure.kind == "CodeChanged"
    assert f"{changed}.py (module {changed}) has changed since this task loaded its DAG file" in found.failure.message
    assert found.outcomes == {}
