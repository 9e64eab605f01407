"""Many parameters in one request: over libcurl and with requests, in the real engine, against a real server."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from airflow_fanout.api.batch import Batch
from airflow_fanout.api.request import Request
from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.engines import Engines
from airflow_fanout.launch.errors import BatchRefused
from airflow_fanout.launch.messages import Ended
from airflow_fanout.launch.stop_reasons import BatchesRefused, BreakerTripped, Finished
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Breaker, Retry, Timeouts
from tests.engine.harness import Run, frozen, job, run, settings
from tests.http.servers import Server, answer, as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from airflow_fanout.model.settings import FetchSettings
    from tests.engine.harness import Sending
    from tests.http.servers import Connection, Seen

# Instead of an answer, the connection is reset.
LOST = b""
SOON = Retry(max_attempts=4, initial_delay_s=0.01, max_delay_s=0.02, last_pass=False)
BY_ID = Batch(size=10, by="id", missing="null", item="name")
IDS = Request(endpoint="/users", method="POST", json={"ids": ["{id}"]}, result="users", batch=BY_ID, repeatable=True)


def named(number: int) -> dict[str, Any]:
    """Return what the API has of a user."""
    return {"id": number, "name": f"name of {number}"}


class Api:
    """An API that takes many ids at once.

    :param poisoned: the ids for which it refuses a whole request.
    :param respond: answers in its place, if it returns an answer.
    """

    def __init__(
        self,
        poisoned: Iterable[int] = (),
        status: str = "400 Bad Request",
        respond: Callable[[list[int], int], bytes | None] = lambda _ids, _times: None,
    ) -> None:
        self.poisoned = frozenset(poisoned)
        self.status = status
        self.respond = respond
        self.batches: list[list[int]] = []
        self._lock = threading.Lock()

    def __call__(self, seen: Seen, connection: Connection) -> bytes:
        ids = json.loads(seen.body)["ids"]
        with self._lock:
            self.batches.append(ids)
            times = self.batches.count(ids)
        if (other := self.respond(ids, times)) == LOST:
            connection.hang_up(reset=True)
        if other is not None:
            return other
        if self.poisoned.intersection(ids):
            return as_json({"error": "one of them is wrong"}, self.status)
        # In another order than they were asked for.
        return as_json({"users": [named(number) for number in reversed(ids)]})


def fetched(folder: Path, api: Any, count: int, how: FetchSettings, request: Request = IDS) -> Run:
    """Return what came of the ids from 0 on."""
    with Server(api) as server:
        return run(job(frozen(folder, [{"id": number} for number in range(count)]), request, server.origin, how))


def by_id(found: Run) -> dict[int, Any]:
    """Return the outcomes: a result, or the kind of what is none."""
    assert len({record.index for record in found.records}) == len(found.records)
    return {
        record.parameter["id"]: record.result if record.kind is Kind.OK else record.kind for record in found.records
    }


def test_each_parameter_of_a_batch_has_its_own_outcome(tmp_path: Path, sending: Sending) -> None:
    """The answer is divided by a field, whatever its order; the last batch is what is left. A batch is a request."""
    api = Api()
    found = fetched(tmp_path, api, 25, sending(4))
    assert by_id(found) == {number: f"name of {number}" for number in range(25)}
    assert sorted(map(len, api.batches)) == [5, 10, 10]
    assert (found.progress.requests, found.progress.kinds) == (3, {"ok": 25})
    assert {record.attempts for record in found.records} == {1}


@pytest.mark.parametrize("status", ["400 Bad Request", "413 Content Too Large", "422 Unprocessable Content"])
def test_a_refused_batch_is_halved_until_the_bad_parameter_is_alone(
    tmp_path: Path, status: str, sending: Sending
) -> None:
    """All others have their results; the bad one has the refusal, and the requests that it was in as attempts."""
    api = Api({37}, status)
    found = fetched(tmp_path, api, 100, sending(4))
    assert by_id(found) == {number: f"name of {number}" for number in range(100)} | {37: Kind.HTTP_ERROR}
    [bad] = [record for record in found.records if record.kind is Kind.HTTP_ERROR]
    assert (bad.status, bad.failure and bad.failure.message) == (int(status[:3]), f"HTTP {status}")
    # 10, then 5, then 3 or 2, …: at most two requests for each halving.
    assert bad.attempts == sum(37 in ids for ids in api.batches)
    assert 10 < found.progress.requests == len(api.batches) <= 10 + 8


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_three_bad_parameters_of_many_are_found_with_few_requests(tmp_path: Path, count: int) -> None:
    """100,000 parameters in batches of 50 take 2,000 requests, and 40 more at most."""
    poisoned = {17, count // 2, count - 1}
    api = Api(poisoned)
    request = replace(IDS, batch=Batch(size=50, by="id", missing="invalid", item="name"))
    found = fetched(tmp_path, api, count, settings(16), request)
    bad = {record.parameter["id"] for record in found.records if record.kind is not Kind.OK}
    assert (bad, len(found.records)) == (poisoned, count)
    print(f"{len(api.batches):,} requests for {count:,} parameters")
    assert count // 50 < found.progress.requests == len(api.batches) <= count // 50 + 40


@pytest.mark.parametrize("failure", ["500", "429", "timeout", "reset"])
def test_a_batch_that_isnt_refused_for_its_content_is_tried_again_whole(
    tmp_path: Path, failure: str, sending: Sending
) -> None:
    """After 429, 5xx, a timeout or a lost connection; no half of it is ever sent."""

    def fails_once(ids: list[int], times: int) -> bytes | None:
        if times > 1 or 3 not in ids:
            return None
        if failure == "timeout":
            ended.wait()
        lost = {"500": "500 Internal Server Error", "429": "429 Too Many Requests"}
        return as_json({}, lost[failure]) if failure in lost else LOST

    ended = threading.Event()
    api = Api(respond=fails_once)
    how = sending(2, retry=SOON, timeouts=Timeouts(total_s=2) if failure == "timeout" else Timeouts())
    with Server(api) as server:
        found = run(job(frozen(tmp_path, [{"id": number} for number in range(20)]), IDS, server.origin, how))
        ended.set()
    assert by_id(found) == {number: f"name of {number}" for number in range(20)}
    assert set(map(len, api.batches)) == {10}
    # On a busy machine another answer may be late, too.
    assert {record.attempts for record in found.records if record.parameter["id"] < 10} <= {2, 3, 4}
    assert api.batches.count([*range(10)]) >= 2


def test_what_a_batch_finally_fails_of_is_the_outcome_of_all_its_parameters(tmp_path: Path) -> None:
    """With the message that it was a batch; the others go on."""
    api = Api(respond=lambda ids, _: as_json({}, "500 Internal Server Error") if 3 in ids else None)
    found = fetched(tmp_path, api, 20, settings(2, retry=SOON))
    outcomes = by_id(found)
    assert {outcomes[number] for number in range(10)} == {Kind.HTTP_ERROR}
    assert {outcomes[number] for number in range(10, 20)} == {f"name of {number}" for number in range(10, 20)}
    [message] = {record.failure.message for record in found.records if record.failure}
    assert message == "HTTP 500 Internal Server Error (in a batch of 10)"
    assert Counter(map(tuple, api.batches))[tuple(range(10))] == 4


def test_batches_that_are_wrong_themselves_stop_the_run(tmp_path: Path) -> None:
    """If more than 5 % of the first 20 are refused: the message says so, and little was sent."""
    api = Api(range(0, 1_000, 7))
    found = fetched(tmp_path, api, 1_000, settings(1))
    assert isinstance(found.reason, BatchesRefused)
    assert (found.reason.refused, found.reason.said) == (2, "HTTP 400 Bad Request")
    assert len(api.batches) <= 20
    with Server(Api(range(1_000))) as server:
        todo = job(
            frozen(tmp_path / "all", [{"id": number} for number in range(1_000)]), IDS, server.origin, settings(1)
        )
        with Engines(todo) as engines, pytest.raises(BatchRefused) as caught:
            progress_at_end([*engines.listen()][-1], engines)  # type: ignore[arg-type] # it is the last message
        assert len(server.seen) <= 7
    assert not caught.value.retry
    assert "the batch itself is wrong, not a parameter in it" in str(caught.value)


def test_a_later_try_asks_only_for_what_has_no_good_outcome(tmp_path: Path) -> None:
    """Its batches are other ones; that all of them are refused doesn't stop it, because others were accepted before."""
    bad = {15, 35, 55}
    api = Api(respond=lambda ids, _: as_json({}, "500 Internal Server Error") if bad.intersection(ids) else None)
    with Server(api) as server:
        todo = job(frozen(tmp_path, [{"id": number} for number in range(100)]), IDS, server.origin, settings(1))
        first = run(todo)
        assert Counter(record.kind for record in first.records) == {Kind.OK: 70, Kind.HTTP_ERROR: 30}
        api.respond, api.poisoned, api.batches = (lambda _ids, _times: None), frozenset(bad), []
        second = run(todo)
    assert isinstance(second.reason, Finished)
    assert {number for ids in api.batches for number in ids} == {*range(10, 20), *range(30, 40), *range(50, 60)}
    assert second.progress.kinds == {"ok": 97, "http_error": 3}


def test_a_status_that_says_nothing_is_an_answer_without_items(tmp_path: Path) -> None:
    """Each parameter is what the author says of one that is missing."""
    api = Api(range(10), "404 Not Found")
    found = fetched(tmp_path, api, 10, settings(), replace(IDS, null_statuses=(404,)))
    assert set(by_id(found).values()) == {Kind.NULL}
    assert len(api.batches) == 1


def test_several_engines_make_batches_of_their_own(tmp_path: Path) -> None:
    """Each of its share of the list; all parameters have one outcome."""
    api = Api({3})
    with Server(api) as server:
        directory = frozen(tmp_path, [{"id": number} for number in range(100)])
        todo = job(directory, IDS, server.origin, settings(4, processes=2))
        with Engines(todo) as engines:
            last = [message for message in engines.listen() if isinstance(message, Ended)][-1]
    assert last.progress.kinds == {"ok": 99, "http_error": 1}
    assert {number for ids in api.batches for number in ids} == {*range(100)}
    assert len(api.batches) <= 10 + 8


def test_the_canary_and_the_breaker_count_parameters(tmp_path: Path) -> None:
    """The first batches are the canary; a request for ten parameters is ten of them."""
    api = Api(respond=lambda _ids, _times: as_json({}, "404 Not Found"))
    how = settings(8, breaker=Breaker(canary=30, max_failures=0.5, startup_attempts=0))
    found = fetched(tmp_path, api, 500, how)
    assert isinstance(found.reason, BreakerTripped)
    assert (found.reason.finding.sample, len(api.batches)) == (30, 3)


def test_a_parameter_that_cant_be_put_into_the_request_is_an_error_alone(tmp_path: Path, sending: Sending) -> None:
    """The others of its batch are requested without it."""
    request = Request(endpoint="/users/{0}", batch=Batch(size=4, by={"id": "0"}, missing="invalid"))

    def users(seen: Seen, _: Connection) -> bytes:
        return as_json([{"id": name} for name in seen.path.removeprefix("/users/").split(",")])

    with Server(users) as server:
        found = run(job(frozen(tmp_path, ["a", "b,c", "..", "d", "e"]), request, server.origin, sending()))
        targets = [seen.target for seen in server.seen]
    kinds = {record.parameter: record.kind for record in found.records}
    assert kinds == {"a": Kind.OK, "b,c": Kind.ERROR, "..": Kind.ERROR, "d": Kind.OK, "e": Kind.OK}
    assert sorted(targets) == ["/users/a,d", "/users/e"]


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ([named(0)], "has 1 items for the 2 parameters"),
        ([named(0), named(1), named(2)], "has 3 items for the 2 parameters"),
        ({"0": named(0)}, "the items are of type dict"),
    ],
)
def test_by_position_the_number_must_be_right(tmp_path: Path, items: Any, says: str) -> None:
    """Otherwise nobody knows which item is whose: all are invalid, and nothing is halved."""
    request = replace(IDS, batch=2)
    with Server(lambda *_: as_json({"users": items})) as server:
        found = run(job(frozen(tmp_path, [{"id": 0}, {"id": 1}]), request, server.origin, settings()))
        assert len(server.seen) == 1
    assert {record.kind for record in found.records} == {Kind.INVALID}
    assert all(record.failure and says in record.failure.message for record in found.records)


def test_a_torn_answer_is_requested_once_more(tmp_path: Path) -> None:
    """As it is for a single parameter."""
    api = Api(respond=lambda _ids, times: answer(b'{"users": [') if times == 1 else None)
    found = fetched(tmp_path, api, 10, settings(retry=SOON))
    assert by_id(found) == {number: f"name of {number}" for number in range(10)}
    assert len(api.batches) == 2


def test_failed_if_divides_a_batch_like_a_refusal(tmp_path: Path) -> None:
    """An API that answers 200 with an error for the whole request has one parameter with the failure in the end."""
    api = Api({3}, "200 OK")
    found = fetched(tmp_path, api, 10, settings(), replace(IDS, failed_if="error"))
    assert by_id(found) == {number: f"name of {number}" for number in range(10)} | {3: Kind.API_ERROR}


def test_without_a_retry_budget_a_batch_isnt_divided(tmp_path: Path) -> None:
    """Halving takes from it, as each repeated request does; what is left undivided says so."""
    api = Api(range(0, 10_000, 50))
    request = replace(IDS, batch=Batch(size=50, by="id", missing="invalid"))
    how = settings(1, retry=Retry(max_attempts=1, budget=0.0))
    # The batches are refused by 404, which says nothing about them unless the author says so.
    request = replace(
        request, batch=Batch(size=50, by="id", missing="invalid", refused_statuses=(404,)), result="users"
    )
    api.status = "404 Not Found"
    api.poisoned = frozenset(range(2_000, 10_000, 50))
    found = fetched(tmp_path, api, 6_000, how, request)
    texts = [record.failure.message for record in found.records if record.failure]
    assert any("the retry budget was used up, so the batch wasn't divided" in text for text in texts)
    assert len(api.batches) <= 120 + 100
