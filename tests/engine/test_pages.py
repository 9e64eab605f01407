"""All pages of a parameter as one result: what each of them brings, and what goes wrong with them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.graphql import GraphQL
from airflow_fanout.api.page import Header
from airflow_fanout.api.paging import Cursor, NextLink, Offset, PageNumber
from airflow_fanout.api.request import Request
from airflow_fanout.launch.stop_reasons import Finished
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Retry, Timeouts
from tests.engine.harness import Run, frozen, job, run
from tests.http.servers import Server, answer, as_json, redirect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.engine.harness import Sending
    from tests.http.servers import Connection, Seen

PATIENT = Retry(initial_delay_s=0.01, max_delay_s=0.05)
BUSY = answer(b"", "503 Service Unavailable")
GONE = as_json({"error": "unknown"}, "404 Not Found")
ELSEWHERE = "http://elsewhere.example/pages?cursor=2"


def page(items: object, cursor: object = None, *headers: str) -> bytes:
    """Return a page with a cursor."""
    return as_json({"items": items, "cursor": cursor}, "200 OK", *headers)


# By parameter, the answers to its pages, in order; one that is tried again gets them in turn.
BY_CURSOR: dict[str, list[list[bytes]]] = {
    "three": [[page([1, 2], "2")], [page([3], "3")], [page([4])]],
    "one": [[page([1])]],
    "empty": [[page([])]],
    "null": [[page(None)]],
    "unknown": [[GONE]],
    "empty-at-the-end": [[page([1], "2")], [page([])]],
    "empty-in-between": [[page([1], "2")], [page([], "3")], [page([2])]],
    "busy-once": [[page([1], "2")], [BUSY, page([2], "3")], [BUSY, BUSY, page([3])]],
    "torn-once": [[page([1], "2")], [answer(b'{"items": [2'), page([2])]],
    "busy": [[page([1], "2")], [page([2], "3")], [BUSY] * 9],
    "gone": [[page([1], "2")], [GONE]],
    "nothing": [[page([1], "2")], [answer(b"", "204 No Content")]],
    "later-null": [[page([1], "2")], [page(None)]],
    "no-list": [[page([1], "2")], [page({"a": 1})]],
    "no-items": [[page([1], "2")], [as_json({"rows": [2], "cursor": None})]],
    "no-cursor": [[as_json({"items": [1]})]],
    "odd-cursor": [[page([1], {"at": 2})]],
    "circle": [[page([1], "2")], [page([2], "2")]],
    "endless": [[page([number], str(number + 1))] for number in range(1, 9)],
    "repeats": [[page([1], "2")], [page([1], "3")], [page([1], "4")], [page([1], "5")]],
    "too-large": [[page([1], "2")], [page(["x" * 5_000])]],
    "no-json": [[page([1], "2")], [answer(b"<html>")] * 9],
    "moved": [[page([1], "2")], [redirect("/aside/moved?cursor=2")]],
}


class Paged:
    """A server whose answers are by path, page and turn; it counts what it was asked."""

    def __init__(self, answers: dict[str, list[list[bytes]]], number_of: Callable[[dict[str, list[str]]], int]) -> None:
        self.asked: Counter[tuple[str, int]] = Counter()
        self._answers = answers
        self._number_of = number_of
        self._lock = threading.Lock()

    def __call__(self, seen: Seen, _: Connection) -> bytes:
        """Answer a request."""
        parts = urlsplit(seen.target)
        if parts.path.startswith("/aside/"):
            return page([2])
        name, number = parts.path.rpartition("/")[2], self._number_of(parse_qs(parts.query))
        with self._lock:
            turn = self.asked[name, number]
            self.asked[name, number] += 1
        if number > len(self._answers[name]):
            return page([])
        turns = self._answers[name][number - 1]
        return turns[min(turn, len(turns) - 1)]


def by(name: str, query: dict[str, list[str]]) -> int:
    """Return the number of the page that a query asks for."""
    assert query["day"] == ["2026-11-22"]
    return int(query.get(name, ["1"])[0])


def fetched(folder: Any, server: Server, names: list[str], request: Request, how: Any) -> Run:
    """Fetch a parameter for each name."""
    return run(job(frozen(folder, names, ("id",)), request, Endpoint(base_url=server.origin), how))


@pytest.fixture(scope="module")
def paged(tmp_path_factory: pytest.TempPathFactory, sending: Sending) -> Iterator[tuple[Run, Paged]]:
    """Give what has become of each parameter, and what was asked for."""
    request = Request(
        endpoint="/pages/{id}",
        query={"day": "2026-11-22"},
        pages=Cursor(),
        result="items",
        null_statuses=(404,),
        max_pages=6,
        max_empty_pages=2,
    )
    answers = Paged(BY_CURSOR, partial(by, "cursor"))
    how = sending(4, retry=PATIENT, timeouts=Timeouts(total_s=10), max_body_bytes=4_000)
    with Server(answers) as server:
        yield fetched(tmp_path_factory.mktemp("pages"), server, [*BY_CURSOR], request, how), answers


def outcome(paged: tuple[Run, Paged], name: str) -> Any:
    """Return the record of a parameter."""
    [record] = [record for record in paged[0].records if record.parameter == {"id": name}]
    return record


def test_every_parameter_has_one_record(paged: tuple[Run, Paged]) -> None:
    """However many pages it has, and whatever they are."""
    assert paged[0].reason == Finished()
    assert len(paged[0].records) == len(BY_CURSOR)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("three", [1, 2, 3, 4]),
        ("one", [1]),
        ("empty", []),
        ("empty-at-the-end", [1]),
        ("empty-in-between", [1, 2]),
        ("busy-once", [1, 2, 3]),
        ("torn-once", [1, 2]),
        ("moved", [1, 2]),
    ],
)
def test_the_items_of_all_pages_are_the_result(paged: tuple[Run, Paged], name: str, result: list[int]) -> None:
    """In the order of the pages."""
    record = outcome(paged, name)
    assert (record.kind, record.result, record.status) == (Kind.OK, result, 200)


@pytest.mark.parametrize(("name", "status"), [("null", 200), ("unknown", 404)])
def test_a_first_page_may_say_that_there_is_nothing(paged: tuple[Run, Paged], name: str, status: int) -> None:
    """By null in the place of the items, or by a status that the author has named."""
    record = outcome(paged, name)
    assert (record.kind, record.result, record.status) == (Kind.NULL, None, status)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("busy", Kind.HTTP_ERROR, "page 3: HTTP 503 Service Unavailable"),
        ("gone", Kind.INVALID, "page 2: HTTP 404 says that there is nothing, and there were pages before it"),
        ("nothing", Kind.INVALID, "page 2: HTTP 204 says that there is nothing, and there were pages before it"),
        ("later-null", Kind.INVALID, "page 2: the field 'items' is of type NoneType, not an array"),
        ("no-list", Kind.INVALID, "page 2: the field 'items' is of type dict, not an array"),
        ("no-items", Kind.INVALID, "page 2: the answer has no field 'items'; it has: cursor, rows"),
        (
            "no-cursor",
            Kind.INVALID,
            "page 1: the answer has no field 'cursor'; it has: items. If the API leaves it out",
        ),
        ("odd-cursor", Kind.INVALID, "page 1: the field 'cursor' is of type dict, which can't be sent as a cursor"),
        ("circle", Kind.INVALID, "page 3: it is page 2 again: the list goes in a circle"),
        ("endless", Kind.INVALID, "page 7: the list goes on after max_pages=6 pages, with 6 items so far"),
        ("repeats", Kind.INVALID, "page 4: pages 2 to 4 brought no item that wasn't there before"),
        ("too-large", Kind.INVALID, "page 2: the answer is larger than 4,000 bytes (max_body_bytes)"),
        ("no-json", Kind.INVALID, "page 2: "),
    ],
)
def test_what_is_wrong_is_said_with_the_pages_number(
    paged: tuple[Run, Paged], name: str, kind: Kind, message: str
) -> None:
    """Never a result that lacks a page."""
    record = outcome(paged, name)
    assert (record.kind, record.result) == (kind, None)
    assert record.failure.message.startswith(message)
    assert f"/{name}" not in record.failure.message, "an address has the parameter in it"


def test_a_page_that_fails_is_requested_again_alone(paged: tuple[Run, Paged]) -> None:
    """What was answered stays; also over the last pass."""
    run, server = paged
    assert [server.asked["busy-once", number] for number in (1, 2, 3)] == [1, 2, 3]
    assert [server.asked["busy", number] for number in (1, 2)] == [1, 1]
    # Five attempts, and one in the last pass.
    assert server.asked["busy", 3] == 6
    assert outcome(paged, "busy").attempts == 6
    assert outcome(paged, "busy-once").attempts == 3
    assert {name: server.asked[name, 1] for name in BY_CURSOR} == dict.fromkeys(BY_CURSOR, 1)
    # What a redirect leads to belongs to the request.
    assert run.progress.requests == server.asked.total()


@pytest.mark.parametrize(
    ("pages", "answers", "expected"),
    [
        (
            NextLink(field="next", optional=True),
            {
                "relative": [
                    [as_json({"items": [1], "next": "?n=2&day=2026-11-22"})],
                    [as_json({"items": [2], "next": None})],
                ],
                "elsewhere": [[as_json({"items": [1], "next": ELSEWHERE})]],
                "no-address": [[as_json({"items": [1], "next": "http://u:secret@x/"})]],
            },
            {
                "relative": [1, 2],
                "elsewhere": "page 2: the page before it says that it is at http://elsewhere.example:80, and",
                "no-address": "page 1: its next page can't be asked for: the address has credentials before its host",
            },
        ),
        (
            NextLink(),
            {
                "header": [
                    [as_json({"items": [1]}, "200 OK", 'Link: <?n=2&day=2026-11-22>; rel="next"')],
                    [as_json({"items": [2]})],
                ],
                "no-header": [[as_json({"items": [1]})]],
            },
            {"header": [1, 2], "no-header": "page 1: the answer has no header 'Link'"},
        ),
        (
            PageNumber(name="n", end_statuses=(404,)),
            {
                "until-empty": [[as_json({"items": [1, 2]})], [as_json({"items": [3]})], [as_json({"items": []})]],
                "until-404": [[as_json({"items": [1]})], [GONE]],
                "first-404": [[GONE]],
                "same": [[as_json({"items": [1]})], [as_json({"items": [1]})]],
            },
            {
                "until-empty": [1, 2, 3],
                "until-404": [1],
                "first-404": "page 1: HTTP 404",
                "same": "page 2: it is the same as the one before it",
            },
        ),
    ],
    ids=["link", "header", "number"],
)
def test_each_way_from_page_to_page(
    tmp_path_factory: pytest.TempPathFactory,
    sending: Sending,
    pages: Any,
    answers: dict[str, list[list[bytes]]],
    expected: dict[str, Any],
) -> None:
    """The same as for a list: by address, by header, by number."""
    request = Request(endpoint="/pages/{id}", query={"day": "2026-11-22"}, pages=pages, result="items")
    with Server(Paged(answers, partial(by, "n"))) as server:
        result = fetched(tmp_path_factory.mktemp("ways"), server, [*answers], request, sending(2))
    for record in result.records:
        wanted = expected[record.parameter["id"]]
        assert record.result == (wanted if isinstance(wanted, list) else None)
        if isinstance(wanted, str):
            assert record.failure is not None
            assert record.failure.message.startswith(wanted)
    assert "secret" not in str(result.records)


def test_an_offset_is_the_number_of_items_so_far(tmp_path_factory: pytest.TempPathFactory, sending: Sending) -> None:
    """However many a page has; `total` is compared with what has come, and may stand in a header."""
    sizes = {"right": 5, "short": 7}

    def handle(seen: Seen, _: Connection) -> bytes:
        parts = urlsplit(seen.target)
        start = int(parse_qs(parts.query)["offset"][0])
        rows = list(range(5))[start : start + 2]
        return as_json({"rows": rows}, "200 OK", f"X-Total: {sizes[parts.path.rpartition('/')[2]]}")

    request = Request(endpoint="/rows/{id}", pages=Offset(), result="rows", total=Header("X-Total"), empty_is_null=True)
    with Server(handle) as server:
        result = fetched(tmp_path_factory.mktemp("offset"), server, [*sizes], request, sending(2))
    records = {record.parameter["id"]: record for record in result.records}
    assert records["right"].result == [0, 1, 2, 3, 4]
    assert records["short"].failure is not None
    assert records["short"].failure.message == (
        "page 4: the list ended after 5 items, and the header X-Total says that there are 7"
    )


def test_a_body_is_sent_with_each_page(tmp_path_factory: pytest.TempPathFactory, sending: Sending) -> None:
    """A search by POST: the cursor is in the query, and what is looked for in the body."""

    def handle(seen: Seen, _: Connection) -> bytes:
        is_first = "cursor" not in seen.target
        assert seen.method == "POST"
        return page([seen.body.decode()], "2" if is_first else None)

    request = Request(
        endpoint="/search", method="POST", json={"id": "{id}"}, pages=Cursor(), result="items", repeatable=True
    )
    with Server(handle) as server:
        result = fetched(tmp_path_factory.mktemp("post"), server, ["a"], request, sending(2))
    assert [record.result for record in result.records] == [['{"id":"a"}'] * 2]


SEARCH = Request(
    endpoint="/search",
    method="POST",
    json={"filter": {"of": "{0}"}, "page": {"size": 2}},
    result="items",
    pages=Cursor(field="next", in_body="page.after", optional=True),
    repeatable=True,
)


def found(seen: Seen) -> bytes:
    """Return a page of the numbers of a parameter, by the cursor in the body."""
    body = json.loads(seen.body)
    after, many = body["page"].get("after", 0), int(body["filter"]["of"])
    numbers = [*range(after, min(after + body["page"]["size"], many))]
    left = after + len(numbers) < many
    return as_json({"items": numbers, "next": after + len(numbers) if left else None})


def test_a_cursor_may_go_into_the_body(tmp_path: Path, sending: Sending) -> None:
    """All pages are one result; a page that fails is requested again with its own cursor; the query stays empty."""
    turns: Counter[bytes] = Counter()
    lock = threading.Lock()

    def handle(seen: Seen, _connection: Connection) -> bytes:
        with lock:
            turns[seen.body] += 1
            is_first = turns[seen.body] == 1
        return BUSY if is_first else found(seen)

    with Server(handle) as server:
        fetch = run(job(frozen(tmp_path, ["7", "2", "1"]), SEARCH, server.origin, sending(retry=PATIENT)))
        assert {seen.target for seen in server.seen} == {"/search"}
        bodies = [json.loads(body) for body in turns]
    assert {name: outcome.result for name, outcome in fetch.outcomes.items()} == {
        "7": [0, 1, 2, 3, 4, 5, 6],
        "2": [0, 1],
        "1": [0],
    }
    assert sorted(body["page"].get("after", 0) for body in bodies if body["filter"]["of"] == "7") == [0, 2, 4, 6]
    assert all(body["page"]["size"] == 2 for body in bodies)


def test_the_pages_of_a_graphql_query_have_the_cursor_among_its_variables(tmp_path: Path, sending: Sending) -> None:
    """The document declares it, and the first page has none."""
    request = GraphQL(
        query="query ($of: ID!, $after: Int) { numbers(of: $of, after: $after) { items next } }",
        variables={"of": "{0}"},
        result="numbers.items",
        pages=Cursor(field="data.numbers.next", in_body="variables.after"),
    )

    def handle(seen: Seen, _connection: Connection) -> bytes:
        variables = json.loads(seen.body)["variables"]
        after = variables.get("after", 0)
        following = after + 1 if after + 1 < int(variables["of"]) else None
        return as_json({"data": {"numbers": {"items": [after], "next": following}}})

    with Server(handle) as server:
        fetch = run(job(frozen(tmp_path, ["3", "1"]), request, server.origin, sending()))
    assert {name: outcome.result for name, outcome in fetch.outcomes.items()} == {"3": [0, 1, 2], "1": [0]}


def test_a_cursor_in_the_body_that_repeats_is_a_circle(tmp_path: Path, sending: Sending) -> None:
    """The address is the same for all pages: the cursor tells them apart."""
    with Server(lambda _seen, _connection: as_json({"items": [1], "next": "again"})) as server:
        fetch = run(job(frozen(tmp_path, ["7"]), SEARCH, server.origin, sending()))
    assert fetch.outcomes["7"].kind is Kind.INVALID
    failure = fetch.outcomes["7"].failure
    assert failure is not None
    assert "page 2 again: the list goes in a circle" in failure.message
