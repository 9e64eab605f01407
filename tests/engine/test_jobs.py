"""The job of a parameter: created once, asked about until it is ready, and its result fetched."""

from __future__ import annotations

import json
import threading
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from airflow_fanout import codec
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.idempotency import compiled_of, keys_of
from airflow_fanout.api.page import Header
from airflow_fanout.api.paging import Cursor
from airflow_fanout.api.poll import Poll
from airflow_fanout.api.request import Request
from airflow_fanout.engine.job_answers import JobUnknown, TryOvertaken
from airflow_fanout.engine.job_steps import JobSteps, PolledRequest
from airflow_fanout.engine.transport.answer import reader_of
from airflow_fanout.engine.transport.authors import NO_SECRETS
from airflow_fanout.engine.work import Task
from airflow_fanout.errors import BadSetting
from airflow_fanout.launch.stop_reasons import Finished
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.model.settings import Retry
from airflow_fanout.staging.jobs import JobJournal, JobState, read_jobs
from tests.engine.harness import NOWHERE, Run, frozen, job, run
from tests.http.servers import Server, answer, as_json, redirect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_fanout.model.outcome import Record
    from tests.engine.harness import Sending
    from tests.http.servers import Connection, Seen

PATIENT = Retry(initial_delay_s=0.01, max_delay_s=0.05, last_pass=False)
POLL = Poll(
    endpoint="/exports/{job}",
    status="status",
    ready=("done",),
    failed=("failed", "cancelled"),
    download="file.url",
    interval_s=0.02,
    timeout_s=600,
)
EXPORT = Request(
    endpoint="/exports", method="POST", json={"of": "{id}"}, headers={"X-Version": "7"}, poll=POLL, result="rows"
)
BUSY = answer(b"", "503 Service Unavailable")
SLOW = answer(b"", "429 Too Many Requests")


class Exports:
    """A service that makes exports: what it answers depends on what an export is of.

    `elsewhere` is the address of another server, where files may be.

    :param turn: at which question a job is ready.
    """

    def __init__(self, turn: int = 3) -> None:
        self._turn = turn
        self.seen: list[Seen] = []
        self.created: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.elsewhere = ""
        self._lock = threading.Lock()

    def __call__(self, seen: Seen, connection: Connection) -> bytes:
        """Answer a request."""
        with self._lock:
            self.seen.append(seen)
            if seen.method == "POST":
                return self._create(json.loads(seen.body)["of"], connection)
            name = seen.path.split("/")[2].removeprefix("job-")
            self.asked[name] += 1
            if seen.path.endswith("/file"):
                return self._file(name)
            return self._status(name, self.asked[name])

    def _create(self, name: str, connection: Connection) -> bytes:
        self.created[name] += 1
        match name:
            case "refused":
                return as_json({}, "400 Bad Request")
            case "slow-down" if self.created[name] == 1:
                return SLOW
            case "lost":
                connection.hang_up(reset=True)
            case "no-id":
                return as_json({"number": 1})
            case "odd-id":
                return as_json({"id": {"a": 1}})
            case "unknown":
                return as_json({}, "404 Not Found")
        return as_json({"id": f"job-{name}"}, "202 Accepted")

    def _status(self, name: str, turn: int) -> bytes:
        if name == "gone":
            return as_json({}, "404 Not Found")
        if name == "busy-once" and turn == 1:
            return BUSY
        if name == "torn-once" and turn == 1:
            return answer(b'{"status": "do')
        if name == "never" or turn < self._turn:
            return as_json({"state" if name == "no-status" else "status": "running"})
        if name == "failed":
            return as_json({"status": "failed"})
        where = f"{self.elsewhere}/files/{name}" if name.startswith("elsewhere") else f"{name}/file"
        return as_json({"status": "done", "file": {"url": where if name != "no-address" else 7}})

    def _file(self, name: str) -> bytes:
        match name:
            case "moved":
                return redirect("/exports/job-plain/file")
            case "no-rows":
                return as_json({"lines": []})
            case "expired":
                return as_json({}, "403 Forbidden")
        return as_json({"rows": [name]})


NAMES = [
    *("plain", "busy-once", "torn-once", "elsewhere", "elsewhere-missing", "moved", "unknown"),
    *("refused", "lost", "no-id", "odd-id", "gone", "failed", "no-status", "no-address", "no-rows", "expired"),
]


def fetched(folder: Path, exports: Exports, request: Request, how: Any, *names: str) -> tuple[Run, dict[str, Record]]:
    """Fetch an export of each name; return also the records by name."""
    with Server(exports) as server:
        endpoint = Endpoint(base_url=server.origin, headers={"X-Key": "secret"}, login="u", password="secret")
        result = run(job(frozen(folder, names, ("id",)), request, endpoint, how))
    return result, {record.parameter["id"]: record for record in result.records}


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory, sending: Sending
) -> Iterator[tuple[Run, dict[str, Record], Exports, list[Seen]]]:
    """Give what has become of each export, and what was asked for."""
    exports = Exports()

    def files(seen: Seen, _: Connection) -> bytes:
        is_there = seen.path == "/files/elsewhere"
        return as_json({"rows": ["elsewhere"]}) if is_there else as_json({}, "404 Not Found")

    with Server(files) as elsewhere:
        exports.elsewhere = elsewhere.origin
        request = replace(EXPORT, null_statuses=(404,))
        yield (
            *fetched(tmp_path_factory.mktemp("jobs"), exports, request, sending(4, retry=PATIENT), *NAMES),
            exports,
            elsewhere.seen,
        )


def test_every_parameter_has_one_record(exported: tuple[Run, Any, Any, Any]) -> None:
    """Whatever its job is."""
    run = exported[0]
    assert run.reason == Finished()
    assert len(run.records) == len(NAMES)


@pytest.mark.parametrize("name", ["plain", "busy-once", "torn-once", "elsewhere", "moved"])
def test_the_result_of_a_job_is_the_parameters(
    exported: tuple[Any, dict[str, Record], Exports, Any], name: str
) -> None:
    """Each job is created once, however often something about it has failed."""
    _, records, exports, _ = exported
    record = records[name]
    assert (record.kind, record.result) == (Kind.OK, ["plain" if name == "moved" else name])
    assert exports.created[name] == 1


@pytest.mark.parametrize("name", ["unknown", "elsewhere-missing"])
def test_there_may_be_nothing(exported: tuple[Any, dict[str, Record], Any, Any], name: str) -> None:
    """By the answer to the request, or by that to the download."""
    assert (exported[1][name].kind, exported[1][name].status) == (Kind.NULL, 404)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("refused", Kind.HTTP_ERROR, "creating the job: HTTP 400 Bad Request"),
        ("lost", Kind.CONNECTION_ERROR, "A job may exist: it isn't created again, because the request has no"),
        ("no-id", Kind.INVALID, "creating the job: the answer has no field 'id'; it has: number. A job may exist"),
        ("odd-id", Kind.INVALID, "creating the job: the field 'id' is of type dict, and no id or address of a job"),
        ("gone", Kind.HTTP_ERROR, "asking about the job: HTTP 404 Not Found"),
        ("failed", Kind.API_ERROR, "asking about the job: the job has failed; its status is failed"),
        ("no-status", Kind.INVALID, "asking about the job: the answer has no field 'status'; it has: state"),
        ("no-address", Kind.INVALID, "asking about the job: the address is of type int"),
        ("no-rows", Kind.INVALID, "fetching the job's result: the answer has no field 'rows'; it has: lines"),
        ("expired", Kind.HTTP_ERROR, "fetching the job's result: HTTP 403 Forbidden"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    exported: tuple[Any, dict[str, Record], Exports, Any], name: str, kind: Kind, message: str
) -> None:
    """Whichever request it was, the job was created once, or not at all."""
    _, records, exports, _ = exported
    record = records[name]
    assert record.kind == kind
    assert record.failure is not None
    assert message in record.failure.message
    assert exports.created[name] == 1


def test_each_request_counts(exported: tuple[Run, Any, Exports, list[Seen]]) -> None:
    """The questions, too; where a redirect leads belongs to its request."""
    run, _, exports, elsewhere = exported
    assert run.progress.requests == len(exports.seen) + len(elsewhere) - 1


def test_credentials_stay_at_home(exported: tuple[Any, Any, Exports, list[Seen]]) -> None:
    """The API gets the author's headers with each request, another origin gets none of them, and no credentials."""
    _, _, exports, elsewhere = exported
    assert {seen.headers["x-version"] for seen in exports.seen} == {"7"}
    assert {"authorization" in seen.headers for seen in exports.seen} == {True}
    assert [seen.method for seen in elsewhere] == ["GET", "GET"]
    assert not any({"authorization", "x-key", "x-version"} & {*seen.headers} for seen in elsewhere)
    assert not any("content-type" in seen.headers for seen in exports.seen if seen.method == "GET")


def test_the_http_status_may_say_that_a_job_is_ready(tmp_path: Path, sending: Sending) -> None:
    """Its address is in a header, `Retry-After` says when to ask again, and the last answer is the result."""
    asked = Counter[str]()

    def handle(seen: Seen, _: Connection) -> bytes:
        asked[seen.method] += 1
        if seen.method == "POST":
            return answer(b"", "202 Accepted", "Location: /queue/7", "Retry-After: 0")
        if asked["GET"] < 3:
            return answer(b"", "202 Accepted", "Retry-After: 0")
        return as_json({"rows": [seen.path]})

    poll = Poll(job=Header("Location"), interval_s=30, timeout_s=60)
    with Server(handle) as server:
        endpoint = Endpoint(base_url=server.origin)
        result = run(job(frozen(tmp_path, ["a"], ("id",)), replace(EXPORT, poll=poll), endpoint, sending(2)))
    assert [record.result for record in result.records] == [["/queue/7"]]
    assert asked == {"POST": 1, "GET": 3}


def test_a_job_at_another_origin_is_not_asked_about(tmp_path: Path, sending: Sending) -> None:
    """It would get the connection's credentials."""

    def handle(seen: Seen, _: Connection) -> bytes:
        return answer(b"", "202 Accepted", "Location: http://elsewhere.example/7")

    with Server(handle) as server:
        endpoint, poll = Endpoint(base_url=server.origin), Poll(job=Header("Location"))
        result = run(job(frozen(tmp_path, ["a"], ("id",)), replace(EXPORT, poll=poll), endpoint, sending(2)))
    [record] = result.records
    assert record.failure is not None
    assert "the job's address is at another origin than the connection's" in record.failure.message


def test_a_path_may_lead_to_the_result(tmp_path: Path, sending: Sending) -> None:
    """With the id of the job, and fields of the parameter."""
    exports = Exports()
    poll = replace(POLL, download=None, download_endpoint="/exports/{job}/file?of={id}")
    _, records = fetched(tmp_path, exports, replace(EXPORT, poll=poll), sending(2), "plain")
    assert records["plain"].result == ["plain"]
    assert exports.seen[-1].target == "/exports/job-plain/file?of=plain"


def test_a_wait_holds_no_place(tmp_path: Path, sending: Sending) -> None:
    """With one request at a time, twenty jobs are created before the first one is ready."""
    created = set[str]()

    def handle(seen: Seen, _: Connection) -> bytes:
        if seen.method == "POST":
            name = json.loads(seen.body)["of"]
            created.add(name)
            return as_json({"id": name})
        return as_json({"status": "done" if len(created) == 20 else "running", "rows": [len(created)]})

    poll = replace(POLL, download=None)
    with Server(handle) as server:
        directory = frozen(tmp_path, [f"{number}" for number in range(20)], ("id",))
        result = run(job(directory, replace(EXPORT, poll=poll), Endpoint(base_url=server.origin), sending(1)))
    assert [record.result for record in result.records] == [[20]] * 20


@pytest.mark.parametrize("is_keyed", [False, True])
def test_a_later_try_goes_on_with_the_jobs_that_exist(tmp_path: Path, sending: Sending, is_keyed: bool) -> None:
    """It asks about them again; it creates what was refused, has failed or has gone, and never what may exist."""
    exports, names = Exports(turn=1), ("never", "failed", "gone", "refused", "lost", "expired")
    request = replace(EXPORT, idempotency_header="Idempotency-Key" if is_keyed else None)
    request = replace(request, poll=replace(POLL, timeout_s=0.1))
    how = sending(4, retry=Retry(max_attempts=1))
    with Server(exports) as server:
        todo = job(frozen(tmp_path, names, ("id",)), request, Endpoint(base_url=server.origin), how)
        run(todo)
        before, asked = exports.created.copy(), exports.asked.copy()
        result = run(todo)
    again = exports.created - before
    # libcurl itself sends what is repeatable again when a kept connection breaks.
    assert bool(again.pop("lost", 0)) == is_keyed
    assert again == {"failed": 1, "gone": 1, "refused": 1}
    # Its time is over: it is asked once whether it is ready now.
    assert exports.asked["never"] - asked["never"] == 1
    latest = {record.parameter["id"]: record for record in result.records}
    assert latest["never"].kind is Kind.TIMEOUT
    assert latest["never"].failure is not None
    assert latest["never"].failure.message == (
        "asking about the job: the job isn't ready after 0.1 s (Poll.timeout_s); its last status is running"
    )
    if not is_keyed:
        assert latest["lost"].kind is Kind.ERROR
        assert latest["lost"].failure is not None
        assert latest["lost"].failure.type == "JobUnknown"


def test_a_server_that_wants_fewer_requests_has_created_no_job(tmp_path: Path, sending: Sending) -> None:
    """After 429 the request may be sent again, also without a key."""
    exports = Exports()
    _, records = fetched(tmp_path, exports, EXPORT, sending(2, retry=PATIENT), "slow-down")
    assert (records["slow-down"].kind, exports.created["slow-down"]) == (Kind.OK, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"endpoint": "/exports"}, r"Poll.endpoint is '/exports': expected a path .*with \{job\} in it"),
        ({"endpoint": "http://x/{job}"}, "Poll.endpoint is .*expected a path below the connection's address"),
        ({"download_endpoint": "/exports/{job}"}, "Poll.download_endpoint is .*expected nothing without `endpoint`"),
        ({"status": "status"}, "Poll.ready is .*expected the values of `status`"),
        ({"ready": ("done",)}, "Poll.ready is .*expected nothing without `status`"),
        ({"status": "s", "ready": "done"}, "Poll.ready is 'done': expected a tuple of values"),
        ({"status": "s", "ready": (1,), "failed": (True, 1)}, "Poll.failed is .*expected no value that `ready` has"),
        ({"status": "a..b", "ready": (1,)}, "Poll.status is 'a..b': expected a dotted path"),
        ({"interval_s": 0}, "Poll.interval_s is 0"),
        ({"timeout_s": 1}, "Poll.timeout_s is 1: expected a number of at least 5 seconds"),
        ({"job": 7}, "Poll.job is 7"),
    ],
)
def test_a_poll_that_cannot_work_is_refused(settings: dict[str, Any], message: str) -> None:
    """While the DAG file is parsed."""
    with pytest.raises(BadSetting, match=message):
        Poll(**settings)


def test_a_poll_has_no_pages_and_is_a_poll() -> None:
    """A request creates a job or has pages."""
    with pytest.raises(BadSetting, match=r"pages is .*expected nothing besides `poll`"):
        replace(EXPORT, pages=Cursor())
    with pytest.raises(BadSetting, match=r"poll is '/exports': expected a Poll, such as Poll\("):
        replace(EXPORT, poll="/exports")


def test_a_poll_travels_as_json() -> None:
    """Through a rendered request, in which it is plain, and to the engine."""
    request = replace(EXPORT, poll=replace(POLL, job=Header("Location"), endpoint=None))
    assert Request(**codec.decode(codec.encode(request.template()))).poll == replace(
        request.poll, ready=["done"], failed=["failed", "cancelled"]
    )


def test_an_engine_that_was_overtaken_creates_no_job(tmp_path: Path) -> None:
    """The later try may have read the jobs before this one was written down: only one of them may create it."""
    directory = frozen(tmp_path, ["a"], ("id",))
    shard = directory.shard(0)
    attempt = shard.generation(1).new_try()
    jobs = JobJournal(attempt, count(), list_id="x", known={}, is_newest=lambda: shard.is_newest(attempt))
    request = replace(EXPORT, idempotency_header="Idempotency-Key")
    keys = keys_of("x", 1)
    rules = PolledRequest(
        request, NOWHERE, compiled_of(request, ("id",), keys), ("id",), jobs, reader_of(request, 1, NO_SECRETS)
    )
    assert rules.begin(Task(0, {"id": "a"})).message().headers["Idempotency-Key"] == keys({"id": "a"})
    shard.generation(1).new_try()
    with pytest.raises(TryOvertaken, match="a later try of this task has begun"):
        rules.begin(Task(1, {"id": "b"})).message()
    jobs.close()
    # A try that begins now knows that nobody has created the second one.
    notes = read_jobs(shard.generation(1), "x", lambda _: True)
    assert {index: note.state for index, note in notes.items()} == {0: JobState.INTENDED, 1: JobState.OVER}


@pytest.mark.parametrize(
    ("outcome", "may_exist"),
    [
        (Outcome(Kind.CONNECTION_ERROR, failure=Failure("ConnectionError", "reset")), True),
        (Outcome(Kind.TIMEOUT, failure=Failure("ReadTimeout", "too late")), True),
        (Outcome(Kind.HTTP_ERROR, status=500, failure=Failure("HTTPError", "HTTP 500")), True),
        (Outcome(Kind.CONNECTION_ERROR, failure=Failure("ConnectionError", "refused"), unsent=True), False),
        (Outcome(Kind.CONNECTION_ERROR, failure=Failure("ConnectionError", "goaway"), unprocessed=True), False),
        (Outcome(Kind.ERROR, failure=Failure("ValueError", "a header has a line break")), False),
    ],
)
def test_what_never_left_has_created_no_job(tmp_path: Path, outcome: Outcome, *, may_exist: bool) -> None:
    """While an API can't be reached, no try leaves a parameter behind that later ones don't dare to request."""
    directory = frozen(tmp_path, ["a"], ("id",))
    generation = directory.shard(0).generation(1)

    def begun() -> JobSteps:
        known = read_jobs(generation, "x", lambda _: True)
        jobs = JobJournal(generation.new_try(), count(), list_id="x", known=known, is_newest=lambda: True)
        journals.append(jobs)
        compiled = compiled_of(EXPORT, ("id",), keys_of("x", 1))
        reader = reader_of(EXPORT, 1, NO_SECRETS)
        return PolledRequest(EXPORT, NOWHERE, compiled, ("id",), jobs, reader).begin(Task(0, {"id": "a"}))

    journals: list[JobJournal] = []
    steps = begun()
    steps.message()
    failed = steps.failed(outcome)
    assert failed.failure is not None
    assert ("A job may exist" in failed.failure.message) == may_exist
    later = begun()
    if may_exist:
        with pytest.raises(JobUnknown, match="a job may exist for this parameter"):
            later.message()
    else:
        assert later.message().method == "POST"
    for jobs in journals:
        jobs.close()


def test_what_describes_an_answer_is_about_the_result(tmp_path: Path, sending: Sending) -> None:
    """The answers about the job are JSON; its result is a table at another origin, and a function looks at it."""

    def files(seen: Seen, _: Connection) -> bytes:
        return answer(f"of,rows\n{seen.path.rpartition('/')[2]},2\n".encode(), "200 OK", "Content-Type: text/csv")

    exports = Exports(turn=1)
    request = replace(
        EXPORT,
        parse="csv",
        result=None,
        failed_if=lambda table: "of no use" if table[0]["of"] == "elsewhere-useless" else None,
    )
    with Server(files) as elsewhere:
        exports.elsewhere = elsewhere.origin
        _, records = fetched(tmp_path, exports, request, sending(2), "elsewhere-good", "elsewhere-useless")
    assert records["elsewhere-good"].result == [{"of": "elsewhere-good", "rows": "2"}]
    assert records["elsewhere-useless"].kind is Kind.API_ERROR
    assert records["elsewhere-useless"].failure is not None
    assert records["elsewhere-useless"].failure.message == "fetching the job's result: of no use"
