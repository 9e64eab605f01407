from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_fanout.alerts.message import Pages
from airflow_fanout.alerts.recovered import Effort, duration, recovered
from airflow_fanout.alerts.started import Started
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.open_failures import OpenFailure, OpenFailures, ReportRun
from tests.staging.places import path_of

DAY = timedelta(days=1)
FIRST = datetime(2026, 11, 20, tzinfo=UTC)


def failure(days: int = 0, *, made_by: str = "scheduled", name: str | None = None) -> OpenFailure:
    """Return the failure of a run so many days after the first; it failed at eight in the morning after."""
    as_of = FIRST + days * DAY
    return OpenFailure(
        run_id=name or f"{made_by}__{as_of.isoformat()}",
        as_of=as_of,
        made_by=made_by,
        since=as_of + DAY + timedelta(hours=8),
    )


def run(days: int, *, made_by: str = "scheduled", started: datetime | None = None) -> ReportRun:
    """Return a good run so many days after the first, begun at the midnight after its day."""
    as_of = FIRST + days * DAY
    return ReportRun(
        run_id=f"{made_by}__{as_of.isoformat()}", as_of=as_of, made_by=made_by, started=started or as_of + DAY
    )


@pytest.fixture
def failures(tmp_path: Path) -> OpenFailures:
    """The failures of a report that had none."""
    return OpenFailures.of(FolderStore(tmp_path), "report")


def test_the_next_good_run_ends_a_failure_once(failures: OpenFailures) -> None:
    """Tomorrow's run is given it, the day after's isn't."""
    failures.add(failure(0))
    assert failures.end(run(1, started=FIRST + 2 * DAY)) == [failure(0)]
    assert failures.end(run(2)) == []


def test_a_cleared_run_ends_its_own_failure(failures: OpenFailures) -> None:
    """Whatever made it, and however the other days are."""
    for made_by in ("scheduled", "backfill", "manual"):
        failures.add(failure(3, made_by=made_by))
        assert failures.end(run(3, made_by=made_by)) == [failure(3, made_by=made_by)]


@pytest.mark.parametrize(
    ("left", "good"),
    [
        (failure(5), run(4, started=FIRST + 9 * DAY)),
        (failure(0, made_by="backfill"), run(9)),
        (failure(0, made_by="backfill"), run(1, made_by="backfill", started=FIRST + 9 * DAY)),
        (failure(0), run(1, made_by="manual", started=FIRST + 9 * DAY)),
        (failure(0), run(1, started=FIRST + DAY + timedelta(hours=7))),
    ],
    ids=["an earlier day", "a backfill's", "a day of the same backfill", "by hand", "one that ran beside it"],
)
def test_a_run_that_says_nothing_of_it_leaves_a_failure_open(
    failures: OpenFailures, left: OpenFailure, good: ReportRun
) -> None:
    """Only a later run of the same kind, begun after the failure, shows that the trouble is over."""
    failures.add(left)
    assert failures.end(good) == []
    assert failures.end(ReportRun(run_id=left.run_id, as_of=left.as_of, made_by=left.made_by, started=FIRST)) == [left]


def test_the_first_failure_of_a_run_counts(failures: OpenFailures) -> None:
    """Cleared and failed again: it had failed since the first time."""
    first = failure(0)
    failures.add(first)
    failures.add(OpenFailure(run_id=first.run_id, as_of=first.as_of, made_by="scheduled", since=FIRST + 9 * DAY))
    assert failures.end(run(0)) == [first]


def test_of_runs_that_are_good_at_the_same_moment_one_tells_of_it(failures: OpenFailures) -> None:
    """Each failure is given to one of them only."""
    for days in range(20):
        failures.add(failure(days))
    late = FIRST + 90 * DAY
    with ThreadPoolExecutor(8) as each:
        found = list(each.map(lambda days: failures.end(run(days, started=late)), range(40, 48)))
    assert sorted(left.since for some in found for left in some) == [failure(days).since for days in range(20)]


def test_a_file_that_is_none_is_left_alone(failures: OpenFailures) -> None:
    """What can't be read ends nothing and hinders nothing."""
    failures.add(failure(0))
    (path_of(failures) / "other.json").write_text("{")
    assert failures.end(run(0)) == [failure(0)]


PAGES = Pages("http://airflow", "report")
MORNING = FIRST + DAY + timedelta(hours=11, minutes=12)


def test_the_message_says_since_when_and_what_is_missing() -> None:
    """The oldest failure is the beginning; a day that another run failed for is still missing, and linked."""
    alert = recovered(run(2), [failure(0), failure(2)], UTC, PAGES, Effort(ended=MORNING))
    assert alert.subject == "report is good again: 2026-11-22 is loaded"
    assert "It had been failing since 2026-11-21 08:00 (UTC)." in alert.text
    assert alert.text.count(" is still missing. To load it, ") == 1
    assert "2026-11-20 is still missing. To load it, clear that run's failed task." in alert.text
    failed_run = "http://airflow/dags/report/runs/scheduled__2026-11-20T00%3A00%3A00%2B00%3A00/plugin/fanout-dag_run"
    assert f"Failed run: {failed_run}\n" in alert.text
    assert alert.text.count("#good-again") == 1


def test_the_message_says_what_it_took() -> None:
    """How long, how often the run was cleared, what was requested for how many, and what is loaded."""
    effort = Effort(ended=MORNING, cleared=2, requests=53, parameters=50, seconds=12.2, documents=2_000)
    text = recovered(run(0), [failure(0)], UTC, PAGES, effort, Started("manual", "ada")).text
    assert text.splitlines()[3:8] == [
        "It took: 3 h 12 min; the run was cleared 2 times",
        "Last fetch: 53 requests for 50 parameters, in 12 s",
        "Loaded: 2,000 documents",
        "Started: by hand by ada",
        "Params: the DAG's defaults",
    ]


def test_what_nobody_knows_of_a_recovery_is_left_out() -> None:
    """A later run was never cleared, and the tasks of another one may have returned nothing."""
    text = recovered(run(0), [failure(0)], UTC, PAGES, Effort(ended=MORNING)).text
    assert "It took: 3 h 12 min\nPage: " in text
    once = Effort(ended=MORNING, cleared=1, requests=1, parameters=1, documents=1)
    assert "cleared once\nLast fetch: 1 request for 1 parameter, in 0 s\nLoaded: 1 document\n" in (
        recovered(run(0), [failure(0)], UTC, PAGES, once).text
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (99, "99 s"), (420, "7 min"), (3_600, "1 h"), (11_520, "3 h 12 min"), (187_200, "2 d 4 h")],
)
def test_a_time_is_in_the_units_that_matter(seconds: float, text: str) -> None:
    """Nobody counts the seconds of a day."""
    assert duration(seconds) == text
