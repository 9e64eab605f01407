"""Many parameters in one request: what is sent for them, and which part of the answer is whose."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from airflow_fanout.api.batch import Batch
from airflow_fanout.api.compiled_batch import CompiledBatch
from airflow_fanout.api.errors import UnknownField
from airflow_fanout.api.graphql import GraphQL
from airflow_fanout.api.paging import Cursor
from airflow_fanout.api.request import Request
from airflow_fanout.api.splitting import NotSplit, Splitter
from airflow_fanout.control.batches import RefusedBatches
from airflow_fanout.engine.batches import BatchQueue
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.outcome import Kind

THREE = [{"id": 7, "day": "mon"}, {"id": "8", "day": "tue"}, {"id": "a b", "day": None}]


def sent(**fields: Any) -> tuple[str, Any]:
    """Return the target and the body that are sent for three parameters."""
    request = Request(**{"endpoint": "/x", "method": "POST", "batch": 3, **fields})
    message = CompiledBatch(request, ("id", "day")).message(THREE)
    return message.target, message.body


@pytest.mark.parametrize(
    ("fields", "target", "body"),
    [
        ({"json": {"ids": ["{id}"], "size": 3}}, "/x", b'{"ids":[7,"8","a b"],"size":3}'),
        ({"json": ["{id}"]}, "/x", b'[7,"8","a b"]'),
        (
            {"json": {"items": [{"id": "{id}", "on": ["{day}", "x"]}]}},
            "/x",
            b'{"items":[{"id":7,"on":["mon","x"]},{"id":"8","on":["tue","x"]},{"id":"a b","on":[null,"x"]}]}',
        ),
        ({"query": {"id": ["{id}"], "v": [2]}}, "/x?id=7&id=8&id=a+b&v=2", None),
        ({"query": {"ids": "{id}"}}, "/x?ids=7%2C8%2Ca+b", None),
        ({"query": {"q": "id:({id})"}}, "/x?q=id%3A%287%2C8%2Ca+b%29", None),
        ({"endpoint": "/users/{id}/all"}, "/users/7,8,a%20b/all", None),
        ({"form": {"id": ["{id}"]}}, "/x", b"id=7&id=8&id=a+b"),
        ({"query": {"f": r"\{{id}\}"}}, "/x?f=%7B7%2C8%2Ca+b%7D", None),
    ],
)
def test_what_is_sent(fields: dict[str, Any], target: str, body: bytes | None) -> None:
    """A list of one element is repeated for each parameter; elsewhere their values stand with commas between."""
    assert sent(**fields) == (target, body)


def test_a_query_in_graphql_may_be_for_many() -> None:
    """A variable that is a list of one element has all values."""
    query = "query ($ids: [ID!]!) { users(ids: $ids) { id name } }"
    batch = Batch(size=3, by="id", missing="null")
    request = GraphQL(query=query, variables={"ids": ["{id}"]}, result="users", batch=batch)
    body = CompiledBatch(request, ("id",)).message(THREE).body
    assert msgspec.json.decode(body or b"")["variables"] == {"ids": [7, "8", "a b"]}


def test_values_that_cant_be_joined_are_refused() -> None:
    """A comma in a value would make two of it, and dots would lead elsewhere."""
    compiled = CompiledBatch(Request(endpoint="/users/{0}", batch=2), ("0",))
    for bad in ("a,b", "..", ""):
        with pytest.raises(ValueError, match=r"comma|another resource"):
            compiled.message(["fine", bad])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"batch": 1}, "Batch(size) is 1"),
        ({"batch": True}, "batch is True: expected a number of parameters"),
        ({"batch": "50"}, "batch is '50'"),
        ({"json": {"ids": "{id}"}}, "json is '{id}': expected no field outside of a list of one element"),
        ({"json": {"ids": ["{id}", "x"]}}, "outside of a list of one element"),
        ({"headers": {"X-Id": "{id}"}}, "headers is '{id}'"),
        ({"json": {"ids": ["{{ ds }}"]}}, "expected a request with a field of the parameters"),
        ({"pages": Cursor()}, "none besides `pages`: pages are those of one parameter"),
        (
            {"method": "GET", "json": None, "query": {"ids": "{id}"}, "conditional": True},
            "nothing besides `conditional`",
        ),
        ({"idempotency_header": "Key"}, "none besides `idempotency_header`"),
    ],
)
def test_a_mistake_in_a_batch_is_known_when_it_is_written(fields: dict[str, Any], says: str) -> None:
    """Each names what was written and what is expected."""
    request = {"endpoint": "/x", "method": "POST", "json": {"ids": ["{id}"]}, "batch": 50, **fields}
    with pytest.raises(BadSetting) as caught:
        Request(**request)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"by": "id"}, 'Batch(missing) is None: expected "null" or "invalid"'),
        ({"keyed_by": "id", "missing": "ok"}, "Batch(missing) is 'ok'"),
        ({"missing": "null"}, "nothing without `by` or `keyed_by`"),
        ({"by": "id", "keyed_by": "id", "missing": "null"}, "nothing besides `by`"),
        ({"by": 5, "missing": "null"}, "Batch(by) is 5"),
        ({"by": {}, "missing": "null"}, "Batch(by) is {}"),
        ({"item": ""}, "Batch(item) is ''"),
        ({"refused_statuses": ("400",)}, "Batch(refused_statuses)"),
    ],
)
def test_a_mistake_in_how_an_answer_is_divided(fields: dict[str, Any], says: str) -> None:
    """What can't work together is refused at once."""
    with pytest.raises(BadSetting) as caught:
        Batch(size=50, **fields)
    assert says in str(caught.value)


def test_a_batch_travels_as_json_and_knows_the_parameters_fields() -> None:
    """To the engine, and through a rendered request; a field that the parameters don't have is named."""
    batch = Batch(size=3, by={"customer.id": "id"}, missing="invalid", refused_statuses=range(400, 410))
    request = Request(endpoint="/", query={"ids": "{id}"}, batch=batch)
    there = msgspec.json.decode(msgspec.json.encode(request, enc_hook=list), type=Request)
    rendered = Request(**msgspec.json.decode(msgspec.json.encode(request.template())))
    assert there.batch == rendered.batch == msgspec.structs.replace(batch, refused_statuses=[*range(400, 410)])
    with pytest.raises(UnknownField, match=r"batch uses \{id\}"):
        CompiledBatch(msgspec.structs.replace(request, query={"ids": "{tel}"}), ("tel",))


BY_ID = Batch(size=3, by="id", missing="null", item="name")
TWO = Batch(size=3, by={"user.id": "id", "day": "day"}, missing="invalid")
KEYED = Batch(size=3, keyed_by="id", missing="invalid")


@pytest.mark.parametrize(
    ("batch", "items", "results"),
    [
        (Batch(size=3), [1, None, {"a": 1}], [1, None, {"a": 1}]),
        (BY_ID, [{"id": "8", "name": "B"}, {"id": "7", "name": "A"}], ["A", "B", None]),
        (BY_ID, [], [None, None, None]),
        (BY_ID, None, [None, None, None]),
        (BY_ID, [{"id": 7}, {"id": 8, "name": None}], [Kind.INVALID, None, None]),
        (BY_ID, [{"id": 7, "name": 1}, {"id": 7, "name": 2}, {"id": 8, "name": 3}], [Kind.INVALID, 3, None]),
        (KEYED, {"7": "A", "a b": None}, ["A", Kind.INVALID, None]),
        (
            TWO,
            [{"user": {"id": 8}, "day": "tue"}, {"user": {"id": "7"}, "day": "mon"}],
            [{"user": {"id": "7"}, "day": "mon"}, {"user": {"id": 8}, "day": "tue"}, Kind.INVALID],
        ),
    ],
)
def test_whose_an_item_is(batch: Batch, items: Any, results: list[Any]) -> None:
    """By position, by fields, or by the key: what is missing is what the author says, and two for one are invalid."""
    outcomes = Splitter(batch, empty_is_null=False).outcomes(items, THREE, 200)
    assert [outcome.kind if outcome.failure else outcome.result for outcome in outcomes] == results
    assert {outcome.status for outcome in outcomes} == {200}


@pytest.mark.parametrize(
    ("batch", "items", "says"),
    [
        (Batch(size=3), [1, 2], "has 2 items for the 3 parameters of the batch"),
        (Batch(size=3), [1, 2, 3, 4], "has 4 items for the 3"),
        (Batch(size=3), None, "has 0 items for the 3"),
        (Batch(size=3), {"7": 1}, "of type dict: `result` must lead to a list, or Batch(keyed_by=…)"),
        (BY_ID, "none", "of type str: `result` must lead to a list"),
        (
            BY_ID,
            [{"id": 7, "name": 1}, {"id": 9}, {"id": "x"}],
            "2 items that belong to no parameter of",
        ),
        (BY_ID, [{"id": 7}, {"ID": 8}], "item 2: the answer has no field 'id'; it has: ID"),
        (BY_ID, [7], "item 1: the answer has no field 'id': it is of type int"),
        (KEYED, [1], "of type list: `keyed_by` needs an object"),
        (KEYED, {"9": 1}, "1 items that belong to no parameter of the batch, the first of them at place 1"),
    ],
)
def test_an_answer_that_cant_be_divided(batch: Batch, items: Any, says: str) -> None:
    """If it isn't sure whose an item is, no parameter gets one."""
    with pytest.raises(NotSplit) as caught:
        Splitter(batch, empty_is_null=False).outcomes(items, THREE, 200)
    assert says in str(caught.value)


def test_the_first_batches_say_whether_batches_are_wrong() -> None:
    """More than 5 % of twenty is two; what comes later, and the parts of a batch, don't count."""
    watch = RefusedBatches()
    assert not any(watch.add(is_whole=True, is_refused=number == 3) for number in range(10))
    assert not any(watch.add(is_whole=False, is_refused=True) for _ in range(10))
    assert watch.add(is_whole=True, is_refused=True)
    late = RefusedBatches()
    assert not any(late.add(is_whole=True, is_refused=number >= 20) for number in range(40))
    assert (late.batches, late.refused) == (20, 0)


def test_seven_refusals_and_nothing_else_are_enough() -> None:
    """A batch with one or two bad parameters has a good part by then."""
    watch = RefusedBatches()
    assert not any(watch.add(is_whole=not number, is_refused=True) for number in range(6))
    assert watch.add(is_whole=False, is_refused=True)


def test_batches_are_made_of_parameters_that_can_be_told_apart() -> None:
    """Two that have the same key are in different requests; nothing is lost, and none is taken twice."""
    ids = [1, 2, 2, 3, 3, 3, 4, 5, 6, 7]
    source = iter(enumerate({"id": number} for number in ids))
    queue = BatchQueue(source, size=3, splitter=Splitter(BY_ID, empty_is_null=False))
    batches = []
    while tasks := queue.poll(2):
        batches += [[member["id"] for member in task.parameter] for task in tasks]
    assert batches == [[1, 2], [2, 3], [3], [3, 4, 5], [6, 7]]
    assert queue.begun == len(ids)
    assert queue.in_flight == len(batches)


def test_a_canary_is_a_number_of_parameters() -> None:
    """A batch is never cut for its sake, and no further one begins."""
    source = iter(enumerate(range(100)))
    splitter = Splitter(Batch(size=8), empty_is_null=False)
    queue = BatchQueue(source, room=lambda begun: 20 - begun, size=8, splitter=splitter)
    assert [task.size for task in queue.poll(50)] == [8, 8, 8]
    assert queue.poll(50) == []
