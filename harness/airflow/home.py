"""One Airflow home: where everything lives, and the environment that every Airflow process gets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from harness.airflow.keys import ROLES, HomeKeys, load_keys, write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOPBACK = "127.0.0.1"
LOCAL_SETTINGS = Path(__file__).with_name("local_settings.py")
# -P: the home is the working directory, and its folders are nothing to import.
COMMAND = (sys.executable, "-P", "-m", "airflow")
# The file that has the version of Airflow to which the metadata database was migrated.
STAMP = "metadata.version"


@dataclass(frozen=True, kw_only=True, slots=True)
class AirflowHome:
    """Where one Airflow lives and what it is given.

    ``connections`` maps a connection id to its URI or JSON text; ``config`` maps ``"section.key"`` to text
    and wins over the settings made here. Without a ``port`` each start chooses a free one. ``path`` is where
    Airflow is below its host, such as ``/airflow``; ``""`` is the root.
    """

    directory: Path
    dags: Path
    plugins: Path | None = None
    connections: Mapping[str, str] = field(default_factory=dict, repr=False)
    config: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    path: str = ""
    parallelism: int = 4

    def __post_init__(self) -> None:
        """Make the places absolute: Airflow refuses a relative metadata database."""
        for name in ("directory", "dags", "plugins"):
            place = getattr(self, name)
            if place is not None:
                object.__setattr__(self, name, place.resolve())

    @property
    def logs(self) -> Path:
        """The folder of Airflow's own logs, one file for each component beside the tasks' folders."""
        return self.directory / "logs"


def environment(
    home: AirflowHome,
    *,
    port: int | None = None,
    execution_port: int | None = None,
    inherited: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Give an Airflow process of this home its whole environment; the ports are those of people and of tasks.

    Nothing of another Airflow in the inherited environment gets through; ``PYTHONPATH`` does.
    """
    keys = load_keys(_prepared(home))
    settings = _settings(home, keys) | _addresses(port, execution_port, home.path) | dict(home.config)
    return {
        **{name: value for name, value in inherited.items() if not _is_foreign(name)},
        "AIRFLOW_HOME": str(home.directory),
        "NO_COLOR": "1",
        "NO_PROXY": _without_proxy(inherited),
        **{_variable(key): value for key, value in settings.items()},
        **{f"AIRFLOW_CONN_{name.upper()}": value for name, value in home.connections.items()},
    }


def initialise(home: AirflowHome) -> bool:
    """Bring the metadata database to the installed Airflow's version; say whether there was anything to do.

    The stamp is Airflow's version: asking Airflow itself takes as long as migrating an empty database.
    """
    if _is_migrated(home):
        return False
    with (home.logs / "migrate.log").open("wb") as log:
        command = (*COMMAND, "db", "migrate")
        subprocess.run(
            command,
            env=environment(home),
            cwd=home.directory,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=True,
        )
    stamp_as_migrated(home)
    return True


def stamp_as_migrated(home: AirflowHome) -> None:
    """Note that the metadata database has the installed Airflow's version; a copy of one that was migrated has it."""
    (_prepared(home) / STAMP).write_text(version("apache-airflow-core"))


def sqlite_file(home: AirflowHome) -> Path:
    """Return the file of the metadata database, unless the home's config names another database."""
    return home.directory / "airflow.db"


def _is_migrated(home: AirflowHome) -> bool:
    stamp = _prepared(home) / STAMP
    has_database = "database.sql_alchemy_conn" in home.config or sqlite_file(home).exists()
    return has_database and stamp.exists() and stamp.read_text() == version("apache-airflow-core")


def _settings(home: AirflowHome, keys: HomeKeys) -> dict[str, str]:
    passwords = home.directory / "passwords.json"
    write_private(passwords, json.dumps(keys.passwords))
    return {
        "core.dags_folder": str(home.dags),
        "core.plugins_folder": str(home.plugins or home.directory / "plugins"),
        "core.load_examples": "False",
        "core.executor": "LocalExecutor",
        "core.parallelism": str(home.parallelism),
        "core.fernet_key": keys.fernet_key,
        # A name server that doesn't answer would delay each process by its timeout.
        "core.hostname_callable": "socket.gethostname",
        "core.simple_auth_manager_users": ",".join(f"{role}:{role}" for role in ROLES),
        "core.simple_auth_manager_passwords_file": str(passwords),
        "api_auth.jwt_secret": keys.jwt_secret,
        "api.secret_key": keys.api_secret_key,
        "logging.base_log_folder": str(home.logs),
        "logging.dag_processor_child_process_log_directory": str(home.logs / "dag_processor"),
        "logging.colored_console_log": "False",
        # The default is a folder in the machine's temporary directory that all Airflows share.
        "dag_processor.dag_bundle_storage_path": str(home.directory / "bundles"),
        **_database_settings(home),
        **_QUICK,
    }


# Somebody waits: Airflow's defaults are for a farm of machines (it looks for new DAG files every 300 s).
_QUICK = {
    "core.min_serialized_dag_update_interval": "1",
    "dag_processor.refresh_interval": "1",
    "dag_processor.bundle_refresh_check_interval": "1",
    "scheduler.scheduler_idle_sleep_time": "0.3",
    "scheduler.job_heartbeat_sec": "2",
    # A task learns from its heartbeat that somebody marked it failed.
    "workers.min_heartbeat_interval": "2",
}


def _database_settings(home: AirflowHome) -> dict[str, str]:
    return {
        # Airflow turns SQLite's write-ahead log on itself, so readers never wait. Writers do, for each other, and fail
        # with "database is locked" after the driver's 5 s unless told otherwise. Not much longer: server.py tells of
        # waits that only their end can solve.
        "database.sql_alchemy_conn": f"sqlite:///{sqlite_file(home)}?timeout=20",
        # A task's call to the API server must outlast that wait, else it is repeated meanwhile.
        "workers.execution_api_timeout": "30",
    }


def _addresses(port: int | None, execution_port: int | None, path: str) -> dict[str, str]:
    addresses = {"api.host": LOOPBACK}
    if port:
        addresses |= {"api.port": str(port), "api.base_url": f"http://{LOOPBACK}:{port}{path}"}
    if execution_port:
        addresses["core.execution_api_server_url"] = f"http://{LOOPBACK}:{execution_port}{path}/execution/"
    return addresses


def _prepared(home: AirflowHome) -> Path:
    home.logs.mkdir(parents=True, exist_ok=True)
    home.directory.chmod(0o700)
    # Airflow looks for it here, by this name.
    settings = home.directory / "config" / "airflow_local_settings.py"
    settings.parent.mkdir(exist_ok=True)
    shutil.copyfile(LOCAL_SETTINGS, settings)
    return home.directory


def _variable(key: str) -> str:
    section, _, name = key.partition(".")
    return f"AIRFLOW__{section.upper()}__{name.upper()}"


def _is_foreign(name: str) -> bool:
    # Somebody's lineage service is no place for test runs. Airflow starts twice as slowly where it may not keep its
    # compiled files.
    return name.startswith(("AIRFLOW", "OPENLINEAGE")) or name == "PYTHONDONTWRITEBYTECODE"


def _without_proxy(inherited: Mapping[str, str]) -> str:
    named = inherited.get("NO_PROXY") or inherited.get("no_proxy")
    return ",".join(filter(None, (named, LOOPBACK, "localhost")))
