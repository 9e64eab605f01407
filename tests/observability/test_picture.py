"""What validate leaves in the state store for the page, whether the results are good."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from airflow_fanout import CustomCheck, MaxEmpty, ValidateOperator
from airflow_fanout.alerts.note import LONGEST, Counts, FailureNote, fitting
from airflow_fanout.model.outcome import Failure, Kind, Outcome, Record
from airflow_fanout.staging.journal import JournalWriter
from airflow_fanout.validation.checks.check import Check
from airflow_fanout.validation.checks.running import CheckContext, RunningCheck
from airflow_fanout.validation.judge import Demands, Judgement
from airflow_fanout.validation.picture import picture_of
from airflow_fanout.validation.rules import Rules
from airflow_fanout.validation.verdict import Finding, Tally
from tests.load.staged import staged


class Named(Check, frozen=True):
    """A check that is only a name."""

    name: str

    def __str__(self) -> str:
        return self.name

    def watch(self, case: CheckContext) -> RunningCheck:
        """Look at nothing."""
        raise NotImplementedError


def enough(results: object) -> str:
    """Find that there is too little."""
    return f"too few in {type(results).__name__}"


def judgement(count: int, text: str, checks: int) -> Judgement:
    """Return a judgement with as many causes, each with samples of a text."""
    tally = Tally(total=count, samples=5, shown=True)
    for index in range(count):
        failure = Failure(f"Type{index % 40}{text}", text, text)
        outcome = Outcome(Kind.ERROR, failure=failure)
        tally.add(Record.of(index, {"tel": text}, outcome, 1, 1.0))
    named = [Named(f"{number}{text}") for number in range(checks)]
    findings = [Finding(str(check), text) for check in named]
    return Judgement(tally, findings, Demands(Rules(), named, samples=5, shown=True), 1.0)


@pytest.mark.parametrize("text", ["plain", "x" * 3_000, "\N{PILE OF POO}" * 3_000])
def test_it_fits_into_the_state_store(text: str) -> None:
    """64 KB, whatever the samples, the checks and their signs."""
    assert len(json.dumps(picture_of(judgement(400, text, 40)))) < 64_000


@pytest.mark.parametrize("text", ["plain", "x" * 10_000, "\N{PILE OF POO}" * 10_000])
def test_a_failed_tasks_note_fits_too(text: str) -> None:
    """Whatever its message and causes, 64 KB; the counts stay right."""
    tally = judgement(400, text, 1).tally
    counts = Counts(total=400, causes={str(cause): count for cause, count in tally.causes.items()})
    note = fitting(FailureNote(task_id="validate", map_index=-1, error="E", message=text[:LONGEST], counts=counts))
    assert len(json.dumps(msgspec.to_builtins(note))) < 64_000
    assert note.counts is not None
    assert note.counts.missing == 400
    assert all(cause.startswith("error") for cause in note.counts.causes)


def test_it_has_no_secrets() -> None:
    """Neither in a sample nor in what a check has found."""
    picture = picture_of(judgement(3, "Authorization: Bearer abcdef123456", 1))
    assert "abcdef123456" not in json.dumps(picture)
    assert len(picture["causes"]) == 3


def test_a_failed_validate_leaves_its_verdict(tmp_path: Path) -> None:
    """The causes with their counts and masked samples, and each check with what it has found."""
    store: dict[str, Any] = {}
    state = SimpleNamespace(set=store.__setitem__)
    run = staged(tmp_path)
    attempt = run.directory.shard(0).generation(1).newest_try()
    assert attempt is not None
    journal = JournalWriter(attempt, iter([7]), list_id=run.manifest.id)
    journal.append(Record.of(5, {"tel": "+12025550105"}, Outcome(Kind.HTTP_ERROR, status=503), 5, 1.0))
    journal.close()
    run.directory.shard(0).generation(1).mark_complete({})
    operator = ValidateOperator(
        task_id="validate",
        parameters=run.reference,
        checks=[MaxEmpty(0.5), CustomCheck(enough)],
    )
    with pytest.raises(Exception, match="1 of 60 parameters"):
        operator.execute({"task_state_store": state})  # type: ignore[typeddict-item] # what is used
    left = store["progress"]
    assert (left["parameters"], left["ok"], left["shown"], left["accepted"]) == (60, 59, False, ["ok"])
    [cause] = left["causes"]
    assert (cause["cause"], cause["count"]) == ("http_error 503", 1)
    assert "+12025550105" not in json.dumps(left)
    assert [check["problem"] is None for check in left["checks_run"]] == [True, False]
