"""A team with a staging area of its own, in an object storage whose connection is in Airflow's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

TEAM, DAG_ID, CONN_ID = "research", "invoice_lines", "team_storage"
# As it is configured, and as it is for the team.
STAGING = f"s3://{CONN_ID}@staging/page/{{team}}"
ADDRESS = STAGING.format(team=TEAM)


def make_team(session: Session, connection: str) -> None:
    """Let a DAG belong to the team, by its bundle, in an Airflow's own environment."""
    from airflow.models.connection import Connection
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.team import Team

    bundle = DagBundleModel(name="of-research")
    bundle.teams = [Team(name=TEAM)]
    session.add(bundle)
    session.flush()
    session.get_one(DagModel, DAG_ID).bundle_name = bundle.name
    session.add(Connection.from_json(connection, conn_id=CONN_ID))
