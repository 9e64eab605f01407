from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.launch.stop_reasons import Finished
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import MIB, Retry, Timeouts
from harness.service import DemoService
from tests.engine.harness import NOWHERE, Run, frozen, job, listened, run
from tests.http.servers import Server, announce, answer, as_json, drip, gzip_bomb, redirect, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.harness import Sending
    from tests.http.servers import Connection, Routes, Seen

GOOD = as_json({"data": {"rows": [1]}})
DAY = "2026-11-22"
BIG = 1 << 90


def resets(_: Seen, connection: Connection) -> None:
    """Reset the connection in the middle of a body."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    connection.hang_up(reset=True)


def breaks_off(_: Seen, connection: Connection) -> None:
    """Send a chunk whose length is no number."""
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nnonsense")
    connection.hang_up(reset=True)


def is_short(_: Seen, connection: Connection) -> None:
    """Send less than was announced, and close."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]")
    connection.hang_up()


def floods(_: Seen, connection: Connection) -> None:
    """Send more headers than anybody needs."""
    connection.send(b"HTTP/1.1 200 OK\r\n" + b"X-Flood: 1\r\n" * 200 + b"Content-Length: 2\r\n\r\n[]")


ODD: Routes = {
    "/odd/good": GOOD,
    "/odd/null": as_json({"data": {"rows": None}}),
    "/odd/null-on-the-way": as_json({"data": None}),
    "/odd/empty": as_json({"data": {"rows": []}}),
    "/odd/missing": as_json({"data": {"row": [1]}}),
    "/odd/no-object": as_json([1]),
    "/odd/not-json": answer(b"<html>The exchange is closed.</html>"),
    "/odd/cut": answer(b'{"data": {"rows": [1'),
    "/odd/nothing": answer(b""),
    "/odd/deep": answer(b"[" * 100_000),
    "/odd/long-number": as_json({"data": {"rows": BIG}}),
    "/odd/204": answer(b"", "204 No Content"),
    "/odd/304": answer(b"", "304 Not Modified"),
    "/odd/404": as_json({"error": "unknown"}, "404 Not Found"),
    "/odd/410": as_json({"error": "gone"}, "410 Gone"),
    "/odd/429": answer(b"", "429 Too Many Requests", "Retry-After: 7"),
    "/odd/500": answer(b"", "500 Internal Server Error"),
    "/odd/599": answer(b"", "599 "),
    "/odd/moved": redirect("/odd/good"),
    "/odd/wrong-gzip": answer(b"this is no gzip", "200 OK", "Content-Encoding: gzip"),
    "/odd/two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n[]",
    "/odd/large": answer(b" " * (2 * MIB)),
    "/odd/announced": lambda _, connection: announce(connection),
    "/odd/drip": lambda _, connection: drip(connection, 0.1),
    "/odd/reset": resets,
    "/odd/broken-chunk": breaks_off,
    "/odd/short": is_short,
    "/odd/flood": floods,
    "/odd/no-http": lambda _, connection: connection.send(b"220 mail.example.com ESMTP\r\n\r\n"),
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, sending: Sending) -> Iterator[Run]:
    """Give the outcomes of asking a server once for each odd thing that it can do."""
    request = Request(endpoint="/odd/{0}", result="data.rows", empty_is_null=True, null_statuses=(410,))
    how = sending(len(ODD), timeouts=Timeouts(read_s=5, total_s=1.5), max_body_bytes=MIB)
    names = [path.removeprefix("/odd/") for path in ODD]
    with serving(ODD) as server:
        endpoint = Endpoint(base_url=server.origin, allow_redirects=False)
        yield run(job(frozen(tmp_path_factory.mktemp("odd"), names), request, endpoint, how))


def test_every_parameter_has_its_record(odd: Run) -> None:
    """Whatever a server does, the engine goes on, and each parameter ends in exactly one record."""
    assert (odd.reason, odd.ended) == (Finished(), "exited with code 0")
    assert sorted(f"/odd/{record.parameter}" for record in odd.records) == sorted(ODD)


def test_result_is_the_named_part(odd: Run) -> None:
    """The result is the part of the answer that the path names."""
    assert odd.outcomes["good"] == Outcome(Kind.OK, result=[1], status=200)


def test_long_numbers_stay_exact(odd: Run) -> None:
    """A number of any length comes through digit by digit."""
    assert odd.outcomes["long-number"].result == BIG


@pytest.mark.parametrize(
    ("case", "status"), [("null", 200), ("null-on-the-way", 200), ("empty", 200), ("204", 204), ("410", 410)]
)
def test_nothing_is_null(odd: Run, case: str, status: int) -> None:
    """Null, no content, what the report calls empty, and a status that says "nothing" are `null`, not failures."""
    assert odd.outcomes[case] == Outcome(Kind.NULL, status=status)


@pytest.mark.parametrize(
    ("case", "kind", "status", "said"),
    [
        ("missing", Kind.INVALID, 200, "has no field 'rows'; it has: row"),
        ("no-object", Kind.INVALID, 200, "has no field 'data': it is of type list"),
        ("not-json", Kind.INVALID, 200, "JSON is malformed"),
        ("cut", Kind.INVALID, 200, "Input data was truncated"),
        ("nothing", Kind.INVALID, 200, "it is empty"),
        ("deep", Kind.INVALID, 200, "nested too deeply"),
        ("304", Kind.HTTP_ERROR, 304, "HTTP 304 Not Modified"),
        ("404", Kind.HTTP_ERROR, 404, "HTTP 404 Not Found"),
        ("429", Kind.HTTP_ERROR, 429, "HTTP 429 Too Many Requests"),
        ("500", Kind.HTTP_ERROR, 500, "HTTP 500 Internal Server Error"),
        ("599", Kind.HTTP_ERROR, 599, "HTTP 599"),
        ("moved", Kind.HTTP_ERROR, 302, "HTTP 302 Found"),
        ("wrong-gzip", Kind.INVALID, None, "gzip"),
        ("two-lengths", Kind.INVALID, None, "Content-Length"),
        ("large", Kind.INVALID, None, "larger than 1,048,576 bytes (max_body_bytes)"),
        ("announced", Kind.INVALID, None, "larger than 1,048,576 bytes (max_body_bytes)"),
        ("drip", Kind.TIMEOUT, None, "no answer within 1.5 s in total"),
        ("reset", Kind.CONNECTION_ERROR, None, "Connection reset by peer"),
        ("broken-chunk", Kind.CONNECTION_ERROR, None, "hunk"),
        ("short", Kind.CONNECTION_ERROR, None, "98"),
        ("flood", Kind.CONNECTION_ERROR, None, "got more than 100 headers"),
        ("no-http", Kind.CONNECTION_ERROR, None, ""),
    ],
)
def test_failures_say_what_happened(odd: Run, case: str, kind: Kind, status: int | None, said: str) -> None:
    """Each failure has its kind, the status if there was one, and a text about what happened."""
    outcome = odd.outcomes[case]
    assert (outcome.kind, outcome.status) == (kind, status)
    assert outcome.failure is not None
    assert said in outcome.failure.message


def test_message_is_filled(tmp_path: Path, sending: Sending) -> None:
    """A parameter's fields stand in path, query, headers and body, encoded for their place and with their type."""
    request = Request(
        method="POST",
        endpoint="/calls/{tel}/day",
        query={"day": "{day}", "size": 5, "tag": ["a", "b"]},
        headers={"X-Size": "{size} rows"},
        json={"size": "{size}", "text": "from {day}"},
    )
    parameter = {"tel": "+1 2/3?é", "day": "22&11", "size": 7}
    with Server(lambda *_: as_json("done")) as server:
        found = run(job(frozen(tmp_path, [parameter]), request, server.origin, sending()))
    [seen] = server.seen
    assert found.records[0].result == "done"
    assert seen.target == "/calls/%2B1%202%2F3%3F%C3%A9/day?day=22%2611&size=5&tag=a&tag=b"
    assert (seen.method, seen.headers["x-size"]) == ("POST", "7 rows")
    assert seen.headers["content-type"] == "application/json"
    assert seen.body == b'{"size":7,"text":"from 22&11"}'


def test_parameter_that_cannot_be_sent(tmp_path: Path, sending: Sending) -> None:
    """A value that can't stand in the path or in a header ends as `error` without a request; the others go on."""
    request = Request(endpoint="/x/{0}", headers={"X-Name": "{0}"})
    with Server(lambda *_: as_json("done")) as server:
        found = run(job(frozen(tmp_path, ["..", "a\nb", "Ł", "fine"]), request, server.origin, sending()))
    kinds = {name: outcome.kind for name, outcome in found.outcomes.items()}
    assert kinds == {"..": Kind.ERROR, "a\nb": Kind.ERROR, "Ł": Kind.ERROR, "fine": Kind.OK}
    assert [seen.target for seen in server.seen] == ["/x/fine"]


def test_nobody_listens(tmp_path: Path, sending: Sending) -> None:
    """A refused connection is a `connection_error` that says so, tried as often as the policy says."""
    how = sending(retry=Retry(max_attempts=3, initial_delay_s=0.01, last_pass=False))
    found = run(job(frozen(tmp_path, ["a"]), Request(endpoint="/{0}"), NOWHERE, how))
    [record] = found.records
    assert (record.kind, record.attempts) == (Kind.CONNECTION_ERROR, 3)
    assert record.failure is not None
    assert "Connection refused" in record.failure.message


def test_endless_redirect(tmp_path: Path, sending: Sending) -> None:
    """Redirects are followed up to the endpoint's limit, then the answer is `invalid`."""
    with serving({"/round": redirect("/round"), "/on": redirect("/there"), "/there": as_json(1)}) as server:
        endpoint = Endpoint(base_url=server.origin, max_redirects=4)
        found = run(job(frozen(tmp_path, ["round", "on"]), Request(endpoint="/{0}"), endpoint, sending()))
    assert found.outcomes["on"] == Outcome(Kind.OK, result=1, status=200)
    assert found.outcomes["round"].kind is Kind.INVALID
    assert "4 redirects" in str(found.outcomes["round"].failure)
    assert len(server.asked("/round")) == 5


def test_gzip_bomb_stays_small(tmp_path: Path, sending: Sending) -> None:
    """An answer of half a gigabyte that travels as half a megabyte is `invalid`, and the engine stays small."""
    bomb = gzip_bomb()
    with Server(lambda *_: bomb) as server:
        found = run(job(frozen(tmp_path, range(8)), _memory, server.origin, sending(8, max_body_bytes=MIB)))
    assert {outcome.kind for outcome in found.outcomes.values()} == {Kind.INVALID}
    assert "larger than 1,048,576 bytes" in str(found.records[0].failure)
    assert max(int(line) for line in found.output) < 150


def test_endless_answers(tmp_path: Path, sending: Sending) -> None:
    """Neither headers nor bodies without end, compressed or not, cost more memory or time than they may."""
    bomb = gzip_bomb()
    routes: Routes = {
        "/headers": flood,
        "/header": long_header,
        "/bomb": bomb,
        "/gibibyte": lambda _, connection: announce(connection),
    }
    peaks: list[int] = []
    with serving(routes) as server:
        how = sending(8, max_body_bytes=MIB, timeouts=Timeouts(total_s=120))
        twice = [(path[1:], time_) for path in routes for time_ in range(2)]
        request = Request(endpoint="/{what}", query={"n": "{n}"})
        todo = job(frozen(tmp_path, twice, ("what", "n")), request, server.origin, how)
        with EngineProcess(todo) as engine:
            watching = threading.Thread(target=_watch, args=(engine, peaks))
            watching.start()
            found = listened(engine, todo)
            watching.join()
    ended = {(record.parameter["what"], record.kind) for record in found.records}
    assert ended == {
        ("headers", Kind.CONNECTION_ERROR),
        ("header", Kind.CONNECTION_ERROR),
        ("bomb", Kind.INVALID),
        ("gibibyte", Kind.INVALID),
    }
    assert max(record.ms for record in found.records) < 9_000
    assert max(peaks) < 150


def _watch(engine: EngineProcess, peaks: list[int]) -> None:
    while engine.ended is None:
        status = Path(f"/proc/{engine.pid}/status").read_text()
        peaks.extend(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
        time.sleep(0.02)


def flood(_: Seen, connection: Connection) -> None:
    """Send headers without end."""
    connection.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.send(b"X-Flood: %s\r\n" % (b"x" * 100) * 100)


def long_header(_: Seen, connection: Connection) -> None:
    """Send one header without end."""
    connection.send(b"HTTP/1.1 200 OK\r\nX-Flood: ")
    while True:
        connection.send(b"x" * (1 << 16))


def _memory(session: object, number: int) -> object:
    try:
        return session.get(f"/{number}").json()  # type: ignore[attr-defined]
    finally:
        # Not getrusage's figure, which begins with what the parent had.
        status = Path("/proc/self/status").read_text()
        print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)


def test_server_error_then_fine(tmp_path: Path, sending: Sending) -> None:
    """A subscriber whose server fails at first ends as `ok`; the record says how many attempts it took."""
    failures = {"a": 2, "b": 0}

    def flaky(seen: Seen, _: Connection) -> bytes:
        name = seen.path.removeprefix("/")
        failures[name] -= 1
        return as_json(name) if failures[name] < 0 else answer(b"", "503 Service Unavailable")

    with Server(flaky) as server:
        how = sending(retry=Retry(max_attempts=5, initial_delay_s=0.01, last_pass=False))
        found = run(job(frozen(tmp_path, ["a", "b"]), Request(endpoint="/{0}"), server.origin, how))
    assert {record.parameter: (record.result, record.attempts) for record in found.records} == {
        "a": ("a", 3),
        "b": ("b", 1),
    }
    assert found.progress.requests == 4


def test_retry_after_is_obeyed(tmp_path: Path, sending: Sending) -> None:
    """A server that asks for a second's pause gets it."""
    times: list[float] = []

    def busy(_: Seen, __: Connection) -> bytes:
        times.append(time.monotonic())
        return as_json(1) if len(times) > 1 else answer(b"", "429 Too Many Requests", "Retry-After: 1")

    with Server(busy) as server:
        how = sending(retry=Retry(max_attempts=2, initial_delay_s=0.01, last_pass=False))
        found = run(job(frozen(tmp_path, ["a"]), Request(endpoint="/{0}"), server.origin, how))
    assert (found.records[0].kind, found.records[0].attempts) == (Kind.OK, 2)
    assert times[1] - times[0] >= 1


@pytest.mark.parametrize(("method", "repeatable", "sent"), [("GET", None, 3), ("POST", None, 1), ("POST", True, 3)])
def test_unsafe_methods_are_not_repeated(
    tmp_path: Path, sending: Sending, method: str, repeatable: bool | None, sent: int
) -> None:
    """What may have changed something on the server isn't sent again, unless the author says that it may be."""
    request = Request(endpoint="/{0}", method=method, repeatable=repeatable)
    with Server(lambda *_: answer(b"", "500 Internal Server Error")) as server:
        how = sending(retry=Retry(max_attempts=3, initial_delay_s=0.01, last_pass=False))
        run(job(frozen(tmp_path, ["a"]), request, server.origin, how))
    assert len(server.seen) == sent


def test_server_that_keeps_no_connection(tmp_path: Path, sending: Sending) -> None:
    """A server that closes its connection after each answer, unannounced, costs new connections and no outcome."""

    def closes(seen: Seen, connection: Connection) -> None:
        connection.send(as_json(seen.path))
        connection.hang_up()

    with Server(closes) as server:
        how = sending(4, retry=Retry(max_attempts=9, initial_delay_s=0.01, last_pass=False))
        found = run(job(frozen(tmp_path, range(40)), Request(endpoint="/{0}"), server.origin, how))
    assert found.progress.kinds == {"ok": 40}
    assert len(server.seen) == server.connections == 40


def test_timeouts_do_not_use_up_the_connections(tmp_path: Path, sending: Sending) -> None:
    """Ten requests that time out leave a pool of two connections with which all others are made."""
    routes: Routes = {
        "/hang": lambda _, connection: connection.pause(30),
        "/drip": lambda _, connection: drip(connection, 0.05),
        "/good": as_json(1),
    }
    names = list(zip(("hang", "drip", "good", "good") * 5, range(20), strict=True))
    with serving(routes) as server:
        how = sending(2, timeouts=Timeouts(total_s=0.2))
        request = Request(endpoint="/{what}", query={"n": "{n}"})
        found = run(job(frozen(tmp_path, names, ("what", "n")), request, server.origin, how))
    assert found.progress.kinds == {"ok": 10, "timeout": 10}


def test_no_more_connections_than_workers(tmp_path: Path, sending: Sending) -> None:
    """Three hundred requests with ten workers take at most ten connections, and no subscriber is asked twice."""
    with DemoService.start(subscribers=300, latency_ms=5) as service:
        request = Request(endpoint="/calls/{tel}", query={"day": DAY}, result="calls")
        todo = job(frozen(tmp_path, _subscribers(service), ("tel",)), request, service.url, sending(10))
        found = run(todo)
        stats = service.stats()
    assert found.progress.kinds == {"ok": 300}
    assert stats["connections"] <= 10
    assert stats["peak_in_flight"] <= 10
    assert (stats["asked"]["distinct"], stats["asked"]["most"]) == (300, 1)


def test_faults_by_chance_are_survived(tmp_path: Path, sending: Sending) -> None:
    """Errors, throttling, resets, hangs and nonsense by chance: everything that trying again can mend is mended."""
    rates: dict[str, Any] = {"error_rate": 0.1, "throttle_rate": 0.05, "reset_rate": 0.05, "hang_rate": 0.02}
    with DemoService.start(subscribers=200, retry_after_s=0, **rates) as service:
        how = sending(
            40, retry=Retry(max_attempts=9, initial_delay_s=0.02, last_pass=False), timeouts=Timeouts(total_s=3)
        )
        request = Request(endpoint="/calls/{tel}", query={"day": DAY}, result="calls")
        found = run(job(frozen(tmp_path, _subscribers(service), ("tel",)), request, service.url, how))
        asked = service.asked()
    assert found.progress.kinds == {"ok": 200}
    attempts = {record.parameter["tel"]: record.attempts for record in found.records}
    if how.transport == "requests":
        assert attempts == asked
        assert found.progress.requests == sum(asked.values())
    # libcurl asks again by itself when a connection that was kept dies before the answer.
    assert all(attempts[tel] <= times for tel, times in asked.items())
    assert sum(asked.values()) >= found.progress.requests > 200


def _subscribers(service: DemoService) -> list[str]:
    import requests

    answered = requests.get(f"{service.url}/subscribers.json", timeout=10)
    service.reset_stats()
    return [one["tel"] for one in answered.json()]
