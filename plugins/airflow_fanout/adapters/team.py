"""The settings of a team: in Airflow's multi-team mode, each may have a staging area of its own."""

from __future__ import annotations

import os

from airflow.sdk.configuration import conf

from airflow_fanout.errors import BadSetting

PLACE = "{team}"
# Airflow sets it in each task of a DAG whose bundle belongs to a team.
_RUNNING = "AIRFLOW_CTX_TEAM_NAME"
_WITHOUT = (
    "an address without {team}, because this DAG belongs to no team. Give its bundle a team, or name the team: "
    'Alerts(…, team="…") for alerts'
)


def running_team() -> str | None:
    """Return the team of the task that runs in this process; `None` for no team, and outside of tasks."""
    return os.environ.get(_RUNNING) or None


def team_setting(option: str, team: str | None = None) -> str | None:
    """Return a setting of `[fanout]` for a team, by default for that of the running task; see `setting_of`."""
    return setting_of(option, team or running_team())


def setting_of(option: str, team: str | None) -> str | None:
    """Return a team's own setting of `[fanout]`, else that of all, with the team's name for `{team}`.

    A team's own one is where Airflow has it: `[<team>=fanout]`, or `AIRFLOW__<TEAM>___FANOUT__<OPTION>`.

    :param team: the team; `None` for a DAG that belongs to none.
    :raises BadSetting: for a `{team}` without a team.
    """
    own = conf.get("fanout", option, fallback=None, team_name=team) if team else None
    value: str | None = own or conf.get("fanout", option, fallback=None) or None
    if value is None or PLACE not in value:
        return value
    if team is None:
        raise BadSetting(f"[fanout] {option}", value, _WITHOUT)
    return value.replace(PLACE, team)


def alerts_problem(alerts_team: str | None) -> str | None:
    """Return why alerts for a team would look into another staging area than the running task; `None` if they don't.

    :param alerts_team: the team that the alerts name.
    """
    team = running_team()
    try:
        is_same = alerts_team == team or setting_of("staging", alerts_team) == setting_of("staging", team)
    except BadSetting:
        is_same = False
    if is_same:
        return None
    return (
        f"the DAG's Alerts are for {alerts_team or 'no team'}, and the DAG belongs to {team or 'none'}, so they would "
        f"look into another staging area. Write Alerts(…, team={team!r})"
    )
