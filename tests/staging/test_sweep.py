from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.staging.directory import ListDirectory, ReportDirectory, file_name, text_of
from airflow_fanout.staging.files import write_whole
from airflow_fanout.staging.history import GoodRun, History
from airflow_fanout.staging.sweep import RunDirectory, Sweep
from tests.staging.nobody import as_nobody, open_folder

RUN = "manual__2026-11-22T06:15:07+00:00"
OLD = 1_000_000.0


def new_list(staging: Path, *, dag_id: str = "report", run_id: str = RUN) -> ListDirectory:
    """Make the directory of a list with one file in its journal, all of it old."""
    made = ReportDirectory.of(staging, dag_id=dag_id, run_id=run_id, report="calls").new_list()
    part = made.shard(0).generation(1).new_try() / "part-00000.jsonl.zst"
    part.write_bytes(b"x" * 1000)
    made.manifest.write_bytes(b"{}")
    for path in [*staging.rglob("*")]:
        os.utime(path, (OLD, OLD))
    return made


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
    assert sorted((run.dag_id, run.run_id) for run in Sweep(tmp_path).runs()) == sorted(ids)


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    """Histories, files, and folders that extract hasn't made are nobody's to remove."""
    History(new_list(tmp_path).history).add(GoodRun(as_of="2026", parameters=1, rows=1, null_share=0.0))
    (tmp_path / "elsewhere" / "of somebody").mkdir(parents=True)
    (tmp_path / "report" / "notes.txt").write_text("mine")
    assert [run.run_id for run in Sweep(tmp_path).runs()] == [RUN]
    assert list(Sweep(tmp_path / "nowhere").runs()) == []


@pytest.mark.parametrize(
    "touched", ["manifest.json", "journal/shard-0000/generation-0001/try-0001/part-00000.jsonl.zst"]
)
def test_a_run_is_as_young_as_its_youngest_file(tmp_path: Path, touched: str) -> None:
    """Whatever is written, a record in the depth of the journal or a list's manifest, the run has changed then."""
    made = new_list(tmp_path)
    (run,) = Sweep(tmp_path).runs()
    assert run.changed() == OLD
    os.utime(made.path / touched, (OLD + 500, OLD + 500))
    assert run.changed() == OLD + 500


def test_a_new_file_is_a_change(tmp_path: Path) -> None:
    """A try that has only begun counts, before it has written anything."""
    made = new_list(tmp_path)
    made.shard(0).generation(1).new_try()
    (run,) = Sweep(tmp_path).runs()
    assert run.changed() > OLD


def test_a_removed_run_is_gone_and_its_neighbours_are_not(tmp_path: Path) -> None:
    """Its bytes are told; other runs of the DAG, and the history, stay."""
    made = new_list(tmp_path)
    History(made.history).add(GoodRun(as_of="2026", parameters=1, rows=1, null_share=0.0))
    new_list(tmp_path, run_id="another")
    (run,) = [run for run in Sweep(tmp_path).runs() if run.run_id == RUN]
    assert run.remove() >= 1002
    assert not run.path.exists()
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [".history", "another"]


def test_a_removal_that_was_broken_off_is_finished_later(tmp_path: Path) -> None:
    """Half a directory is nobody's run, and the next sweep removes it."""
    new_list(tmp_path)
    (run,) = Sweep(tmp_path).runs()
    half = run.path.rename(run.path.with_name(".removed-0123456789abcdef"))
    assert list(Sweep(tmp_path).runs()) == []
    Sweep(tmp_path).finish_removals()
    assert not half.exists()


def test_files_may_vanish_while_they_are_looked_at(tmp_path: Path) -> None:
    """A run that is alive renames its files: that is a change, and no error."""
    made = new_list(tmp_path)
    (run,) = Sweep(tmp_path).runs()
    write_whole(made.manifest, b"{}")
    over = threading.Event()

    def rewrite() -> None:
        while not over.is_set():
            write_whole(made.manifest, b"{}")

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        assert min(run.changed() for _ in range(300)) > OLD
    finally:
        over.set()
        writer.join()


def clean(sweep: Sweep) -> list[RunDirectory]:
    """Remove all runs of a staging area; return those that are gone."""
    gone = []
    sweep.finish_removals()
    for run in sweep.runs():
        with sweep.going_on():
            run.changed()
            run.remove()
            gone.append(run)
    return gone


def test_symbolic_links_are_never_followed(tmp_path: Path) -> None:
    """A linked DAG, a linked run and a linked rest of a removal lead elsewhere: all of it stays, and the links do."""
    staging, elsewhere = tmp_path / "staging", tmp_path / "elsewhere"
    target = new_list(elsewhere, run_id="precious").path.parents[1]
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
    sweep = Sweep(staging)
    assert [run.run_id for run in clean(sweep)] == [RUN]
    assert all(link.is_symlink() for link in links)
    assert (target / "calls" / "list-0001" / "manifest.json").exists()
    assert (elsewhere / "report" / ".removed-1").exists()
    assert {entry.path for entry in sweep.left} == set(links)
    assert [entry for entry in sweep.left if entry.is_failure] == []


def test_a_link_inside_of_a_run_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    """Removing a run removes its links, never their targets."""
    made = new_list(tmp_path / "staging")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    (made.path / "link").symlink_to(tmp_path / "mine")
    assert len(clean(Sweep(tmp_path / "staging"))) == 1
    assert not made.path.exists()
    assert (tmp_path / "mine" / "file").read_text() == "mine"


def test_one_bad_entry_does_not_stop_the_rest() -> None:
    """What can't be read or removed, and what isn't ours, is told at the end; all other runs are removed."""
    with open_folder() as staging:
        for dag_id in ("a_closed_dag", "b_closed_run", "c_closed_list", "d_locked", "z_good"):
            new_list(staging, dag_id=dag_id)
        (staging / "README").write_text("not ours")
        (staging / "lost+found").mkdir()
        run = ReportDirectory.of(staging, dag_id="b_closed_run", run_id=RUN, report="calls").path
        for path in [staging, *staging.rglob("*")]:
            os.chown(path, 65534, 65534)
        for closed in (staging / "a_closed_dag", run.parent, staging / "lost+found"):
            closed.chmod(0)
        (staging / "c_closed_list" / run.parent.name / "calls" / "list-0001" / "journal").chmod(0)
        (staging / "d_locked").chmod(0o500)

        def cleaned() -> tuple[list[str | None], list[str], list[str]]:
            sweep = Sweep(staging)
            gone = [run.dag_id for run in clean(sweep)]
            failures = [str(entry.path) for entry in sweep.left if entry.is_failure]
            return gone, failures, [str(entry) for entry in sweep.left if not entry.is_failure]

        gone, failures, strays = as_nobody(cleaned)
        assert gone == ["z_good"]
        assert [path.removeprefix(f"{staging}/").partition("/")[0] for path in failures] == [
            "a_closed_dag",
            "b_closed_run",
            "c_closed_list",
            "d_locked",
        ]
        assert strays == [f"{staging}/README: isn't a folder"]
