"""Each team of an Airflow may have its own staging area."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_fanout.adapters.border import staging_area, staging_mode
from airflow_fanout.adapters.team import alerts_problem
from airflow_fanout.errors import BadSetting
from airflow_fanout.notifications.alerts import Alerts


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make this process one of a task of the team "research"; the settings are set by the test."""
    monkeypatch.setenv("AIRFLOW_CTX_TEAM_NAME", "research")
    return monkeypatch


def test_the_teams_name_is_in_the_path(running: pytest.MonkeyPatch) -> None:
    """One setting is enough for all teams, and a task has that of its own."""
    running.setenv("AIRFLOW__FANOUT__STAGING", "/data/fanout/{team}")
    assert staging_area() == Path("/data/fanout/research")
    assert staging_area("billing") == Path("/data/fanout/billing")


def test_a_teams_own_setting_counts_before_that_of_all(running: pytest.MonkeyPatch) -> None:
    """Where Airflow has the settings of a team, each one by itself."""
    running.setenv("AIRFLOW__FANOUT__STAGING", "/data/fanout")
    running.setenv("AIRFLOW__RESEARCH___FANOUT__STAGING", "/data/research")
    running.setenv("AIRFLOW__FANOUT__STAGING_MODE", "0700")
    running.setenv("AIRFLOW__BILLING___FANOUT__STAGING_MODE", "0770")
    assert staging_area() == Path("/data/research")
    assert staging_area("billing") == Path("/data/fanout")
    assert staging_mode() == 0o700
    assert staging_mode("billing") == 0o770


def test_a_dag_without_a_team_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is staged in a folder that is called {team}."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", "/data/fanout/{team}")
    with pytest.raises(BadSetting, match=r"belongs to no team.*Alerts") as caught:
        staging_area()
    assert (caught.value.field, caught.value.value) == ("[fanout] staging", "/data/fanout/{team}")


@pytest.mark.parametrize("staging", ["/data/fanout/{team}", "/data/fanout"])
def test_alerts_that_look_elsewhere_are_found(running: pytest.MonkeyPatch, staging: str) -> None:
    """Those for no team or for another one, but only where the teams have areas of their own."""
    running.setenv("AIRFLOW__FANOUT__STAGING", staging)
    differ = "{team}" in staging
    assert alerts_problem("research") is None
    for other in (None, "billing"):
        problem = alerts_problem(other)
        assert (problem is not None) == differ
        assert problem is None or "team='research'" in problem


@pytest.mark.parametrize("team", ["", 7, ["research"]])
def test_a_team_that_is_no_name_is_an_import_error(team: object) -> None:
    """The message names the argument."""
    with pytest.raises(BadSetting, match=r"Alerts\(team\)"):
        Alerts(team=team)  # type: ignore[arg-type]
