"""What no try of a fetch can do: the task hears the cause's own sentence, and isn't tried again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout.adapters.border import airflow_errors
from airflow_fanout.api.request import Request
from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.engines import Engines
from tests.engine.harness import NOWHERE, frozen, job, settings

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_fanout.launch.job import Job


def final_word(todo: Job) -> str:
    """Return what the task of a fetch fails with for good."""
    with Engines(todo) as fleet:
        *_, last = fleet.listen()
        with pytest.raises(AirflowFailException) as caught, airflow_errors():
            progress_at_end(last, fleet)
    return str(caught.value)


def test_an_agent_that_loads_tls_too_early_ends_the_task_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try would meet the same agent."""
    (tmp_path / "sitecustomize.py").write_text("import ssl, urllib3, requests\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((f"{tmp_path}", os.environ.get("PYTHONPATH", ""))))
    said = final_word(job(frozen(tmp_path / "run", range(3)), Request(endpoint="/{0}"), NOWHERE))
    assert said.startswith("The engine can't make requests over TLS: ")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_proxy_of_the_environment_that_cannot_be_used_ends_the_task_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """However many engines meet it, and without its credentials."""
    monkeypatch.setenv("all_proxy", "quic://ada:s3cret@proxy:1")
    monkeypatch.setenv("no_proxy", "")
    how = settings(processes=processes)
    said = final_word(job(frozen(tmp_path, range(3)), Request(endpoint="/{0}"), NOWHERE, how))
    assert said.startswith("The connection's proxy (quic://…) can't be used: ")
    assert "s3cret" not in said


def test_a_field_that_the_list_lacks_ends_the_task_for_good(tmp_path: Path) -> None:
    """An author's mistake that only the engine sees is as wrong in the next try."""
    said = final_word(job(frozen(tmp_path, ["a"], ("tel",)), Request(endpoint="/calls/{tle}"), NOWHERE))
    assert said.startswith("endpoint uses {tle}, but ")
