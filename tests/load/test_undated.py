from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout import MongoLoadOperator
from airflow_fanout.errors import BadSetting
from airflow_fanout.mongo.batches import BATCH
from airflow_fanout.mongo.errors import BadDocument, NewerThere, NoUniqueIndex, WriteRefused
from airflow_fanout.mongo.shape import Shape
from airflow_fanout.mongo.written import Written
from tests.load.loads import AS_OF, Document, load, numbered, stored, temporary
from tests.load.test_documents import TEL, encoded, good

if TYPE_CHECKING:
    from pymongo.collection import Collection

YESTERDAY, TOMORROW = AS_OF - timedelta(days=1), AS_OF + timedelta(days=1)
PLAIN: dict[str, Any] = {
    "task_id": "load",
    "parameters": {"directory": "/staging/list-0001"},
    "database": "reports",
    "collection": "invoices",
    "key": ("id",),
    "as_of_field": None,
}


def undated(
    collection: Collection[Document], documents: Iterable[Document], as_of: datetime, **options: Any
) -> Written:
    """Load documents as one run does whose key has no date."""
    return load(collection, documents, as_of=as_of, as_of_field=None, **options)


def dates(collection: Collection[Document]) -> dict[str, tuple[int, int]]:
    """Return the version of each document, and the day of the run that wrote it."""
    return {document["tel"]: (document["v"], document["as_of"].day) for document in stored(collection)}


def test_a_later_run_replaces_by_the_key_alone(collection: Collection[Document]) -> None:
    """One document for a key, of whichever run, with the date of that run; what has vanished stays as it was."""
    assert undated(collection, [{"tel": "a", "v": 1}, {"tel": "b", "v": 1}], AS_OF) == Written(2, 0)
    assert undated(collection, [{"tel": "b", "v": 2}, {"tel": "c", "v": 2}], TOMORROW) == Written(1, 1)
    assert dates(collection) == {"a": (1, 22), "b": (2, 23), "c": (2, 23)}
    assert [list(index["key"]) for index in collection.list_indexes()] == [["_id"], ["tel"]]


def test_an_older_run_leaves_what_a_newer_one_has_written(collection: Collection[Document]) -> None:
    """A backfill adds what only its own day has; what it leaves as it is, it counts."""
    undated(collection, numbered(BATCH + 10, 2), AS_OF)
    late = undated(collection, numbered(BATCH + 10, 1, first=5), YESTERDAY)
    assert late == Written(inserted=5, replaced=0, kept=BATCH + 5)
    found = dates(collection)
    assert set(found.values()) == {(2, 22), (1, 21)}
    assert [tel for tel, (version, _) in found.items() if version == 1] == [f"{BATCH + n:06d}" for n in range(10, 15)]


def test_the_same_run_again_replaces_its_own(collection: Collection[Document]) -> None:
    """A load that is repeated is no older than itself."""
    undated(collection, [{"tel": "a", "v": 1}], AS_OF)
    assert undated(collection, [{"tel": "a", "v": 2}], AS_OF) == Written(0, 1)
    assert dates(collection) == {"a": (2, 22)}


@pytest.mark.parametrize("strange", [{}, {"as_of": "2099-01-01"}, {"as_of": None}], ids=["none", "a text", "null"])
def test_a_document_without_a_date_is_older(collection: Collection[Document], strange: Document) -> None:
    """What another program has written says nothing of a later run, and is replaced."""
    collection.insert_one({"tel": "a", "v": 0, **strange})
    assert undated(collection, [{"tel": "a", "v": 1}], AS_OF) == Written(0, 1)
    assert dates(collection) == {"a": (1, 22)}


@pytest.mark.parametrize("turn", range(4))
def test_of_two_runs_at_once_the_later_one_wins(collection: Collection[Document], turn: int) -> None:
    """Whichever is faster, each document is that of the later date at the end."""
    barrier = Barrier(2)
    days = [AS_OF, TOMORROW] if turn % 2 else [TOMORROW, AS_OF]

    def one(day: datetime) -> Written:
        barrier.wait()
        return undated(collection, numbered(2 * BATCH, day.day), day, run=f"run {day}")

    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(one, day) for day in days]
    written = {day: load.result() for day, load in zip(days, loads, strict=True)}
    assert set(dates(collection).values()) == {(23, 23)}
    assert written[TOMORROW].kept == 0
    assert sum(each.inserted for each in written.values()) == 2 * BATCH


def test_a_swap_holds_the_run_and_refuses_an_older_one(collection: Collection[Document]) -> None:
    """With swap, what has vanished is gone; an older run doesn't take the place of a newer one."""
    swapped = partial(undated, collection, mode="swap")
    swapped([{"tel": "a", "v": 1}, {"tel": "b", "v": 1}], AS_OF)
    swapped([{"tel": "b", "v": 2}], TOMORROW)
    assert dates(collection) == {"b": (2, 23)}
    with pytest.raises(NewerThere, match=r"of 2026-11-23 .*, and this run is of 2026-11-22"):
        swapped([{"tel": "a", "v": 1}], AS_OF)
    assert dates(collection) == {"b": (2, 23)}
    assert temporary(collection) == []


def test_another_unique_index_that_refuses_is_an_error(collection: Collection[Document]) -> None:
    """Only the key says that a later run has written a document; what meets it elsewhere isn't passed over."""
    undated(collection, [{"tel": "a", "v": 1}, {"tel": "b", "v": 7}], TOMORROW)
    collection.create_index("v", unique=True)
    with pytest.raises(WriteRefused):
        undated(collection, [{"tel": "c", "v": 7}], AS_OF)


def test_a_collection_with_several_dates_of_a_key_is_refused(collection: Collection[Document]) -> None:
    """A collection that was loaded with the date in the key can't go on without it; nothing is written."""
    for day in (AS_OF, TOMORROW):
        load(collection, [{"tel": "a", "v": day.day}], as_of=day)
    with pytest.raises(NoUniqueIndex, match="2 share 1 keys"):
        undated(collection, [{"tel": "b", "v": 1}], TOMORROW)
    assert collection.count_documents({}) == 2


def test_a_documents_own_date_is_refused() -> None:
    """The run's date is in the field `as_of`; a document that has another one there says what to rename."""
    shape = Shape(key=("tel",), as_of=AS_OF, as_of_field=None, document=lambda *_: {**TEL, "as_of": "today"})
    with pytest.raises(BadDocument, match="'as_of' isn't the run's date; load keeps that date there: rename yours"):
        encoded([good(0, TEL)], shape)


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        ({"mode": "replace_run"}, "mode", '"upsert" or "swap" with as_of_field=None: "replace_run" removes the other'),
        ({"key": ("id", "as_of")}, "key", "a key without 'as_of', or as_of_field='as_of'"),
        ({"as_of_field": ""}, "as_of_field", "a field's name, such as 'as_of', or None"),
        ({"as_of_field": False}, "as_of_field", "a field's name, such as 'as_of', or None"),
    ],
)
def test_what_can_not_stand_together_is_an_import_error(options: dict[str, Any], field: str, message: str) -> None:
    """A mode that needs the date, or a key that has it, is refused while the DAG file is parsed."""
    with pytest.raises(BadSetting, match=re.escape(message)) as caught:
        MongoLoadOperator(**{**PLAIN, **options})
    assert caught.value.field == field


@pytest.mark.parametrize("mode", ["upsert", "swap"])
def test_upsert_and_swap_need_no_date(mode: str) -> None:
    """Both have a meaning for the key alone."""
    assert MongoLoadOperator(**{**PLAIN, "mode": mode}).as_of_field is None
