"""`replace_run`: of a date, exactly the documents that the run has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING
from pymongo.read_concern import ReadConcern

from airflow_fanout.mongo.batches import write_all
from airflow_fanout.mongo.counting import verify
from airflow_fanout.mongo.documents import Encoded
from airflow_fanout.mongo.errors import CountMismatch
from airflow_fanout.mongo.index import make_index
from airflow_fanout.mongo.loading import Loading
from airflow_fanout.mongo.retrying import Retrying
from airflow_fanout.mongo.written import Written

if TYPE_CHECKING:
    from pymongo.collection import Collection

PAGE = 1000

Page = list[Mapping[str, Any]]


def replace_run(loading: Loading) -> Written:
    """Write the documents, then remove those of the same date that the run doesn't have.

    :raises CountMismatch: when the date then has another number of documents: another load removed some of these.
    """
    collection, documents, retrying = loading.collection, loading.documents, loading.retrying
    index = make_index(collection, loading.target, documents.key, retrying)
    written = write_all(loading, collection)
    loading.work.begin("Removing what the run doesn't have")
    removed = 0
    for page in _pages(collection, index, documents, retrying):
        others = [document["_id"] for document in page if not documents.holds(document)]
        loading.work.add(len(page))
        if others:
            # The date, too: whatever has become of a document since it was read, another day's is never removed.
            these = {"_id": {"$in": others}, **documents.date}
            retrying.run(partial(collection.delete_many, these))
            removed += len(others)
    verify(loading, collection, index)
    majority = collection.with_options(read_concern=ReadConcern("majority"))
    kept = retrying.run(lambda: majority.count_documents(documents.date), timed=False)
    if kept != documents.count:
        raise CountMismatch(collection.full_name, documents.count, kept)
    return written._replace(removed=removed)


def _pages(collection: Collection[Any], index: str, documents: Encoded, retrying: Retrying) -> Iterator[Page]:
    # Each page begins where the one before ended, by the unique index: a cursor wouldn't outlive a primary.
    after: Mapping[str, Any] | None = None
    while True:
        page = retrying.run(partial(_page, collection, index, documents, after))
        yield page if after is None else page[1:] if page and page[0]["_id"] == after["_id"] else page
        if len(page) <= PAGE:
            return
        after = page[-1]


def _page(collection: Collection[Any], index: str, documents: Encoded, after: Mapping[str, Any] | None) -> Page:
    """Return the keys of one document more than a page, in their order, beginning with the one named."""
    order = [(name, ASCENDING) for name in documents.key]
    page = collection.find(documents.date, dict.fromkeys(documents.key, True), limit=PAGE + 1, batch_size=PAGE + 2)
    if after is not None:
        begin: list[Any] = [(name, after.get(name)) for name in documents.key]
        page = page.min(begin)
    return list(page.hint(index).sort(order))
