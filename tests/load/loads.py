"""Loads as the operator does them, also as a program of its own that can be killed: `python loads.py <json>`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, MongoClient

from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.mongo.documents import encoded
from airflow_fanout.mongo.shape import Shape
from airflow_fanout.mongo.write import LoadWork, Written, write

if TYPE_CHECKING:
    from pymongo.collection import Collection

AS_OF = datetime(2026, 11, 22, tzinfo=UTC)
# What documents are sent by: the first load of a date inserts them, a later one replaces.
WRITES = frozenset({"insert", "update"})

Document = dict[str, Any]


def load(
    collection: Collection[Document],
    given: Iterable[Document],
    *,
    as_of: datetime = AS_OF,
    mode: str = "upsert",
    run: str = "report scheduled-1 load",
    timeout_s: float = 60.0,
    key: tuple[str, ...] = ("tel",),
    as_of_field: str | None = "as_of",
    work: LoadWork | None = None,
) -> Written:
    """Load documents as one run does."""
    records = (Record.of(index, "p", Outcome(Kind.OK, result=index), 1, 1.0) for index in range(sys.maxsize))
    pairs = zip(given, records, strict=False)
    documents: list[Document] = []

    def listed() -> Iterable[Record]:
        for document, record in pairs:
            documents[:] = [document]
            yield record

    shape = Shape(key=key, as_of=as_of, as_of_field=as_of_field, document=lambda _parameter, _result: documents[0])
    with encoded(listed(), shape) as made:
        return write(collection, made, mode=mode, run=run, timeout_s=timeout_s, work=work)


def numbered(count: int, version: int, *, first: int = 0, size: int = 0) -> Iterable[Document]:
    """Yield so many documents of a version, each with so many bytes of ballast."""
    return ({"tel": f"{number:06d}", "v": version, "x": "x" * size} for number in range(first, first + count))


def stored(collection: Collection[Document]) -> list[Document]:
    """Return all documents by key, without what MongoDB adds."""
    return list(collection.find({}, {"_id": False}).sort([("as_of", ASCENDING), ("tel", ASCENDING)]))


def state(collection: Collection[Document]) -> list[tuple[datetime, str, int]]:
    """Return date, key and version of all documents."""
    return [(found["as_of"], found["tel"], found["v"]) for found in stored(collection)]


def temporary(collection: Collection[Document]) -> list[str]:
    """Return the temporary collections of a collection."""
    return [name for name in collection.database.list_collection_names() if name.startswith(f"{collection.name}.")]


def begin(uri: str, collection: str, **options: Any) -> subprocess.Popen[str]:
    """Start a load in a process of its own: `count`, `version`, `mode`, `run`, `day`, `size`, `timeout_s`."""
    job = json.dumps({"uri": uri, "collection": collection, **options})
    return subprocess.Popen(
        [sys.executable, __file__, job], env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def main(job: Mapping[str, Any]) -> None:
    """Do one load, with a word before it begins."""
    with MongoClient[Document](job["uri"]) as client:
        client.admin.command("ping")
        print("begun", flush=True)
        written = load(
            client.reports[job["collection"]],
            numbered(job["count"], job["version"], first=job.get("first", 0), size=job.get("size", 0)),
            as_of=AS_OF.replace(day=job.get("day", AS_OF.day)),
            mode=job["mode"],
            run=job.get("run", "report scheduled-1 load"),
            timeout_s=job.get("timeout_s", 60.0),
        )
        print(json.dumps(written._asdict()), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
