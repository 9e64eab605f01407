"""Metadata databases of Airflows: copies of one that was migrated once, since a migration takes as long as a start."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from harness.airflow import AirflowHome, initialise
from harness.airflow.home import sqlite_file, stamp_as_migrated
from tests.postgres import create_database, sql_alchemy_conn

if TYPE_CHECKING:
    from tests.shared import Servers

TEMPLATE = "migrated"


def migrate_sqlite(place: Path) -> Path:
    """Migrate a new SQLite database, and return its file."""
    home = AirflowHome(directory=place, dags=place / "dags")
    initialise(home)
    return sqlite_file(home)


def migrate_postgres(place: Path, port: int) -> str:
    """Migrate a new database in a PostgreSQL, and return its name."""
    create_database(port, TEMPLATE)
    config = {"database.sql_alchemy_conn": sql_alchemy_conn(port, TEMPLATE)}
    initialise(AirflowHome(directory=place, dags=place / "dags", config=config))
    return TEMPLATE


def copied(home: AirflowHome, servers: Servers) -> AirflowHome:
    """Give a new home its metadata database: a copy of the SQLite file, unless its config names a database."""
    stamp_as_migrated(home)
    if "database.sql_alchemy_conn" not in home.config:
        shutil.copy(servers.ask("migrated_file"), sqlite_file(home))
    return home
