from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.staging.directory import ReportDirectory
from airflow_fanout.staging.errors import StagingLost
from airflow_fanout.staging.files import write_whole
from airflow_fanout.staging.folder import FolderStore, list_at
from airflow_fanout.staging.layout import LONGEST_NAME, file_name
from airflow_fanout.staging.sealed import read_json
from airflow_fanout.staging.store import Location
from tests.staging.places import path_of, place, report_at

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
LONG = st.text(st.sampled_from("aü.~"), min_size=60, max_size=400)


@given(TEXTS | LONG)
def test_any_text_is_the_name_of_one_file(text: str) -> None:
    """A run id can be anything; as a name it leads nowhere, is short enough, and isn't empty."""
    name = file_name(text)
    assert 0 < len(name.encode()) <= 255
    assert name not in (".", "..")
    assert not {"/", "\\", "\0", "\n"} & set(name)


@given(TEXTS | LONG, TEXTS | LONG)
def test_different_texts_have_different_names(one: str, other: str) -> None:
    """No two runs share a directory."""
    assert (file_name(one) == file_name(other)) is (one == other)


@given(st.text(st.sampled_from("ab"), min_size=LONGEST_NAME + 1, max_size=300))
def test_a_cut_name_is_no_other_texts_name(text: str) -> None:
    """A run whose id is what a longer id was cut to has a directory of its own."""
    assert file_name(file_name(text)) != file_name(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=15))
def test_a_short_name_can_be_read_back(text: str) -> None:
    """People find a run's directory: a name is the text itself with its odd signs escaped."""
    assert text in (unquote(file_name(text)), "")


def test_the_usual_run_ids_stay_readable() -> None:
    """The ids that Airflow makes look as they do in its UI, but for their colons."""
    assert file_name("daily_call_report") == "daily_call_report"
    assert file_name("scheduled__2026-11-22T00:00:00+00:00") == "scheduled__2026-11-22T00%3A00%3A00+00%3A00"
    assert [file_name(text) for text in ("", ".", "..", "a/../b")] == ["%", "%2E", "%2E%2E", "a%2F..%2Fb"]


def test_a_report_stays_inside_of_the_staging_area(tmp_path: Path) -> None:
    """Ids that look like paths are names below the staging area."""
    report = ReportDirectory.of(FolderStore(tmp_path), dag_id="../up", run_id="/etc", report="..")
    path = path_of(report)
    assert path.parent.parent.parent == tmp_path
    assert path.resolve() == path


def test_each_list_is_a_new_one(tmp_path: Path) -> None:
    """Running extract again makes another list; the older one is left as it is."""
    report = report_at(tmp_path / "report")
    first = report.new_list()
    (path_of(first) / "note").write_text("mine")
    second = report.new_list()
    assert [path_of(first).name, path_of(second).name] == ["list-0001", "list-0002"]
    assert (path_of(first) / "note").read_text() == "mine"


def test_two_at_the_same_moment_get_two_directories(tmp_path: Path) -> None:
    """However many tries begin at once, each gets a directory that no other has."""
    generation = list_at(str(tmp_path)).shard(0).generation(1)
    made: list[Location] = []
    begin = threading.Barrier(16)

    def start() -> None:
        begin.wait()
        made.append(generation.new_try())

    threads = [threading.Thread(target=start) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path_of(attempt).name for attempt in made) == [f"try-{number:04d}" for number in range(1, 17)]


def test_parts_are_in_the_order_in_which_they_were_begun(tmp_path: Path) -> None:
    """A newer try comes after an older one, and the parts of a try follow their numbers; other files are no parts."""
    generation = list_at(str(tmp_path)).shard(0).generation(1)
    assert generation.parts() == []
    tries = [generation.new_try() for _ in range(11)]
    wanted = [attempt.part(number) for attempt in tries for number in range(11)]
    for part in reversed(wanted):
        path_of(part).touch()
    (path_of(tries[0]) / "part-00000.jsonl").touch()
    assert generation.parts() == wanted


def test_the_current_generation_is_the_newest_whole_one(tmp_path: Path) -> None:
    """A new generation doesn't count before it is whole, unless there is no other."""
    shard = list_at(str(tmp_path)).shard(3)
    assert (shard.current(), shard.newest()) == (0, 0)
    shard.generation(1).new_try()
    assert (shard.current(), shard.newest()) == (1, 1)
    shard.generation(1).mark_complete({"ok": 5})
    shard.generation(2).new_try()
    assert (shard.current(), shard.newest()) == (1, 2)
    shard.generation(2).mark_complete({"ok": 6})
    assert (shard.current(), shard.newest()) == (2, 2)


def test_generations_are_told_for_each_shard(tmp_path: Path) -> None:
    """Every shard has its number in the account, also one that was never fetched."""
    directory = list_at(str(tmp_path))
    directory.shard(1).generation(4).new_try()
    assert directory.generations(3) == {"0": 0, "1": 4, "2": 0}


def test_a_whole_file_replaces_the_one_before(tmp_path: Path) -> None:
    """Writing again leaves the new content, and nothing of the writing."""
    path = tmp_path / "manifest.json"
    write_whole(path, b'{"count": 1}')
    write_whole(path, b'{"count": 2}')
    assert read_json(place(path)) == {"count": 2}
    assert [found.name for found in tmp_path.iterdir()] == ["manifest.json"]


def test_writers_at_the_same_moment_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Two processes that write the same file both succeed, and readers see one of the contents, whole."""
    path = tmp_path / "complete.json"
    contents = [b'{"writer": %d}' % number + b" " * 100_000 for number in range(8)]
    failures: list[Exception] = []

    def write(content: bytes) -> None:
        try:
            for _ in range(10):
                write_whole(path, content)
                assert path.read_bytes() in contents
        except Exception as error:  # noqa: BLE001 - it is told below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_missing_file_is_told_as_lost(tmp_path: Path) -> None:
    """A manifest that isn't there is an error that names it, unless its absence means something."""
    path = tmp_path / "manifest.json"
    with pytest.raises(StagingLost) as caught:
        read_json(place(path))
    assert caught.value.path == str(path)
    assert read_json(place(path), missing={}) == {}


def test_a_spoilt_file_is_told_as_lost(tmp_path: Path) -> None:
    """A manifest that was cut by a full disk is an error with its path, also where it might be missing."""
    path = tmp_path / "validated.json"
    path.write_bytes(b'{"count": 1')
    with pytest.raises(StagingLost, match=r"validated\.json"):
        read_json(place(path), missing={})
