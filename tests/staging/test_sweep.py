from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout import CleanStagingOperator
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.history import GoodRun, History
from airflow_fanout.staging.layout import file_name, text_of
from airflow_fanout.staging.leftovers import Leftovers
from airflow_fanout.staging.store import StagedRun
from tests.staging.nobody import as_nobody, open_folder
from tests.staging.places import path_of, written

RUN = "manual__2026-11-22T06:15:07+00:00"
OLD = 1_000_000.0


def new_list(staging: Path, *, dag_id: str = "report", run_id: str = RUN) -> ListDirectory:
    """Make the directory of a list with one file in its journal, all of it old."""
    made = ReportDirectory.of(FolderStore(staging), dag_id=dag_id, run_id=run_id, report="calls").new_list()
    written(made.shard(0).generation(1).new_try().part(0), b"x" * 1000)
    written(made.manifest, b"{}")
    for path in [*staging.rglob("*")]:
        os.utime(path, (OLD, OLD))
    return made


def runs(staging: Path) -> list[StagedRun]:
    """Return the runs that are found, whatever is left."""
    return list(FolderStore(staging).runs(Leftovers()))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_a_name_is_read_back_or_known_to_be_cut(text: str) -> None:
    """A folder's name gives the id back that it was made from, and never another one."""
    assert text_of(file_name(text)) in (text, None)
    assert text_of(file_name(text[:15])) == text[:15]


def test_the_runs_of_all_dags_are_found(tmp_path: Path) -> None:
    """Each run is one directory, with the ids that Airflow knows it by."""
    ids = [("a b", RUN), ("report", "scheduled/1"), ("report", RUN)]
    for dag_id, run_id in ids:
        new_list(tmp_path, dag_id=dag_id, run_id=run_id)
        new_list(tmp_path, dag_id=dag_id, run_id=run_id)
    assert sorted((run.dag_id, run.run_id) for run in runs(tmp_path)) == sorted(ids)


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    """Histories, files, and folders that extract hasn't made are nobody's to remove."""
    History(new_list(tmp_path).history).add(GoodRun(as_of="2026", parameters=1, rows=1, null_share=0.0))
    (tmp_path / "elsewhere" / "of somebody").mkdir(parents=True)
    (tmp_path / "report" / "notes.txt").write_text("mine")
    assert [run.run_id for run in runs(tmp_path)] == [RUN]
    assert runs(tmp_path / "nowhere") == []


def test_a_good_run_goes_at_once_if_it_is_kept_for_no_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the next cleaning; a failed one, and one that goes on, stay."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path))
    for state in ("success", "failed", "running"):
        ReportDirectory.of(FolderStore(tmp_path), dag_id="report", run_id=state, report="calls").new_list()

    def count(dag_id: str, *, run_ids: list[str], states: list[str]) -> int:
        assert dag_id == "report"
        return len({*run_ids} & {*states})

    context: Any = {"ti": SimpleNamespace(get_dr_count=count)}
    summary = CleanStagingOperator(task_id="clean", keep_days="0").execute(context)
    assert (summary["runs"], summary["removed"]) == (3, 1)
    assert {run.run_id for run in runs(tmp_path)} == {"failed", "running"}


@pytest.mark.parametrize(
    "touched", ["manifest.json", "journal/shard-0000/generation-0001/try-0001/part-00000.jsonl.zst"]
)
def test_a_run_is_as_young_as_its_youngest_file(tmp_path: Path, touched: str) -> None:
    """Whatever is written, a record in the depth of the journal or a list's manifest, the run has changed then."""
    made = new_list(tmp_path)
    (run,) = runs(tmp_path)
    assert run.changed() == OLD
    os.utime(path_of(made) / touched, (OLD + 500, OLD + 500))
    assert run.changed() == OLD + 500


def test_a_new_file_is_a_change(tmp_path: Path) -> None:
    """A try that has only begun counts, before it has written anything."""
    made = new_list(tmp_path)
    made.shard(0).generation(1).new_try()
    (run,) = runs(tmp_path)
    assert run.changed() > OLD


def test_a_removed_run_is_gone_and_its_neighbours_are_not(tmp_path: Path) -> None:
    """Its bytes are told; other runs of the DAG, and the history, stay."""
    made = new_list(tmp_path)
    History(made.history).add(GoodRun(as_of="2026", parameters=1, rows=1, null_share=0.0))
    new_list(tmp_path, run_id="another")
    (run,) = [run for run in runs(tmp_path) if run.run_id == RUN]
    assert run.remove() >= 1002
    assert not Path(str(run)).exists()
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [".history", "another"]


def test_a_removal_that_was_broken_off_is_finished_later(tmp_path: Path) -> None:
    """Half a directory is nobody's run, and the next sweep removes it."""
    new_list(tmp_path)
    (run,) = runs(tmp_path)
    path = Path(str(run))
    half = path.rename(path.with_name(".removed-0123456789abcdef"))
    assert runs(tmp_path) == []
    FolderStore(tmp_path).finish_removals(Leftovers())
    assert not half.exists()


def test_files_may_vanish_while_they_are_looked_at(tmp_path: Path) -> None:
    """A run that is alive renames its files: that is a change, and no error."""
    made = new_list(tmp_path)
    (run,) = runs(tmp_path)
    made.manifest.put_whole(b"{}")
    over = threading.Event()

    def rewrite() -> None:
        while not over.is_set():
            made.manifest.put_whole(b"{}")

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        assert min(run.changed() for _ in range(300)) > OLD
    finally:
        over.set()
        writer.join()


def clean(staging: Path) -> tuple[list[StagedRun], Leftovers]:
    """Remove all runs of a staging area; return those that are gone, and what was left."""
    gone, left = [], Leftovers()
    store = FolderStore(staging)
    store.finish_removals(left)
    for run in store.runs(left):
        with left.going_on():
            run.changed()
            run.remove()
            gone.append(run)
    return gone, left


def test_symbolic_links_are_never_followed(tmp_path: Path) -> None:
    """A linked DAG, a linked run and a linked rest of a removal lead elsewhere: all of it stays, and the links do."""
    staging, elsewhere = tmp_path / "staging", tmp_path / "elsewhere"
    target = path_of(new_list(elsewhere, run_id="precious")).parents[1]
    (elsewhere / "report" / ".removed-1").mkdir()
    new_list(staging)
    links = {
        staging / "linked_dag": elsewhere / "report",
        staging / "report" / "linked_run": target,
        staging / "report" / ".removed-2": target,
        staging / "report" / "dangling": tmp_path / "nowhere",
    }
    for link, to in links.items():
        link.symlink_to(to)
    gone, left = clean(staging)
    assert [run.run_id for run in gone] == [RUN]
    assert all(link.is_symlink() for link in links)
    assert (target / "calls" / "list-0001" / "manifest.json").exists()
    assert (elsewhere / "report" / ".removed-1").exists()
    assert {entry.address for entry in left} == {*map(str, links)}
    assert [entry for entry in left if entry.is_failure] == []


def test_a_link_inside_of_a_run_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    """Removing a run removes its links, never their targets."""
    made = new_list(tmp_path / "staging")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    (path_of(made) / "link").symlink_to(tmp_path / "mine")
    assert len(clean(tmp_path / "staging")[0]) == 1
    assert not path_of(made).exists()
    assert (tmp_path / "mine" / "file").read_text() == "mine"


def test_one_bad_entry_does_not_stop_the_rest() -> None:
    """What can't be read or removed, and what isn't ours, is told at the end; all other runs are removed."""
    with open_folder() as staging:
        for dag_id in ("a_closed_dag", "b_closed_run", "c_closed_list", "d_locked", "z_good"):
            new_list(staging, dag_id=dag_id)
        (staging / "README").write_text("not ours")
        (staging / "lost+found").mkdir()
        run = path_of(ReportDirectory.of(FolderStore(staging), dag_id="b_closed_run", run_id=RUN, report="calls"))
        for path in [staging, *staging.rglob("*")]:
            os.chown(path, 65534, 65534)
        for closed in (staging / "a_closed_dag", run.parent, staging / "lost+found"):
            closed.chmod(0)
        (staging / "c_closed_list" / run.parent.name / "calls" / "list-0001" / "journal").chmod(0)
        (staging / "d_locked").chmod(0o500)

        def cleaned() -> tuple[list[str | None], list[str], list[str]]:
            gone, left = clean(staging)
            failures = [entry.address for entry in left if entry.is_failure]
            return [run.dag_id for run in gone], failures, [str(entry) for entry in left if not entry.is_failure]

        gone, failures, strays = as_nobody(cleaned)
        assert gone == ["z_good"]
        assert [path.removeprefix(f"{staging}/").partition("/")[0] for path in failures] == [
            "a_closed_dag",
            "b_closed_run",
            "c_closed_list",
            "d_locked",
        ]
        assert strays == [f"{staging}/README: isn't a folder"]
