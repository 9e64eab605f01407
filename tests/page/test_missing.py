"""The list of parameters without a good result: masked, searched, a page at a time, wherever the staging area is."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_fanout.model.as_of import AsOf
from airflow_fanout.model.outcome import Failure, Kind, Outcome, Record
from airflow_fanout.page.errors import NotShown
from airflow_fanout.page.kept_rows import KeptRows
from airflow_fanout.page.missing_list import MissingList
from airflow_fanout.page.missing_rows import PAGE_ROWS, MissingRow, RowFile
from airflow_fanout.page.reaching import reachable_list
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.files import PRIVATE
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.frozen import Selection, freeze, read_manifest
from airflow_fanout.staging.journal import JournalWriter
from airflow_fanout.staging.store import Store
from harness.s3 import S3Server
from tests.staging.objects import store_in_s3

UNAVAILABLE = Outcome(Kind.HTTP_ERROR, status=503, failure=Failure("HTTPError", "503 Service Unavailable"))


class CountingStore:
    """A store that knows what was read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.keys: list[str] = []

    def read(self, key: str, *size: int) -> Iterator[bytes]:
        """Read as the store does."""
        self.keys.append(key)
        return self._store.read(key, *size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def staged(store: Any, outcomes: Sequence[Outcome | None], tels: Sequence[str] = ()) -> ListDirectory:
    """Freeze a list with the journal of one try; `None` is a parameter that wasn't requested."""
    directory = ReportDirectory.of(store, dag_id="dag", run_id="run", report="calls").new_list()
    values = tels or [f"+1202555{index:07d}" for index in range(len(outcomes))]
    as_of = AsOf(moment=datetime(2026, 11, 22, tzinfo=UTC), day="2026-11-22", source="logical_date")
    freeze(values, directory, as_of=as_of, names=("tel",), duplicates="drop", selection=Selection(), shards=1)
    write(directory, [(index, values[index], each) for index, each in enumerate(outcomes) if each is not None])
    return directory


def write(directory: ListDirectory, records: Sequence[tuple[int, str, Outcome]]) -> None:
    """Write a try."""
    attempt = directory.shard(0).generation(1).new_try()
    journal = JournalWriter(attempt, list_id=read_manifest(directory).id)
    journal.extend([Record.of(index, {"tel": tel}, outcome, 5, 210.0) for index, tel, outcome in records])
    journal.close()


def listed(directory: ListDirectory, *, shown: bool = False) -> MissingList:
    """Return the list of a report that takes `ok` and `null`."""
    return MissingList(directory=directory, shown=shown, accepted=frozenset({"ok", "null"}))


@pytest.fixture
def folder(tmp_path: Path) -> CountingStore:
    """A staging area in a folder."""
    return CountingStore(FolderStore(tmp_path, PRIVATE))


def test_only_the_first_look_reads_the_journal(folder: CountingStore) -> None:
    """Pages, searches and the pages of a search come from what was read; masked, those never tried last."""
    outcomes = [Outcome(Kind.OK, result=[1]), UNAVAILABLE, Outcome(Kind.NULL), None] * 100
    directory = staged(folder, outcomes)
    rows = listed(directory).rows()
    assert rows.count == 200
    assert [row.index for row in rows.rows()] == [*range(1, 400, 4), *range(3, 400, 4)]
    first, last = next(rows.rows()), next(rows.rows(199))
    message = "HTTPError: HTTP 503 Service Unavailable"
    assert first == MissingRow(
        index=1, parameter="{tel: …01}", kind="http_error", status=503, attempts=5, message=message
    )
    assert (last.index, last.kind, last.parameter, last.attempts) == (399, "not_tried", "{tel: …99}", 0)
    folder.keys.clear()
    assert [row.index for row in listed(directory).rows().rows(150)] == [*range(203, 400, 4)]
    assert listed(directory).rows("http error").count == listed(directory).rows("HTTP_ERROR").count == 100
    assert not [key for key in folder.keys if "part-" in key or key.endswith("parameters.jsonl.zst")]


def test_what_was_fetched_since_is_read(folder: CountingStore) -> None:
    """A later try's outcome takes the place of the earlier one's, in the list, too."""
    directory = staged(folder, [UNAVAILABLE] * 4)
    assert listed(directory).rows().count == 4
    write(directory, [(2, "+12025550000002", Outcome(Kind.OK, result=1))])
    assert [row.index for row in listed(directory).rows().rows()] == [0, 1, 3]


def test_a_list_that_was_not_fetched_lacks_all(folder: CountingStore) -> None:
    """Each is one that was never tried."""
    assert {row.kind for row in listed(staged(folder, [None] * 3)).rows().rows()} == {"not_tried"}


@pytest.mark.parametrize(
    ("search", "indexes"),
    [
        ("STRASSE", [0]),
        ("straße", [0]),
        ('say "hi"', [1]),
        ("back\\slash", [2]),
        ("a_b", [3]),
        ("a B", [3]),
        ("503", [0, 1, 2, 3, 250]),
        ("250", [250]),
        ("None", []),
        ("index", []),
        ("not there", []),
    ],
)
def test_a_search_finds_what_a_column_has(folder: CountingStore, search: str, indexes: list[int]) -> None:
    """Whatever the case, of all pages, and nothing that only the form of the data has."""
    texts = ["Straße", 'say "hi"', "back\\slash", "a_b"]
    outcomes = [Outcome(Kind.OK, result=1)] * 251
    for index in (0, 1, 2, 3, 250):
        text = texts[index] if index < len(texts) else "z"
        outcomes[index] = Outcome(Kind.API_ERROR, status=503, failure=Failure("ApiError", text))
    directory = staged(folder, outcomes, [f"t{index}x" for index in range(251)])
    assert [row.index for row in listed(directory, shown=True).rows(search).rows()] == indexes


def test_no_secret_is_shown_or_found(folder: CountingStore) -> None:
    """Not even where the report shows its parameters: an alert takes secrets out, too."""
    failure = Failure("ConnectionError", "GET https://api.example/x?api_key=SECRET77&tel=+12025550142 failed")
    directory = staged(folder, [Outcome(Kind.CONNECTION_ERROR, failure=failure)], ["+12025550142"])
    [shown] = listed(directory, shown=True).rows().rows()
    assert "+12025550142" in shown.parameter
    assert "+12025550142" in shown.message
    assert "SECRET77" not in shown.message
    assert listed(directory, shown=True).rows("SECRET77").count == 0
    [masked] = listed(directory).rows().rows()
    assert "2025550" not in f"{masked}"
    assert listed(directory).rows("2025550").count == 0


def test_the_memory_is_flat(folder: CountingStore) -> None:
    """30,000 rows as they are would take more than 10 MB: it is 4 bytes for each parameter, and some pages."""
    directory = staged(folder, [UNAVAILABLE] * 15_000 + [None] * 15_000)
    tracemalloc.start()
    try:
        rows = listed(directory).rows("e")
        assert sum(1 for _ in rows.rows()) == 30_000
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_list_that_cannot_be_read_is_said_so(folder: CountingStore, tmp_path: Path) -> None:
    """With the file and what to do; the list is read again after that."""
    directory = staged(folder, [UNAVAILABLE] * 4)
    [part] = tmp_path.rglob("part-*")
    whole = part.read_bytes()
    part.write_bytes(whole[:-9] + b"x" * 9)
    with pytest.raises(NotShown, match=r"can't be read.*part-00000.* is damaged .*Clear the fetch task"):
        listed(directory).rows()
    part.write_bytes(whole)
    assert listed(directory).rows().count == 4


def rows_of(count: int) -> RowFile:
    """Return a file of so many rows."""
    return RowFile(MissingRow(index=index, parameter="p", kind="timeout") for index in range(count))


def test_lists_are_kept_for_a_while_and_within_bounds() -> None:
    """Until nobody has looked for long, and as many bytes as there is room for, the last ones looked at."""
    now = 0.0
    size = rows_of(500).size
    kept = KeptRows(most_bytes=2 * size, kept_s=60.0, clock=lambda: now)
    looks: list[str] = []

    def look(name: str, count: int = 500) -> RowFile:
        return kept.get(name, lambda: looks.append(name) or rows_of(count))  # type: ignore[func-returns-value]

    for name in ("a", "b", "a", "c", "a", "b"):
        look(name)
    assert looks == ["a", "b", "c", "b"]
    assert look("long", 5_000).count == 5_000
    assert (looks.pop(), len(kept)) == ("long", 0)
    look("a")
    now = 59.0
    look("a")
    now = 119.0
    kept.forget()
    assert (looks[-1], len(kept)) == ("a", 0)


def test_of_several_who_look_at_once_one_reads() -> None:
    """The others wait for it; who reads what was dropped meanwhile reads on."""
    kept, begun, go_on, makers = KeptRows(), threading.Event(), threading.Event(), []
    counts: list[int] = []

    def make() -> RowFile:
        makers.append(1)
        begun.set()
        assert go_on.wait(60)
        return rows_of(250)

    threads = [threading.Thread(target=lambda: counts.append(kept.get("a", make).count)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert (makers, counts) == ([1], [250] * 3)
    rows = kept.get("a", make).rows(PAGE_ROWS)
    assert next(rows).index == PAGE_ROWS
    kept._lists.clear()
    assert sum(1 for _ in rows) == 149


def test_a_list_in_an_object_storage_is_read_without_a_write(
    s3: S3Server, s3_staging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the address of the DAG's own team; another team's list isn't read."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", f"{s3_staging}/{{team}}")
    address = f"{s3_staging}/research"
    written = staged(store_in_s3(s3.options, address), [UNAVAILABLE] * 3)
    s3.tell("forget")
    directory = reachable_list(str(written), "research")
    assert [row.index for row in listed(directory).rows().rows()] == [0, 1, 2]
    assert set(s3.counted()) <= {"GET", "HEAD"}
    with pytest.raises(NotShown, match=r"this API server's staging area is .*/billing"):
        reachable_list(str(written), "billing")
    with pytest.raises(NotShown, match="belongs to no team"):
        reachable_list(str(written), None)
    with pytest.raises(NotShown, match="The list isn't there"):
        reachable_list(str(written).replace("list-0001", "list-0002"), "research")


@pytest.mark.parametrize(
    ("area", "says"),
    [
        ("s3://nobody@staging/x", "The connection 'nobody' isn't there"),
        ("abfs://staging/x", r"install airflow-fanout\[azure\] on all workers, and on API servers"),
        ("s3://s3_staging@nowhere/x", "isn't there"),
    ],
)
def test_a_storage_that_this_server_does_not_reach_is_named(
    s3_staging: str, monkeypatch: pytest.MonkeyPatch, area: str, says: str
) -> None:
    """The connection, the package or the bucket, and what to do; the samples are what is left."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", area)
    with pytest.raises(NotShown, match=rf"{says}.*The samples above are what is left\.") as caught:
        reachable_list(f"{area}/dag/run/calls/list-0001", None)
    assert caught.value.status == 409


def test_a_storage_that_refuses_is_named(s3: S3Server, s3_staging: str) -> None:
    """With its own words."""
    s3.tell("denied")
    with pytest.raises(NotShown, match=r"can't read the staging area\. s3://.*manifest\.json"):
        reachable_list(f"{s3_staging}/dag/run/calls/list-0001", None)
