"""What is loaded is exactly what was validated: whatever happens to a file in between, load writes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout.errors import FanoutError
from harness.airflow.connections import mongo_connection
from tests.load.faults import (
    FAULTS,
    count_changed,
    date_changed,
    deleted,
    deleted_newer_try,
    emptied,
    journal_of_another_list,
    list_deleted,
    list_of_another_run,
    manifest_of_another_list,
    truncated,
)
from tests.load.staged import AS_OF, COUNT, Staged, load, staged, validate, write_part
from tests.staging.nobody import as_nobody, closed, open_folder
from tests.staging.places import path_of

if TYPE_CHECKING:
    from pymongo.collection import Collection

MODES = ("upsert", "replace_run", "swap")


@pytest.fixture
def staging(monkeypatch: pytest.MonkeyPatch, mongo_uri: str) -> Iterator[Path]:
    """A staging area that every user may enter."""
    with open_folder() as folder:
        monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(folder))
        monkeypatch.setenv("AIRFLOW_CONN_MONGO_DEFAULT", mongo_connection(mongo_uri))
        yield folder


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_what_isnt_as_it_was_validated_is_not_loaded(
    staging: Path, collection: Collection[dict[str, Any]], fault: Callable[[Staged], Path]
) -> None:
    """In every mode the file is named, nothing is written, and nothing is removed."""
    run = staged(staging)
    validate(run)
    collection.insert_many([{"as_of": AS_OF, "tel": "+12025550199"}, {"as_of": AS_OF, "tel": "+12025550100", "v": 0}])
    before = list(collection.find())
    file = fault(run)
    for mode in MODES:
        with pytest.raises(AirflowFailException) as caught:
            load(run, collection.name, mode)
        assert str(file) in str(caught.value)
        assert list(collection.find()) == before
        assert collection.database.list_collection_names(filter={"name": {"$regex": f"^{collection.name}."}}) == []


@pytest.mark.parametrize("place", ["journal", "part", "parameters.jsonl.zst", "manifest.json", "validated.json"])
def test_what_cant_be_read_is_named_and_never_counted_as_empty(
    staging: Path, collection: Collection[dict[str, Any]], place: str
) -> None:
    """A file or folder of another user's, met by validate and by load: each fails, with its name."""
    run = staged(staging)
    validate(run)
    for folder in (staging, *staging.rglob("*")):
        folder.chmod(0o755 if folder.is_dir() else 0o644)
    collection.insert_one({"as_of": AS_OF, "tel": "+12025550199"})
    before = list(collection.find())
    path = run.parts[1] if place == "part" else path_of(run.directory) / place

    def both() -> list[str]:
        return [said(lambda: load(run, collection.name, "replace_run")), said(lambda: validate(run))]

    with closed(path):
        loaded, validated = as_nobody(both)
    assert str(path) in loaded
    assert "can't be read" in loaded
    # validate begins with taking back the mark, which this user may not either.
    assert "can't be read or written by the user of this task (uid 65534)" in validated
    assert list(collection.find()) == before


def said(call: Callable[[], object]) -> str:
    """Return what a task says that fails without a retry."""
    try:
        return f"no failure: {call()}"
    except AirflowFailException as error:
        return str(error)
    except FanoutError as error:
        return f"to be tried again: {error}"


def test_what_a_forgotten_try_writes_after_validate_is_not_loaded(
    staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """Records that are appended later, and parts that are added later, change nothing: what was judged is loaded."""
    run = staged(staging)
    validate(run)
    with run.parts[3].open("ab") as part:
        part.write(run.parts[0].read_bytes())
    write_part(run, range(5), version=9, first=False)
    write_part(run, range(5), version=9, first=True)
    for name in ("part-00001 (copy).jsonl.zst", "part-00000.jsonl.zst~", ".nfs000000000001"):
        shutil.copy(run.parts[0], run.parts[0].with_name(name))
    for name in ("generation-0001~", "generation-2", "generation-00003", ".generation-0004.swp"):
        (run.parts[0].parents[2] / name).mkdir()
    for mode in MODES:
        summary = load(run, collection.name, mode)
        assert summary["documents"] == COUNT
        assert {found["result"]["v"] for found in collection.find()} == {1}
        assert collection.count_documents({}) == COUNT


def test_a_file_that_fetch_has_left_and_that_is_gone_fails_validate(staging: Path) -> None:
    """Even where less than all is good enough: results that were there are lost, which is told with the file's name."""
    for fault in (truncated, emptied, deleted, deleted_newer_try):
        run = staged(staging)
        file = fault(run)
        with pytest.raises(AirflowFailException, match="results are lost") as caught:
            validate(run, min_coverage=0.1)
        assert str(file) in str(caught.value)
        assert not run.directory.validated.is_there()


@pytest.mark.parametrize(
    "fault",
    [journal_of_another_list, list_deleted, list_of_another_run, count_changed, date_changed, manifest_of_another_list],
    ids=lambda fault: fault.__name__,
)
def test_what_isnt_as_it_was_frozen_is_not_validated(staging: Path, fault: Callable[[Staged], Path]) -> None:
    """A list that was changed, or a journal of another list, is told with the file's name."""
    run = staged(staging)
    file = fault(run)
    with pytest.raises(AirflowFailException) as caught:
        validate(run, min_coverage=0.0)
    assert str(file) in str(caught.value)
    assert not run.directory.validated.is_there()


def test_copies_and_backups_in_the_journal_change_nothing(staging: Path) -> None:
    """What isn't named as ours is nobody's, also before validate."""
    run = staged(staging)
    (run.parts[0].parents[2] / "generation-0001~").mkdir()
    shutil.copytree(run.parts[0].parent, run.parts[0].parent.with_name("try-0001 (copy)"))
    shutil.copy(run.parts[0], run.parts[0].with_name("part-00007 (copy).jsonl.zst"))
    assert validate(run)["ok"] == COUNT
