from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_fanout import CleanStagingOperator
from airflow_fanout.staging.catch_up import MOST_LISTS, begin_catch_ups
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.errors import StagingChanged
from airflow_fanout.staging.files import PRIVATE
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.left_out import (
    LeftOut,
    LeftOuts,
    RunLeftOut,
    left_out_by,
    left_out_parameters,
    write_left_out,
)
from airflow_fanout.staging.store import Store
from tests.staging.places import path_of

NOW = datetime.now(UTC)


def report_of(store: Store, run_id: str = "today") -> ReportDirectory:
    """Return the directory of a report in a run."""
    return ReportDirectory.of(store, dag_id="a dag/é", run_id=run_id, report="calls")


def of_report(store: Store) -> LeftOuts:
    """Return what the report's runs have left out."""
    return LeftOuts.of(report_of(store).numbered(1))


def leave_out(store: Store, run_id: str, *, count: int = 2, day: int = 20, until: datetime = NOW) -> RunLeftOut:
    """Leave something out, as validate and load do."""
    written: ListDirectory = report_of(store, run_id).new_list()
    left_out = LeftOut(
        run_id=run_id,
        as_of=f"2026-11-{day}T00:00:00+00:00",
        as_of_from="logical_date",
        day=f"2026-11-{day}",
        since=NOW,
        until=until,
        count=count,
        nonce=f"{run_id} {count}",
        causes={"timeout": count},
    )
    write_left_out(written.left_out, left_out, [{"tel": f"+1202555010{number}"} for number in range(count)])
    location = of_report(store).of_run(run_id)
    location.publish(written.left_out)
    assert not written.left_out.is_there()
    return location


def test_what_is_left_out_is_read_back(store: Store) -> None:
    """The parameters come in their order, and what is known of them is with them."""
    location = leave_out(store, "monday", count=3)
    [(there, left_out)] = of_report(store).all(pytest.fail)
    assert there == location
    assert (left_out.count, left_out.day, left_out.causes) == (3, "2026-11-20", {"timeout": 3})
    assert [*left_out_parameters(location.file, left_out)] == [{"tel": f"+1202555010{number}"} for number in range(3)]
    assert left_out_by(store, "a dag/é", "monday") == {"calls": left_out}
    assert left_out_by(store, "a dag/é", "tuesday") == left_out_by(store, "another", "monday") == {}


def test_the_oldest_date_comes_first(store: Store) -> None:
    """A backfill may leave something out after the runs of later days."""
    for run_id, day in (("b", 22), ("a", 21), ("c", 20)):
        leave_out(store, run_id, day=day)
    assert [left_out.run_id for _, left_out in of_report(store).all(pytest.fail)] == ["c", "a", "b"]


def test_the_newest_takes_the_place(store: Store) -> None:
    """A run that is repeated has left out what it leaves out now."""
    leave_out(store, "monday", count=3)
    location = leave_out(store, "monday", count=1)
    left_out = location.read_head()
    assert left_out is not None
    assert len([*left_out_parameters(location.file, left_out)]) == left_out.count == 1


def test_a_living_run_keeps_what_it_has_taken(store: Store) -> None:
    """What a dead one has taken, another may take; a repeated task has it already."""
    location = leave_out(store, "monday")
    assert location.holder() is None
    assert location.take("tuesday", pytest.fail)
    assert location.take("tuesday", pytest.fail)
    assert not location.take("wednesday", lambda run_id: run_id == "tuesday")
    assert location.holder() == "tuesday"
    assert location.take("wednesday", lambda _: False)
    assert location.holder() == "wednesday"
    location.remove()
    assert location.read_head() is None
    assert location.holder() is None
    assert of_report(store).names() == []
    location.remove()


def test_of_many_one_takes_it(tmp_path: Path) -> None:
    """Runs that begin at the same moment don't ask for it twice."""
    store = FolderStore(tmp_path, PRIVATE)
    location = leave_out(store, "monday")
    barrier, taken = threading.Barrier(8), []

    def take(run_id: str) -> None:
        barrier.wait()
        if location.take(run_id, lambda _: True):
            taken.append(run_id)

    threads = [threading.Thread(target=take, args=(f"run {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == [location.holder()]


def test_a_run_asks_for_the_oldest_thirty_one(tmp_path: Path) -> None:
    """What is more than that waits for the next run, which nothing that this one has taken keeps from it."""
    store = FolderStore(tmp_path, PRIVATE)
    for number in range(MOST_LISTS + 2):
        leave_out(store, f"run {number:02d}", count=1 + number)
    catch_ups = begin_catch_ups(report_of(store), "today", lambda _: True, pytest.fail)
    assert len(catch_ups) == MOST_LISTS
    assert len(begin_catch_ups(report_of(store, "tomorrow"), "tomorrow", lambda _: True, pytest.fail)) == 2


def test_an_alert_passes_over_what_is_damaged(tmp_path: Path) -> None:
    """A message about a run is no place for a disk's fault; the run that asks warns of it."""
    store = FolderStore(tmp_path, PRIVATE)
    path_of(leave_out(store, "monday").file).write_bytes(b"")
    assert left_out_by(store, "a dag/é", "monday") == {}


def test_a_load_that_is_repeated_leaves_nothing_behind(store: Store) -> None:
    """What it has handed on is with a later run, or done."""
    location = leave_out(store, "monday")
    location.remove()
    location.publish(report_of(store, "monday").numbered(1).left_out)
    assert of_report(store).names() == []


@pytest.mark.parametrize("size", [0, 10, -10])
def test_what_is_damaged_stays_and_is_told(tmp_path: Path, size: int) -> None:
    """A file that was cut doesn't stop the report: a warning names it, and the others are asked for."""
    store = FolderStore(tmp_path, PRIVATE)
    damaged, _ = leave_out(store, "monday", count=1000), leave_out(store, "tuesday")
    file = path_of(damaged.file)
    file.write_bytes(file.read_bytes()[:size])
    warnings: list[str] = []
    catch_ups = begin_catch_ups(report_of(store), "today", lambda _: False, warnings.append)
    assert [catch_up.run_id for catch_up in catch_ups] == ["tuesday"]
    [warning] = warnings
    assert str(damaged.file) in warning
    assert file.exists()


def test_a_number_that_does_not_fit_is_found(store: Store) -> None:
    """Parameters that are missing behind a whole frame are noticed."""
    location = leave_out(store, "monday")
    left_out = location.read_head()
    assert left_out is not None
    write_left_out(location.file, left_out, [{"tel": "a"}])
    with pytest.raises(StagingChanged, match="has 1 parameters, and 2 were left out"):
        list(left_out_parameters(location.file, left_out))


def clean(dry_run: bool = False) -> Any:
    """Clean the staging area, and return of how many runs what they left out is removed."""
    operator: Any = CleanStagingOperator(task_id="clean", keep_days=7, dry_run=dry_run)
    returned = operator.execute({"ti": None})
    assert returned["removed"] == 0
    return returned["left_out"]


def test_what_nobody_asks_for_any_more_is_cleaned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a report that doesn't run any more, no parameter stays for ever; what isn't ours stays."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path))
    store = FolderStore(tmp_path, PRIVATE)
    for run_id, days in (("old", -8), ("young", -6), ("open", 3)):
        leave_out(store, run_id, until=NOW + timedelta(days=days))
    damaged = leave_out(store, "damaged", until=NOW - timedelta(days=100))
    path_of(damaged.file).write_bytes(b"")
    (tmp_path / "a file").touch()
    assert clean(dry_run=True) == 1
    assert clean() == 1
    assert clean() == 0
    assert sorted(of_report(store).names()) == ["damaged", "open", "young"]
