"""Answers with a good status whose bodies say that the request has failed: `failed_if` and `retry_if`."""

from __future__ import annotations

import functools
import gzip
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import gevent
import pytest

from airflow_fanout.api.answers import Csv
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.paging import PageNumber
from airflow_fanout.api.request import Request
from airflow_fanout.engine.transport.answer import reader_of
from airflow_fanout.engine.transport.authors import NO_SECRETS
from airflow_fanout.launch.engines import Engines
from airflow_fanout.launch.messages import Ended
from airflow_fanout.launch.stop_reasons import BreakerTripped
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.reasons import failures
from airflow_fanout.model.settings import MIB, Breaker, Retry, Timeouts
from airflow_fanout.privacy.telling import words_of
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.journal import read_records
from tests.engine.harness import Run, frozen, job, journal, run, settings
from tests.http.servers import Server, answer, as_json, redirect

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.harness import Sending
    from tests.http.servers import Connection, Handler, Seen

TOKEN = "s3cr3t-t0ken-0815"
ANSWERS: dict[str, Any] = {
    "good": {"status": "ok", "rows": [1]},
    "null": {"status": "ok", "rows": None, "error": None},
    "zero": {"rows": [1], "error": 0, "status": True},
    "text": {"rows": [], "error": "unknown subscriber", "status": 1},
    "object": {"error": {"code": "E17"}, "rows": [2]},
    "status": {"status": "error", "rows": [3]},
    "list": [{"error": "inside of a list"}],
}
SOON = Retry(max_attempts=3, initial_delay_s=0.01, max_delay_s=0.02, last_pass=False)


def by_name(seen: Seen, _: Connection) -> bytes:
    """Answer what the request names."""
    return as_json(ANSWERS[seen.path.rpartition("/")[2]])


def fetched(folder: Path, request: Request, how: Any, handler: Handler = by_name, names: Any = tuple(ANSWERS)) -> Run:
    """Return what came of asking for each of the answers."""
    with Server(handler) as server:
        endpoint = Endpoint(base_url=server.origin, password=TOKEN, auth="bearer")
        return run(job(frozen(folder, names), request, endpoint, how))


def failed(found: Run) -> dict[str, str]:
    """Return what the failures say, by their names."""
    assert {outcome.kind for outcome in found.outcomes.values() if outcome.failure} <= {Kind.API_ERROR}
    return {name: outcome.failure.message for name, outcome in found.outcomes.items() if outcome.failure}


def says_error(answer: Any) -> Any:
    """Judge an answer."""
    return isinstance(answer, dict) and answer.get("error")


@pytest.mark.parametrize(
    ("condition", "failing"),
    [
        ("error", {"text": "'error': unknown subscriber", "object": '\'error\': {"code":"E17"}'}),
        (("error",), {"text": "('error',): unknown subscriber", "object": '(\'error\',): {"code":"E17"}'}),
        ("error.code", {"object": "'error.code': E17"}),
        ("0.error", {"list": "'0.error': inside of a list"}),
        ({"status": "error"}, {"status": "'status': error"}),
        ({"status": ["error", 1]}, {"status": "'status': error", "text": "'status': 1"}),
        ({"status": True}, {"zero": "'status': true"}),
        ({"error.code": "E17", "rows.0": 2}, {"object": "'error.code': E17; 'rows.0': 2"}),
        ({"error.code": "E17", "rows.0": 3}, {}),
        (lambda answer: isinstance(answer, list), {"list": "the function says so"}),
        (lambda answer: "it is wrong" if answer == ANSWERS["status"] else "", {"status": "it is wrong"}),
        (lambda _: None, {}),
    ],
)
def test_what_failed_if_looks_at(condition: Any, failing: dict[str, str]) -> None:
    """A field that has something in it, the values of fields, or a function: each failure has its own words."""
    reader = reader_of(Request(endpoint="/{0}", failed_if=condition), MIB, NO_SECRETS)
    outcomes = {name: reader.plain(json.dumps(answer).encode()) for name, answer in ANSWERS.items()}
    assert {name: outcome.failure.message for name, outcome in outcomes.items() if outcome.failure} == failing
    others = {name: outcome.result for name, outcome in outcomes.items() if outcome.kind is Kind.OK}
    assert others == {name: answer for name, answer in ANSWERS.items() if name not in failing}


def test_the_whole_answer_is_looked_at_before_its_part_is_taken(tmp_path: Path, sending: Sending) -> None:
    """A failure that has no result isn't one that lacks the field; a null result is judged too."""
    request = Request(endpoint="/{0}", failed_if="error", result="rows")
    found = fetched(tmp_path, request, sending(), names=["good", "null", "object"])
    kinds = {name: (outcome.kind, outcome.status, outcome.result) for name, outcome in found.outcomes.items()}
    assert kinds == {
        "good": (Kind.OK, 200, [1]),
        "null": (Kind.NULL, 200, None),
        "object": (Kind.API_ERROR, 200, None),
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_retry_if_is_tried_again_with_a_wait(tmp_path: Path, method: str, sending: Sending) -> None:
    """Such an answer is another attempt's, also of a POST; after the last one it is the outcome. A failure is final."""
    asked: Counter[str] = Counter()

    def busy(seen: Seen, _: Connection) -> bytes:
        asked[seen.path] += 1
        error = {"/late": "busy" if asked[seen.path] < 3 else None, "/never": "busy", "/wrong": "unknown"}[seen.path]
        return as_json({"error": error, "row": 1})

    request = Request(endpoint="/{0}", method=method, failed_if="error", retry_if={"error": ["busy"]}, result="row")
    found = fetched(tmp_path, request, sending(retry=SOON), busy, ["late", "never", "wrong"])
    assert asked == {"/late": 3, "/never": 3, "/wrong": 1}
    assert failed(found) == {"never": "'error': busy", "wrong": "'error': unknown"}
    assert found.outcomes["late"].result == 1
    types = {name: outcome.failure.type for name, outcome in found.outcomes.items() if outcome.failure}
    assert types == {"never": "retry_if", "wrong": "failed_if"}


def test_a_failure_on_a_page_is_that_of_the_parameter(tmp_path: Path, sending: Sending) -> None:
    """Each page is judged by itself; one that is to be tried again is requested alone."""
    asked: Counter[str] = Counter()

    def paged(seen: Seen, _: Connection) -> bytes:
        asked[seen.target] += 1
        number = 2 if "page=2" in seen.target else 3 if "page=3" in seen.target else 1
        is_late = number == 2 and asked[seen.target] == 1
        error = "busy" if is_late else "gone" if "bad" in seen.target and number == 2 else None
        return as_json({"error": error, "rows": [number] if number < 3 else []})

    request = Request(endpoint="/{0}", pages=PageNumber(), result="rows", failed_if="error", retry_if={"error": "busy"})
    found = fetched(tmp_path, request, sending(retry=SOON), paged, ["good", "bad"])
    assert found.outcomes["good"].result == [1, 2]
    assert failed(found) == {"bad": "page 2: 'error': gone"}
    assert asked["/good?page=1"] == 1
    assert asked["/good?page=2"] == 2


def test_a_compressed_table_is_read_like_any_other_answer(tmp_path: Path, sending: Sending) -> None:
    """A file of gzip in CSV, in another charset: over libcurl and with requests."""
    body = gzip.compress("tel;name\n1;Zoé\n".encode("cp1252"))
    table = answer(body, "200 OK", "Content-Type: application/gzip; charset=cp1252")
    request = Request(endpoint="/{0}", parse=Csv(delimiter=";"), failed_if=says_error)
    found = fetched(tmp_path, request, sending(), lambda *_: table, ["a"])
    assert found.outcomes["a"].result == [{"tel": "1", "name": "Zoé"}]


def raising(errors: dict[str, Any], answer: Any) -> bool:
    """Raise something, with the token in it, for some of the answers."""
    for name, error in errors.items():
        if answer == ANSWERS[name]:
            raise error(f"I know {TOKEN}")
    return False


def test_a_function_that_raises_is_the_error_of_its_parameter(tmp_path: Path, sending: Sending) -> None:
    """Whatever it raises: the outcome names the place in the file, without the connection's secrets."""
    errors = {"null": KeyError, "zero": SystemExit, "text": gevent.GreenletExit, "status": gevent.Timeout}
    request = Request(endpoint="/{0}", retry_if=functools.partial(raising, errors))
    found = fetched(tmp_path, request, sending(retry=SOON))
    assert {outcome.kind for name, outcome in found.outcomes.items() if name not in errors} == {Kind.OK}
    bad = {record.parameter: record for record in found.records if record.parameter in errors}
    for name, record in bad.items():
        assert (record.kind, record.attempts) == (Kind.ERROR, 1)
        assert record.failure is not None
        assert record.failure.message.startswith("retry_if: ")
        assert TOKEN not in record.failure.message
        where = record.failure.where or ""
        assert name == "status" or where.startswith("test_judged_answers.py:")
    assert bad.keys() == errors.keys()


@pytest.mark.parametrize("verdict", [7, {"error": 1}, b"no"])
def test_a_function_that_returns_something_else_is_an_error(verdict: Any) -> None:
    """It says what is expected, and which function it was."""
    outcome = reader_of(Request(endpoint="/", failed_if=lambda _: verdict), MIB, NO_SECRETS).plain(b"1")
    assert (outcome.kind, outcome.failure and outcome.failure.type) == (Kind.ERROR, "UnusableReturn")
    assert outcome.failure is not None
    assert "expected true, false, or a text" in outcome.failure.message
    assert "test_judged_answers.py:" in outcome.failure.message


def test_after_a_redirect_the_answer_is_judged_too(tmp_path: Path) -> None:
    """The answer to where a redirect leads is read by the same function."""

    def moved(seen: Seen, connection: Connection) -> bytes:
        return by_name(seen, connection) if seen.path.startswith("/new/") else redirect(f"/new{seen.path}")

    found = fetched(
        tmp_path, Request(endpoint="/{0}", failed_if=says_error), settings(transport="curl"), moved, ["text"]
    )
    assert failed(found) == {"text": "unknown subscriber"}


def test_a_secret_that_the_answer_quotes_stays_out_of_the_journal(tmp_path: Path, sending: Sending) -> None:
    """Whatever the API says of the credentials that it got."""
    answers = as_json({"error": f"the token {TOKEN} has expired"})
    found = fetched(tmp_path, Request(endpoint="/{0}", failed_if="error"), sending(), lambda *_: answers, ["a"])
    assert failed(found) == {"a": "'error': the token … has expired"}


def block(answer: Any) -> bool:
    """Never return, for one of the answers."""
    while answer == ANSWERS["status"]:
        pass
    return False


def test_a_function_that_blocks_the_engine_is_the_error_of_its_parameter(tmp_path: Path) -> None:
    """The engine is restarted without it, as it is for a function that makes requests."""
    how = settings(4, timeouts=Timeouts(block_s=2.5), processes=1)
    with Server(by_name) as server:
        todo = job(frozen(tmp_path, ANSWERS), Request(endpoint="/{0}", failed_if=block), server.origin, how)
        with Engines(todo) as engines:
            last = [message for message in engines.listen() if isinstance(message, Ended)][-1]
    assert last.progress.kinds == {"ok": len(ANSWERS) - 1, "error": 1}
    [bad] = [record for record in read_records(journal(list_at(todo.directory))) if record.kind is Kind.ERROR]
    assert bad.parameter == "status"
    assert bad.failure is not None
    assert "the function blocked the engine" in bad.failure.message


def test_the_breaker_counts_such_failures_and_shows_no_text_of_the_servers(tmp_path: Path, sending: Sending) -> None:
    """When most answers say that they have failed, the run stops; the message leads to the journal."""
    how = sending(4, breaker=Breaker(canary=10, min_sample=20, startup_attempts=0))
    request = Request(endpoint="/text?{0}", failed_if="error")
    found = fetched(tmp_path, request, how, names=[str(number) for number in range(100)])
    assert isinstance(found.reason, BreakerTripped)
    trip = found.reason.finding
    assert (trip.cause, trip.failed) == (Kind.API_ERROR, 10)
    assert failures(trip.cause, trip.status) == "answers that say they have failed"
    failure = found.outcomes["0"].failure
    assert failure is not None
    assert failure.message == "'error': unknown subscriber"
    assert "subscriber" not in words_of(failure, kind=Kind.API_ERROR, status=200)
