from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.launch.stop_reasons import Finished
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import MIB, Retry, Timeouts
from tests.engine.harness import Run, Sending, frozen, job, run, settings
from tests.http.dag_file import TEXT, loaded
from tests.http.servers import Server, answer, as_json, drip, paths, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.http.servers import Connection, Routes, Seen

THRICE = Retry(max_attempts=3, initial_delay_s=0.001, last_pass=False)
CASES = re.findall(r"^    def (\w+)\(session\)", TEXT, re.MULTILINE)


def stops_in_the_body(_: Seen, connection: Connection) -> None:
    """Send the beginning of a body, and nothing more."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[")
    connection.pause(30)


ROUTES: Routes = {
    "/busy": answer(b"", "503 Service Unavailable", "Retry-After: 0"),
    "/page": answer(b"<html></html>"),
    "/large": answer(b"x" * (MIB + 1)),
    "/drip": lambda _, connection: drip(connection, 0.1),
    "/hang": lambda _, connection: connection.pause(30),
    "/stuck": stops_in_the_body,
    "/good": as_json(1),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, sending: Sending) -> Iterator[Run]:
    """Give the outcomes of a DAG file's function, for each thing that it can do."""
    folder = tmp_path_factory.mktemp("dags")
    how = sending(
        len(CASES),
        retry=Retry(max_attempts=2, initial_delay_s=0.01, last_pass=False),
        timeouts=Timeouts(read_s=5, total_s=3),
        max_body_bytes=MIB,
    )
    with serving(ROUTES) as server, loaded(folder) as dag_file:
        yield run(job(frozen(folder, CASES), dag_file.fetch, server.origin, how))


def test_every_case_has_its_record(done: Run) -> None:
    """Whatever a function does, the engine goes on, and each parameter ends in exactly one record."""
    assert (done.reason, done.ended) == (Finished(), "exited with code 0")
    assert sorted(record.parameter for record in done.records) == sorted(CASES)
    assert len(CASES) > 20


@pytest.mark.parametrize(
    ("case", "result"),
    [
        ("text", "text"),
        ("empty", []),
        ("tuples", [["+12025550100", 1], ["+12025550100", 2]]),
        ("generator", [["x", 0], ["x", 1], ["x", 2]]),
    ],
)
def test_results_are_json(done: Run, case: str, result: object) -> None:
    """A result is what JSON makes of it: tuples are lists, a generator is the list of what it yields."""
    assert done.outcomes[case] == Outcome(Kind.OK, result=result)


def test_none_is_null(done: Run) -> None:
    """`None` is a value: the outcome `null`, no failure."""
    assert done.outcomes["none"] == Outcome(Kind.NULL)


@pytest.mark.parametrize(
    ("case", "kind", "type_", "said"),
    [
        (
            "moment",
            Kind.ERROR,
            "NotJson",
            "result['at'] is of type datetime.datetime; write it as text: value.isofo",
        ),
        ("nan", Kind.ERROR, "NotJson", "the function's result isn't JSON: result is NaN or infinite; return None"),
        ("surrogate", Kind.ERROR, "NotJson", "the function's result isn't JSON: result is text with a lone surrogate"),
        ("response", Kind.ERROR, "NotJson", "return what is in the answer: response.json(), or response.text"),
        ("day", Kind.ERROR, "NotJson", "result['rows'][0]['at'] is of type datetime.date"),
        ("amount", Kind.ERROR, "NotJson", "result[0] is of type decimal.Decimal; write it as text, which keeps all"),
        ("awaitable", Kind.ERROR, "NotJson", "the engine awaits nothing: call session.get(…) from a plain `def`"),
        ("circle", Kind.ERROR, "NotJson", "Circular reference detected"),
        ("raises", Kind.ERROR, "KeyError", "'calls'"),
        ("helped", Kind.ERROR, "AttributeError", "'NoneType' object has no attribute 'upper'"),
        ("leaves", Kind.ERROR, "SystemExit", "3"),
        ("garbled", Kind.ERROR, "ValueError", "broken \\udcff bytes"),
        ("speechless", Kind.ERROR, "Wrong", "its message can't be read (RuntimeError)"),
        ("verbose", Kind.ERROR, "ValueError", "xxx… (100,000 characters)"),
        ("not_json", Kind.INVALID, "NotJson", "it looks like HTML or XML"),
        ("large", Kind.INVALID, "BodyTooLarge", "larger than 1,048,576 bytes"),
        ("streamed", Kind.INVALID, "BodyTooLarge", "larger than 1,048,576 bytes"),
        ("refused", Kind.CONNECTION_ERROR, "ConnectionError", "Connection refused"),
        ("late", Kind.TIMEOUT, "TotalTimeout", "no answer within 3 s in total"),
        ("late_read", Kind.TIMEOUT, "ReadTimeout", "read timeout=0.2"),
        ("late_body", Kind.TIMEOUT, "ConnectionError", "Read timed out"),
        ("swallows", Kind.TIMEOUT, "TotalTimeout", "no answer within 3 s in total"),
        ("disguises", Kind.TIMEOUT, "TotalTimeout", "no answer within 3 s in total"),
        ("own_limit", Kind.TIMEOUT, "Timeout", "a time limit of the function's own: 0.05 second"),
        ("nameless", Kind.ERROR, "X" * 1_000 + "… (2,000 characters)", "x"),
        ("huge", Kind.ERROR, "ValueError", "xxx… (100,000,000 characters)"),
        ("false_response", Kind.ERROR, "HTTPError", "no"),
        ("empty_response", Kind.ERROR, "HTTPError", "no"),
    ],
)
def test_failures_say_what_happened(done: Run, case: str, kind: Kind, type_: str, said: str) -> None:
    """Each failure has its kind, the exception's type and words that a person can use."""
    outcome = done.outcomes[case]
    assert outcome.failure is not None
    assert (outcome.kind, outcome.failure.type) == (kind, type_)
    assert said in outcome.failure.message
    assert len(outcome.failure.message) < 1_100


@pytest.mark.parametrize(
    ("case", "type_"),
    [
        ("greenlet_exit", "GreenletExit"),
        ("interrupts", "KeyboardInterrupt"),
        ("base", "BaseException"),
        ("system_error", "SystemError"),
        ("generator_exit", "GeneratorExit"),
        ("ends_lazily", "SystemExit"),
        ("ends_in_items", "GreenletExit"),
        ("ends_in_str", "Ending"),
    ],
)
def test_whatever_a_function_raises_is_the_error_of_its_parameter(done: Run, case: str, type_: str) -> None:
    """Exceptions that end greenlets, threads or programs end nothing here, wherever a function raises them."""
    outcome = done.outcomes[case]
    assert outcome.failure is not None
    assert (outcome.kind, outcome.failure.type) == (Kind.ERROR, type_)


def test_a_greenlet_of_a_functions_ends_alone(done: Run) -> None:
    """A greenlet that a function has spawned, and that ends by SystemExit, doesn't end the engine."""
    assert done.outcomes["spawned_exit"] == Outcome(Kind.OK, result="SystemExit")


def test_a_kill_that_strikes_later_costs_no_parameter_its_record(tmp_path: Path) -> None:
    """A call that has its own worker killed after its end, while that one waits for a retry, keeps nobody waiting."""

    def kill_later(session: object, number: int, seen: dict[int, int] = {}) -> int:  # noqa: B006 - it counts
        import gevent
        import requests

        seen[number] = seen.get(number, 0) + 1
        if number == 0:
            gevent.spawn_later(0.1, gevent.getcurrent().kill, block=False)
        elif seen[number] == 1:
            raise requests.ConnectionError("once")
        return number

    retry = Retry(max_attempts=2, initial_delay_s=5.0, max_delay_s=5.0, last_pass=False)
    found = run(job(frozen(tmp_path, range(2)), kill_later, how=settings(1, retry=retry)))
    assert (found.reason, found.progress.kinds) == (Finished(), {"ok": 2})


@pytest.mark.parametrize(
    ("case", "source"), [("raises", "def raises"), ("helped", "return tel.upper()"), ("status", "raise_for_status")]
)
def test_failures_say_where(done: Run, case: str, source: str) -> None:
    """A failure names the file and the line of the author's that it came from."""
    line = next(number for number, line in enumerate(TEXT.splitlines(), 1) if source in line)
    failure = done.outcomes[case].failure
    assert failure is not None
    assert failure.where == f"report.py:{line}"


def test_raise_for_status_is_an_answer_of_the_server(done: Run) -> None:
    """`raise_for_status` makes an `http_error` with its status, and is tried again by the same policy."""
    attempts = {record.parameter: record.attempts for record in done.records}
    status, not_found = done.outcomes["status"], done.outcomes["not_found"]
    assert (status.kind, status.status, attempts["status"]) == (Kind.HTTP_ERROR, 503, 2)
    assert (not_found.kind, not_found.status, attempts["not_found"]) == (Kind.HTTP_ERROR, 404, 1)
    assert "HTTP 503 Service Unavailable" in str(status.failure)


def test_only_what_may_pass_is_tried_again(done: Run) -> None:
    """Timeouts, lost connections and garbled answers are tried again, the author's own errors aren't."""
    attempts = {record.parameter: record.attempts for record in done.records}
    assert {case for case, times in attempts.items() if times == 2} == {
        *("status", "refused", "late", "late_read", "late_body", "swallows", "disguises", "own_limit", "not_json")
    }


def test_tuples_come_by_position_and_objects_by_keyword(tmp_path: Path) -> None:
    """A tuple's values are positional arguments, an object's fields are keywords."""
    folder = tmp_path / "named"
    by_position = run(job(frozen(tmp_path, [(1, "a"), (2, "b")]), lambda _, *args: list(args)))
    by_name = run(job(frozen(folder, [(1, "a")], ("n", "x")), lambda _, *, x, n: {"x": x, "n": n}))
    assert [record.result for record in by_position.records] == [[1, "a"], [2, "b"]]
    assert by_name.records[0].result == {"x": "a", "n": 1}


def test_every_attempt_has_the_frozen_parameter(tmp_path: Path) -> None:
    """A function that changes its parameter gets a new one at each attempt, and the record has what was frozen."""

    def fetch(session: Any, tags: list[str], deep: dict[str, list[int]]) -> None:
        import requests

        seen = repr([tags, deep])
        tags.append("seen")
        deep["a"].append(2)
        deep["b"] = []
        raise requests.ConnectionError(seen)

    given = {"tags": ["new"], "deep": {"a": [1]}}
    by_name = run(job(frozen(tmp_path / "names", [given]), fetch, how=settings(retry=THRICE)))
    by_place = run(job(frozen(tmp_path / "places", [(["new"], {"a": [1]})]), fetch, how=settings(retry=THRICE)))
    for found, parameter in ((by_name, given), (by_place, list(given.values()))):
        [record] = found.records
        assert (record.attempts, record.parameter) == (3, parameter)
        assert record.failure is not None
        assert record.failure.message == "[['new'], {'a': [1]}]"


def test_streams_that_are_left_open(tmp_path: Path, sending: Sending) -> None:
    """A function that streams answers and never reads them doesn't use up the connections."""

    def look(session: object, number: int) -> int:
        status: int = session.get("/good", stream=True).status_code  # type: ignore[attr-defined]
        return status

    with Server(paths(ROUTES)) as server:
        how = sending(2, timeouts=Timeouts(total_s=2))
        found = run(job(frozen(tmp_path, range(10)), look, server.origin, how))
    assert found.progress.kinds == {"ok": 10}


def test_one_session_for_all(tmp_path: Path, sending: Sending) -> None:
    """Fifty calls by five workers share at most five connections."""

    def ask(session: object, number: int) -> object:
        return session.get("/good", params={"n": number}).json()  # type: ignore[attr-defined]

    with Server(paths(ROUTES)) as server:
        found = run(job(frozen(tmp_path, range(50)), ask, server.origin, sending(5)))
    assert found.progress.kinds == {"ok": 50}
    assert server.connections <= 5
