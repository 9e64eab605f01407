"""What to erase is in an Airflow Variable, and nowhere else: not in arguments, the run's conf, the log or a message."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout import EraseOperator
from airflow_fanout.adapters.errors import NotErased
from airflow_fanout.errors import BadSetting
from tests.load.reports import Reports
from tests.load.test_keep_nothing import staged_text

PERSON = "+12025550177"


def execute(alive: int = 0, **arguments: Any) -> dict[str, Any]:
    """Execute the task; Airflow knows as many runs that go on as it is asked for."""
    operator = EraseOperator(task_id="erase", **arguments)
    ti = SimpleNamespace(get_dr_count=lambda *_, **__: alive)
    return operator.execute({"ti": ti})  # type: ignore[typeddict-item]


@pytest.fixture
def staged(staging: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a staging area with a list that holds the person's parameter, which the Variable names."""
    Reports("calls", [PERSON, "+12025550124"], {}).run(0).extract()
    monkeypatch.setenv("AIRFLOW_VAR_FANOUT_ERASE_SECRET", f'[{{"id": "{PERSON}"}}]')
    return staging


def test_a_dry_run_counts_and_changes_nothing(staged: Path) -> None:
    """It says how many there are."""
    assert execute(dry_run="True") == {"lists": 1, "parameters": 1, "files": 0, "runs_left": 0}
    assert PERSON in staged_text(staged)


def test_a_run_that_goes_on_is_waited_for(staged: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The task fails in a way that Airflow tries again, and names the run, and no parameter."""
    with pytest.raises(NotErased, match="invoices, day 0: this run still goes on") as caught:
        execute(alive=1)
    assert caught.value.retry
    assert PERSON in staged_text(staged)
    assert not [text for text in (str(caught.value), caplog.text) if PERSON[2:] in text]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "not there"),
        ("", "empty"),
        ("[]", "empty"),
        (PERSON[1:], "JSON list"),
        (PERSON, "isn't JSON"),
        (f'{{"id": "{PERSON}"}}', "JSON list"),
        (f'["{PERSON}", null]', "item 1"),
        (f'["{PERSON}", {{}}]', "item 1"),
    ],
)
def test_a_variable_that_holds_something_else_is_refused(
    staging: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, problem: str
) -> None:
    """Before anything is erased; the message shows how it is written, and not what it holds."""
    if text is not None:
        monkeypatch.setenv("AIRFLOW_VAR_FANOUT_ERASE_SECRET", text)
    with pytest.raises(AirflowFailException, match="the Airflow Variable 'fanout_erase_secret'") as caught:
        execute()
    assert problem in str(caught.value)
    assert PERSON[1:] not in str(caught.value)


@pytest.mark.parametrize("variable", ["", 7, None])
def test_a_variable_without_a_name_is_an_import_error(variable: Any) -> None:
    """The message names the argument."""
    with pytest.raises(BadSetting, match="variable"):
        EraseOperator(task_id="erase", variable=variable)
