"""A person's parameter is erased from all that is staged; the runs can be continued without it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout.adapters.errors import StagingErasing
from airflow_fanout.staging.erasure import Erased, erase, wanted
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.left_out import left_out_by
from tests.load.reports import ReportRun, Reports, Service
from tests.load.test_keep_nothing import staged_text

if TYPE_CHECKING:
    from pymongo.collection import Collection

IDS = [f"subscriber-{number}" for number in range(6)]
PERSON, OTHERS = IDS[2], [*IDS[:2], *IDS[3:]]
Make = Callable[..., Reports]


@pytest.fixture
def reports(staging: Path, collection: Collection[dict[str, Any]]) -> Make:
    """Return what makes a report."""
    assert staging
    return lambda **parts: Reports(collection.name, [*IDS], {"validate": {"allow_partial": False}, **parts})


def erased(staging: Path, *parameters: Any, alive: Callable[[str, str], bool] = lambda *_: False) -> Erased:
    """Erase parameters, by default the person's."""
    return erase(FolderStore(staging), wanted(parameters or [{"id": PERSON}]), alive)


def holders(staging: Path) -> set[str]:
    """Return which ids stand somewhere in the staging area."""
    text = staged_text(staging)
    return {each for each in IDS if each in text}


def files(staging: Path) -> Mapping[str, bytes]:
    """Return what each file holds."""
    return {str(file.relative_to(staging)): file.read_bytes() for file in staging.rglob("*") if file.is_file()}


def stored(collection: Collection[dict[str, Any]]) -> list[str]:
    """Return the ids of the documents."""
    return sorted(document["id"] for document in collection.find())


def begun(run: ReportRun, *steps: str) -> ReportRun:
    """Execute some tasks of a run."""
    for step in steps:
        getattr(run, step)()
    return run


def test_a_failed_fetch_goes_on_without_it(
    reports: Make, service: Service, staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """What has a good outcome isn't requested again, what is missing is, and the person's data is nowhere."""
    service.statuses.update({IDS[0]: 500, PERSON: 500})
    run = begun(reports().run(0), "extract", "fetch")
    assert holders(staging) == {*IDS}
    assert (erased(staging).lists, holders(staging)) == (1, {*OTHERS})
    service.statuses.clear()
    service.taken()
    run.fetch()
    assert [item for item, _ in service.taken()] == [IDS[0]]
    assert (run.validate()["parameters"], run.load()["documents"]) == (5, 5)
    assert stored(collection) == OTHERS


def test_what_was_judged_is_loaded_without_it(
    reports: Make, staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """Digests, sizes and counts are those of what is there: load takes it, and still finds what somebody changes."""
    run = begun(reports().run(0), "extract", "fetch", "validate")
    assert erased(staging).parameters == 1
    assert run.load()["documents"] == 5
    assert stored(collection) == OTHERS
    [part] = staging.rglob("part-*.zst")
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(AirflowFailException, match="validate has judged"):
        run.load()


def test_a_loaded_run_can_be_fetched_again_without_it(reports: Make, service: Service, staging: Path) -> None:
    """Clearing a good fetch requests everything again, but that."""
    run = begun(reports().run(0), "extract", "fetch", "validate", "load")
    erased(staging)
    service.taken()
    begun(run, "fetch", "validate")
    assert [item for item, _ in service.taken()] == OTHERS
    assert run.load()["documents"] == 5


def test_no_later_run_asks_for_it_again(
    reports: Make, service: Service, staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """Neither a run that begins afterwards, nor one that has made its list of it and failed."""
    report = reports(validate={"allow_partial": True})
    service.statuses.update({PERSON: 500, IDS[5]: 500})
    begun(report.run(0), "extract", "fetch", "validate", "load")
    failed = begun(report.run(1), "extract")
    # In what was left out, in both runs' own lists, and in that of the second run for what the first one left out.
    assert erased(staging).parameters == 4
    assert PERSON not in staged_text(staging)
    assert left_out_by(FolderStore(staging), "invoices", "day 0")["report"].count == 1
    service.statuses.clear()
    service.taken()
    report.ids = OTHERS
    for run in (failed, begun(report.run(2), "extract")):
        begun(run, "fetch", "validate", "load")
    assert PERSON not in {item for item, _ in service.taken()}
    assert PERSON not in stored(collection)
    assert len(stored(collection)) == 3 * 5


def test_the_last_parameter_that_was_left_out_takes_its_file_with_it(
    reports: Make, service: Service, staging: Path
) -> None:
    """The next run has nothing to ask for, and the run itself is complete."""
    report = reports(validate={"allow_partial": True})
    service.statuses.update({PERSON: 500})
    begun(report.run(0), "extract", "fetch", "validate", "load")
    erased(staging)
    assert left_out_by(FolderStore(staging), "invoices", "day 0") == {}
    assert report.run(1).extract()["catch_up"] == 0


def test_a_run_of_that_parameter_alone_ends_well(
    reports: Make, service: Service, staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """There is nothing left to request, and nothing is missing."""
    report = reports()
    report.ids = [PERSON]
    service.statuses.update({PERSON: 500})
    run = begun(report.run(0), "extract", "fetch")
    erased(staging)
    service.taken()
    begun(run, "fetch", "validate")
    assert (run.load()["documents"], service.taken(), stored(collection)) == (0, [], [])


def test_a_run_that_goes_on_is_left_alone(reports: Make, staging: Path) -> None:
    """It is named, all others are done; once it is over, the same call does the rest."""
    report = reports()
    begun(report.run(0), "extract", "fetch")
    begun(report.run(1), "extract")
    before = files(staging)
    result = erased(staging, alive=lambda _, run_id: run_id == "day 0")
    assert (result.alive, result.lists) == (["invoices, day 0"], 1)
    after = files(staging)
    assert {name for name in before if before[name] != after[name]} == {
        "invoices/day 1/report/list-0001/manifest.json",
        "invoices/day 1/report/list-0001/parameters.jsonl.zst",
    }
    assert erased(staging).alive == []
    assert PERSON not in staged_text(staging)


def test_a_run_that_goes_on_without_it_is_none_to_wait_for(reports: Make, staging: Path) -> None:
    """Its list is whole and doesn't have it."""
    report = reports()
    report.ids = OTHERS
    begun(report.run(0), "extract")
    assert erased(staging, alive=lambda *_: True) == Erased()


def test_a_run_that_is_cleared_meanwhile_wins(reports: Make, staging: Path) -> None:
    """It is asked for once more after the marker that keeps its tasks out; nothing is changed then."""
    begun(reports().run(0), "extract", "fetch")
    before, answers = files(staging), iter([False, True])
    result = erased(staging, alive=lambda *_: next(answers))
    assert (result.alive, result.lists) == (["invoices, day 0"], 0)
    assert files(staging) == before


class Dies(FolderStore, frozen=True):
    """A store whose process dies before the change after so many."""

    changes: list[None] = []  # noqa: RUF012 - a field of msgspec's, which copies it
    most: int = 0

    def put_whole(self, key: str, content: bytes) -> None:
        self._change()
        super().put_whole(key, content)

    def delete(self, key: str) -> None:
        self._change()
        super().delete(key)

    def _change(self) -> None:
        if len(self.changes) == self.most:
            raise KeyboardInterrupt
        self.changes.append(None)


def test_wherever_it_is_interrupted_it_goes_on(
    reports: Make, service: Service, staging: Path, tmp_path: Path, collection: Collection[dict[str, Any]]
) -> None:
    """Until it is done, the run's tasks take nothing half; done again, all is as if it had not been interrupted."""
    service.statuses.update({IDS[0]: 500, PERSON: 500})
    report = reports(validate={"allow_partial": True})
    run = begun(report.run(0), "extract", "fetch")
    service.statuses.clear()
    begun(run, "fetch", "validate")
    original, whole = tmp_path / "original", tmp_path / "whole"
    shutil.copytree(staging, original)
    shutil.copytree(staging, whole)
    erased(whole)
    interrupted = 0
    while True:
        shutil.rmtree(staging)
        shutil.copytree(original, staging)
        try:
            erase(Dies(staging, most=interrupted), wanted([{"id": PERSON}]), lambda *_: False)
            break
        except KeyboardInterrupt:
            interrupted += 1
        if (staging / "invoices/day 0/report/list-0001/erasing.json").exists():
            with pytest.raises(StagingErasing, match="run it again"):
                run.load()
        assert erased(staging).failures == []
        assert files(staging) == files(whole)
    assert interrupted >= 6
    assert run.load()["documents"] == 5


CHILD = """
import os, signal, sys
from pathlib import Path
from airflow_fanout.staging import folder, erasure
left = int(sys.argv[2])
write = folder.files.write_whole
def dying(path, content):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, content)
folder.files.write_whole = dying
erasure.erase(folder.FolderStore(Path(sys.argv[1])), erasure.wanted([{"id": sys.argv[3]}]), lambda *_: False)
"""


def test_a_killed_process_leaves_nothing_half(
    reports: Make, staging: Path, collection: Collection[dict[str, Any]]
) -> None:
    """By SIGKILL, after the journal and before the list is written."""
    run = begun(reports().run(0), "extract", "fetch", "validate")
    child = subprocess.run([sys.executable, "-c", CHILD, str(staging), "3", PERSON], check=False)
    assert child.returncode == -signal.SIGKILL
    with pytest.raises(StagingErasing):
        run.load()
    erased(staging)
    assert PERSON not in staged_text(staging)
    assert run.load()["documents"] == 5


def test_damaged_files_and_lists_that_were_never_whole_go(reports: Make, service: Service, staging: Path) -> None:
    """Nobody can read or use them, and nobody knows what they hold."""
    run = begun(reports().run(0), "extract", "fetch")
    [part] = staging.rglob("part-*.zst")
    part.with_name(f"{part.name}.damaged").write_bytes(b"torn")
    part.with_name(f".{part.name}.0123abcd").write_bytes(b"half")
    part.write_bytes(part.read_bytes()[:-3] + b"???")
    unfinished = staging / "invoices/day 0/report/list-0002"
    unfinished.mkdir()
    shutil.copy(staging / "invoices/day 0/report/list-0001/parameters.jsonl.zst", unfinished)
    assert erased(staging).failures == []
    assert [*part.parent.iterdir()] == []
    assert [*unfinished.iterdir()] == []
    service.taken()
    with pytest.raises(AirflowFailException, match="5 of 5 parameters have no valid result"):
        run.validate()
    begun(run, "fetch", "validate")
    assert [item for item, _ in service.taken()] == OTHERS


def test_what_cant_be_read_is_named_and_the_rest_is_done(reports: Make, staging: Path) -> None:
    """A damaged list may hold it: the message has its place."""
    report = reports()
    begun(report.run(0), "extract")
    begun(report.run(1), "extract")
    [damaged] = staging.glob("invoices/day 0/report/list-0001/parameters.jsonl.zst")
    damaged.write_bytes(damaged.read_bytes()[:-3] + b"???")
    result = erased(staging)
    assert result.lists == 1
    assert [str(damaged) in failure for failure in result.failures] == [True]


@pytest.mark.parametrize(
    ("parameter", "wanted_by", "is_wanted"),
    [
        ("+12025550123", "+12025550123", True),
        ("+12025550123", 12025550123, False),
        (7, "7", False),
        ({"tel": "+12025550123", "day": "2026-11-20"}, {"tel": "+12025550123"}, True),
        ({"tel": "+12025550124", "day": "2026-11-20"}, {"tel": "+12025550123"}, False),
        ({"tel": "+12025550123"}, {"tel": "+12025550123", "day": "2026-11-20"}, False),
        (["a", 1], ["a", 1], True),
        (["a", 1], ["a"], False),
        ({"tel": "+12025550123"}, "+12025550123", False),
    ],
)
def test_a_parameter_is_wanted_as_the_source_gives_it(parameter: Any, wanted_by: Any, is_wanted: bool) -> None:
    """An object stands for all that have its fields with its values; types count."""
    assert wanted([wanted_by])(parameter) is is_wanted
