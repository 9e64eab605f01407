from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from airflow_fanout.alerts.late import LateRun, late
from airflow_fanout.alerts.message import Pages
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.progress import Progress
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.frozen import Manifest, read_manifest
from airflow_fanout.staging.live import Live, ProgressSnapshot, live
from airflow_fanout.staging.results import Results
from airflow_fanout.staging.sealed import write_sealed

NOW = datetime(2026, 11, 22, 8, 0, 1, tzinfo=UTC)
PAGES = Pages("http://airflow", "report")
HALF = ProgressSnapshot(at=NOW, total=500, done=250, ok=240, rate_per_s=25.0)
RUN = LateRun(
    run_id="r",
    as_of=datetime(2026, 11, 21, tzinfo=UTC),
    due=datetime(2026, 11, 22, 8, tzinfo=UTC),
    zone=UTC,
    state="running",
    reports=[Live(step="fetch", total=1_000, glimpses=(HALF, replace(HALF, done=500)))],
)


def listed(staging: Path, shards: int = 2) -> ListDirectory:
    """Make the directory of a run whose list is frozen."""
    directory = ReportDirectory.of(FolderStore(staging), dag_id="report", run_id="r", report="extract").new_list()
    manifest = Manifest(
        count=1_000, duplicates=0, digest="", as_of="2026-11-21T00:00:00+00:00", fields=(), shards=shards
    )
    write_sealed(directory.manifest, manifest)
    for number in range(shards):
        directory.shard(number).generation(1).new_try()
    return directory


def test_the_message_has_the_live_progress() -> None:
    """Done of total, the rate and the time left are those of all shards that still run."""
    alert = late(RUN, PAGES, NOW)
    assert alert.subject == "report wasn't loaded by 08:00 (UTC) for 2026-11-21: 75 % fetched"
    assert "fetch: 750 of 1,000 (75.0 %), 25/s, about 10 s left\n" in alert.text


def test_progress_that_stands_still_is_told() -> None:
    """Nothing was heard of it for minutes."""
    alert = late(RUN, PAGES, NOW + timedelta(minutes=10))
    assert "; no news of it for 10 min" in alert.text


def test_a_deferred_fetch_names_the_quota_and_its_renewal() -> None:
    """Nothing is heard of it for hours, and that is as it should be."""
    waits_for = "the renewal of the quota, 500 requests per day (UTC)"
    until = datetime(2026, 11, 23, tzinfo=UTC)
    deferred = replace(HALF, rate_per_s=0.0, waits_for=waits_for, deferred_until=until)
    run = replace(RUN, reports=[Live(step="fetch", total=1_000, glimpses=(deferred, replace(HALF, done=500)))])
    line = f"fetch: 750 of 1,000 (75.0 %), deferred until 2026-11-23 00:00 UTC; waiting: {waits_for}\n"
    text = late(run, PAGES, NOW + timedelta(hours=9)).text
    assert line in text
    assert "It continues by itself; there is nothing to do." in text
    # Nobody has resumed it.
    assert "; no news of it for 17.0 h" in late(run, PAGES, NOW + timedelta(hours=17)).text


def test_the_renewal_is_read_from_the_runs_directory(tmp_path: Path) -> None:
    """Whoever can't ask Airflow finds it there."""
    until = datetime(2026, 11, 23, tzinfo=UTC)
    directory = listed(tmp_path)
    waiting = {"rate_per_s": 0.0, "waits_for": "the renewal of the quota", "deferred_until": until}
    replace(HALF, **waiting).write(directory.shard(0).progress)
    [report] = live(FolderStore(tmp_path), "report", "r")
    assert (report.deferred_until, report.waits_for) == (until, "the renewal of the quota")
    replace(HALF, done=300).write(directory.shard(1).progress)
    [report] = live(FolderStore(tmp_path), "report", "r")
    assert report.deferred_until is None


def test_a_shard_that_is_at_work_is_worth_more_than_one_that_is_deferred() -> None:
    """The rate and the age are those of the run."""
    deferred = replace(HALF, rate_per_s=0.0, waits_for="the renewal", deferred_until=NOW + timedelta(hours=9))
    run = replace(RUN, reports=[Live(step="fetch", total=1_000, glimpses=(deferred, HALF))])
    assert "fetch: 500 of 1,000 (50.0 %), 25/s, about 20 s left; waiting: the renewal\n" in late(run, PAGES, NOW).text


def test_what_a_fetch_waits_for_is_told() -> None:
    """An outage stands in the message about the run that is late because of it."""
    waiting = replace(HALF, rate_per_s=0.0, waits_for="the API gives no answer, since 07:12:00 UTC")
    alert = late(replace(RUN, reports=[Live(step="fetch", total=500, glimpses=(waiting,))]), PAGES, NOW)
    assert "fetch: 250 of 500 (50.0 %), 0/s; waiting: the API gives no answer, since 07:12:00 UTC\n" in alert.text


def test_a_run_that_hasnt_begun_has_no_progress() -> None:
    """It waits for its turn; of one that has failed another message has told."""
    assert "It waits" not in late(RUN, PAGES, NOW).text
    assert "The run hasn't started" in late(replace(RUN, state="queued", reports=[]), PAGES, NOW).text
    assert "fetch:" not in late(replace(RUN, state="failed"), PAGES, NOW).text


def test_a_run_is_seen_from_its_directory(tmp_path: Path) -> None:
    """Each step of it, by the files that are there."""
    assert live(FolderStore(tmp_path), "report", "r") == []
    ReportDirectory.of(FolderStore(tmp_path), dag_id="report", run_id="r", report="extract").new_list()
    assert live(FolderStore(tmp_path), "report", "r") == [Live(step="extract")]
    directory = listed(tmp_path)
    assert live(FolderStore(tmp_path), "report", "r") == [Live(step="fetch", as_of=RUN.as_of, total=1_000)]
    progress = Progress(total=500, kinds=Counter({Kind.OK: 100, Kind.TIMEOUT: 20}), seconds=60.0, recent_per_s=12.0)
    ProgressSnapshot.of(progress, NOW).write(directory.shard(1).progress)
    (seen,) = live(FolderStore(tmp_path), "report", "r")
    assert (seen.done, seen.rate_per_s, seen.left_s) == (120, 12.0, 880 / 12.0)
    for number in range(2):
        directory.shard(number).generation(1).mark_complete({})
    assert [found.step for found in live(FolderStore(tmp_path), "report", "r")] == ["validate"]
    results = Results(directory, read_manifest(directory))
    write_sealed(directory.validated, results.validated({}))
    assert [found.step for found in live(FolderStore(tmp_path), "report", "r")] == ["load"]
