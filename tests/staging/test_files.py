"""Files and folders of the staging area: who may read them, and what is taken for one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_fanout.adapters.border import airflow_errors, staging_mode
from airflow_fanout.errors import BadSetting
from airflow_fanout.staging.directory import ReportDirectory
from airflow_fanout.staging.errors import StagingChanged, StagingDenied
from airflow_fanout.staging.files import PRIVATE, is_there, listed, mode_of, open_file
from airflow_fanout.staging.folder import FolderStore, list_at
from airflow_fanout.staging.history import GoodRun, History
from airflow_fanout.staging.journal import JournalWriter
from airflow_fanout.staging.live import ProgressSnapshot, live
from airflow_fanout.staging.open_failures import OpenFailure, OpenFailures
from airflow_fanout.staging.sealed import write_sealed
from tests.load.staged import AS_OF, staged
from tests.staging.nobody import as_nobody, closed, open_folder
from tests.staging.places import path_of, place, try_at


@pytest.fixture(params=[0o022, 0o000, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """The process's umask, from the usual one to the strangest."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def written(staging: Path, mode: int) -> None:
    """Write one file of each kind that a run has."""
    store = FolderStore(staging, mode)
    made = ReportDirectory.of(store, dag_id="report", run_id="monday", report="calls").new_list()
    write_sealed(made.manifest, {"count": 0})
    generation = made.shard(0).generation(1)
    journal = JournalWriter(generation.new_try())
    journal.write(b"{}\n")
    journal.close()
    generation.mark_complete({})
    ProgressSnapshot(at=AS_OF, total=1, done=1, ok=1, rate_per_s=1.0).write(made.shard(0).progress)
    write_sealed(made.validated, {})
    History(made.history).add(GoodRun(as_of="2026", parameters=1, rows=1, null_share=0.0))
    failures = OpenFailures.of(store, "report")
    failures.add(OpenFailure(run_id="monday", as_of=AS_OF, made_by="manual", since=datetime.now(UTC)))


@pytest.mark.parametrize("mode", [0o700, 0o770, 0o750])
def test_only_those_may_read_who_should_whatever_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    """Folders have the mode that is set, by default 0700, and files the same without the right to enter."""
    staging = tmp_path / "new" / "staging"
    written(staging, mode)
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in [staging, *staging.rglob("*")]}
    assert len(found) >= 16
    assert {found[path] for path in found if path.is_dir()} == {mode}
    assert {found[path] for path in found if path.is_file()} == {mode & 0o666}


def test_what_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """A staging area of an earlier version goes on working: its folders stay as they are, new ones are private."""
    (tmp_path / "report" / ".history").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "report", tmp_path / "report" / ".history"):
        folder.chmod(0o755)
    written(tmp_path, 0o700)
    assert mode_of(tmp_path) == mode_of(tmp_path / "report") == mode_of(tmp_path / "report" / ".history") == 0o755
    assert mode_of(tmp_path / "report" / "monday") == 0o700


def test_the_group_of_the_staging_area_is_handed_on(tmp_path: Path) -> None:
    """In a folder that hands its group on, all that is made belongs to that group and hands it on, too."""
    if os.geteuid():
        pytest.skip("only root may give a folder to another group")
    os.chown(tmp_path, -1, 65534)
    tmp_path.chmod(0o2770)
    written(tmp_path, 0o770)
    found = [path.stat() for path in tmp_path.rglob("*")]
    assert {one.st_gid for one in found} == {65534}
    assert {stat.S_IMODE(one.st_mode) for one in found} == {0o2770, 0o660}


@pytest.mark.parametrize(
    ("text", "mode"), [(None, 0o700), ("", 0o700), ("0770", 0o770), ("770", 0o770), ("2750", 0o750), ("02770", 0o770)]
)
def test_the_mode_is_a_setting(monkeypatch: pytest.MonkeyPatch, text: str | None, mode: int) -> None:
    """As octal digits; the bit that hands the group on comes from the folder, whatever is written here."""
    if text is not None:
        monkeypatch.setenv("AIRFLOW__FANOUT__STAGING_MODE", text)
    assert staging_mode() == mode


@pytest.mark.parametrize("text", ["0600", "rwx", "0o770", "7777", "888", "-700", "0570", "1777", "70"])
def test_a_mode_that_shuts_the_tasks_out_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """So is what is no mode; the message names the setting."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING_MODE", text)
    with pytest.raises(BadSetting, match="staging_mode") as caught:
        staging_mode()
    assert caught.value.value == text


def test_not_there_is_empty_and_not_readable_is_an_error() -> None:
    """For each place that is looked at: a run's tasks, histories, failures and the progress of a late run."""
    with open_folder() as staging:
        run = staged(staging)
        history, failures = History(run.directory.history), OpenFailures.of(FolderStore(staging, PRIVATE), "report")
        history.add(GoodRun(as_of="2026", parameters=1, rows=1, null_share=0.0))
        failures.add(OpenFailure(run_id="monday", as_of=AS_OF, made_by="manual", since=AS_OF))
        for path in [staging, *staging.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        shard = run.directory.shard(0)
        part = run.parts[0]
        looks = {
            path_of(run.directory.journal): shard.current,
            path_of(shard): shard.newest,
            path_of(shard.generation(1)): lambda: shard.generation(1).is_complete,
            part.parent: shard.generation(1).parts,
            part: lambda: place(part).content(),
            path_of(history.location): lambda: history.before("2027"),
            path_of(failures): lambda: list(failures.failures()),
            path_of(run.directory).parents[1]: lambda: live(FolderStore(staging), "report", "monday"),
            path_of(run.directory).parent: lambda: live(FolderStore(staging), "report", "monday"),
        }
        for path, look in looks.items():
            with closed(path):
                error = as_nobody(look)
            assert isinstance(error, PermissionError), (path, error)
            assert str(error.filename).startswith(str(path))
    # The folder is gone now.
    assert (shard.current(), shard.newest(), shard.generation(1).is_complete) == (0, 0, False)
    assert shard.generation(1).parts() == history.before("2027") == list(failures.failures()) == []
    assert live(FolderStore(staging), "report", "monday") == []


def test_the_error_says_who_may_not_and_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what to do: one user for all, or a group."""
    with open_folder() as staging:
        monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(staging))
        (staging / "report").mkdir(mode=0o700)

        def look() -> str:
            try:
                with airflow_errors():
                    listed(staging / "report" / "monday")
            except Exception as error:  # noqa: BLE001 - Airflow's, made of ours
                return str(error)
            return ""

        said = as_nobody(look)
        assert said.startswith(f"{staging}/report/monday can't be read or written by the user of this task")
        assert f"{staging}/report belongs to uid {os.geteuid()}, mode 0700." in said
        assert "[fanout] staging_mode" in said
    assert StagingDenied.retry is False


def test_only_exact_names_are_ours(tmp_path: Path) -> None:
    """Copies, backups, other spellings and other files are nobody's; numbers are ordered as numbers."""
    for name in ("try-0001", "try-0002", "try-9999", "try-10000"):
        (tmp_path / name).mkdir()
    for name in (
        "try-0001~",
        "try-0001 (copy)",
        "try-00003",
        "try-4",
        "try-\u0660\u0660\u0660\u0665",
        ".try-0006.swp",
        "try-",
        "retry-0001",
    ):
        (tmp_path / name).mkdir()
    assert place(tmp_path).numbers("try") == [1, 2, 9999, 10000]
    folder = tmp_path / "try-0001"
    ours = ["part-00000.jsonl.zst", "part-99999.jsonl.zst", "part-100000.jsonl.zst"]
    others = ["part-00000 (copy).jsonl.zst", "part-00001.jsonl.zst~", ".nfs01", "part-00002.jsonl.zst.damaged"]
    for name in (*ours, *others):
        (folder / name).touch()
    assert [path_of(part).name for part in try_at(folder).parts()] == ours


def test_the_newest_try_is_the_one_with_the_highest_number(tmp_path: Path) -> None:
    """Also the ten-thousandth, which comes before the others in the alphabet."""
    generation = list_at(str(tmp_path)).shard(0).generation(1)
    for number in (9_998, 9_999):
        path_of(generation.attempt(number)).mkdir(parents=True)
    assert path_of(generation.new_try()).name == "try-10000"
    assert generation.newest_try() == generation.attempt(10_000)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to a folder"])
def test_what_isnt_a_file_is_never_read_as_one(tmp_path: Path, kind: str) -> None:
    """A folder or a pipe in a file's place is an error that names it, at once."""
    path = tmp_path / "complete.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path)
    for look in (open_file, is_there, lambda path: place(path).content()):
        with pytest.raises(StagingChanged, match=f"{path} isn't a file"):
            look(path)
