"""validate before fetch: it says so, and never passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout import GeventFetchOperator, Request, ValidateOperator
from airflow_fanout.model.as_of import AsOf
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.frozen import Selection, freeze
from tests.load import faults
from tests.load.staged import AS_OF, Staged, staged


def frozen(staging: Path, count: int, shards: int = 1) -> ListDirectory:
    """Freeze a list that nothing was fetched of."""
    directory = ReportDirectory.of(FolderStore(staging), dag_id="report", run_id="monday", report="calls").new_list()
    freeze(
        (f"+12025550{index:03d}" for index in range(100, 100 + count)),
        directory,
        as_of=AsOf(moment=AS_OF, day="2026-11-22", source="logical_date"),
        names=("tel",),
        duplicates="drop",
        selection=Selection(),
        shards=shards,
    )
    return directory


def said(directory: ListDirectory, **options: Any) -> str:
    """Return what validate says when it fails."""
    operator = ValidateOperator(task_id="validate", parameters={"directory": str(directory)}, **options)
    context: Any = {}
    with pytest.raises(AirflowFailException) as caught:
        operator.execute(context)
    assert not directory.validated.is_there()
    return str(caught.value)


@pytest.mark.parametrize("options", [{}, {"min_coverage": 0.0}, {"allow": ("not_tried",)}], ids=repr)
@pytest.mark.parametrize("count", [0, 3])
def test_validate_before_fetch_says_that_fetch_has_not_run(tmp_path: Path, count: int, options: Any) -> None:
    """Whatever would be allowed, and for an empty list, too; it names the order, and doesn't ask to clear fetch."""
    message = said(frozen(tmp_path, count), **options)
    assert message.startswith("The fetch task hasn't run yet (")
    assert "extract >> fetch >> validate >> load" in message
    assert "lear the fetch" not in message


def test_validate_beside_a_fetch_that_runs_says_so(tmp_path: Path) -> None:
    """A fetch that has begun and isn't at its end gives half of the results: none of them are judged."""
    directory = frozen(tmp_path, 3)
    directory.shard(0).generation(1).new_try()
    assert said(directory, min_coverage=0.0).startswith("The fetch task still runs, or has failed (")


def test_each_shard_must_have_been_fetched(tmp_path: Path) -> None:
    """The one that wasn't is named."""
    directory = frozen(tmp_path, 3, shards=3)
    for shard in (0, 1):
        directory.shard(shard).generation(1).mark_complete({})
    assert said(directory, min_coverage=0.0).startswith("The fetch task of shard 2 hasn't run yet (")


@pytest.mark.parametrize(
    "fault",
    [
        faults.list_deleted,
        faults.list_of_another_run,
        faults.count_changed,
        faults.date_changed,
        faults.manifest_of_another_list,
        faults.manifest_deleted,
    ],
    ids=lambda fault: fault.__name__,
)
def test_fetch_reads_only_the_list_that_was_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Staged], Path]
) -> None:
    """A list that was changed is named before the connection is even looked up."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path))
    run = staged(tmp_path)
    fetch = GeventFetchOperator(
        task_id="fetch", request=Request(endpoint="/{tel}"), http_conn_id="nowhere", parameters=run.reference
    )
    context: Any = {}
    with pytest.raises(AirflowFailException, match="nowhere"):
        fetch.execute(context)
    file = fault(run)
    with pytest.raises(AirflowFailException) as caught:
        fetch.execute(context)
    assert str(file) in str(caught.value)
    assert "nowhere" not in str(caught.value)
