from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.staging.directory import ReportDirectory
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.history import LARGEST_BYTES, MOST_RUNS, GoodRun, History
from tests.staging.places import path_of, place

if TYPE_CHECKING:
    import pytest


def day(number: int) -> str:
    """Return a date, later for a larger number."""
    return f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}T00:00:00+00:00"


def run(number: int, rows: int = 100) -> GoodRun:
    """Return the good run of a day."""
    return GoodRun(as_of=day(number), parameters=100, rows=rows, null_share=0.25)


def history(path: Path, *runs: GoodRun) -> History:
    """Return a history of runs, added in this order."""
    made = History(place(path / "history.jsonl"))
    for one in runs:
        made.add(one)
    return made


def test_a_report_without_a_history_has_no_past(tmp_path: Path) -> None:
    """Before the first good run there is no file, and nothing to compare with."""
    assert history(tmp_path).before(day(5)) == []


def test_only_earlier_dates_are_past(tmp_path: Path) -> None:
    """A backfill sees neither its future nor itself; the newest date is last, in whatever order the runs ended."""
    found = history(tmp_path, run(3), run(1), run(5), run(4), run(2))
    assert found.before(day(4)) == [run(1), run(2), run(3)]


def test_a_repeated_run_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """A date is there once, as it was last."""
    found = history(tmp_path, run(1, rows=10), run(2), run(1, rows=30))
    assert found.before(day(9)) == [run(1, rows=30), run(2)]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 10**9)), max_size=20), st.integers(0, 300))
def test_the_past_is_the_last_run_of_each_earlier_date(
    tmp_path_factory: pytest.TempPathFactory, ended: list[tuple[int, int]], today: int
) -> None:
    """Whatever runs end in whatever order, the history is that of a table by date."""
    made = tmp_path_factory.mktemp("history")
    found = history(made, *(run(number, rows) for number, rows in ended))
    last = sorted(dict(ended).items())
    assert found.before(day(today)) == [run(number, rows) for number, rows in last if number < today]


def test_a_line_that_was_cut_costs_itself_only(tmp_path: Path) -> None:
    """After a full disk has cut a line, the runs before and after it are there."""
    found = history(tmp_path, run(1))
    whole = path_of(found.location).read_bytes()
    for length in range(len(whole)):
        path_of(found.location).write_bytes(whole + whole[:length])
        found.add(run(2))
        assert found.before(day(9)) == [run(1), run(2)]
        # Cut before its line break only, it is a whole line again.
        assert found.unreadable() == (0 < len(whole[:length].strip()) < len(whole.strip()))


def test_a_line_of_another_version_is_passed_over(tmp_path: Path) -> None:
    """A line that lacks what is compared is no run; one that has more than that is."""
    found = history(tmp_path, run(1))
    with path_of(found.location).open("ab") as file:
        file.write(b'{"as_of":"2026-01-05"}\n[]\n7\n')
        file.write(b'{"as_of":"2026-02-01T00:00:00+00:00","parameters":1,"rows":2,"null_share":0,"more":1}\n')
    later = GoodRun(as_of="2026-02-01T00:00:00+00:00", parameters=1, rows=2, null_share=0.0)
    assert found.before(day(60)) == [run(1), later]


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    """A report that runs every minute keeps its newest runs, in a file of limited size."""
    found = history(tmp_path)
    runs = [GoodRun(as_of=f"2026-01-01T{n:06d}", parameters=1, rows=n, null_share=0.0) for n in range(6_000)]
    largest = 0
    for one in runs:
        found.add(one)
        largest = max(largest, path_of(found.location).stat().st_size)
    assert largest <= LARGEST_BYTES
    assert found.before("2027")[-MOST_RUNS:] == runs[-MOST_RUNS:]


def test_a_history_is_of_one_report_in_all_runs(tmp_path: Path) -> None:
    """It lies beside the runs' directories, so that it stays when they are cleaned, and no other report shares it."""

    def lies(dag_id: str, run_id: str, report: str) -> Path:
        reports = ReportDirectory.of(FolderStore(tmp_path), dag_id=dag_id, run_id=run_id, report=report)
        return path_of(reports.new_list().history)

    assert lies("calls", "monday", "daily") == tmp_path / "calls" / ".history" / "daily.jsonl"
    assert lies("calls", "tuesday", "daily") == lies("calls", "monday", "daily")
    assert len({lies("calls", "x", "daily"), lies("calls", "x", "weekly"), lies("other", "x", "daily")}) == 3
