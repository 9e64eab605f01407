"""The first steps of docker-compose.yaml, against real servers: MongoDB's replica set and users, the bucket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import s3fs
import yaml
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from harness.mongod.binary import find_mongod
from harness.processes import Kept, free_port
from harness.s3 import S3Server
from tests.integration.runs import until

ROOT = Path(__file__).parents[1]
STEPS = ROOT / "deploy" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())

Members = list[str]


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    """Three servers that know each other by a key, and nobody else."""
    key = tmp_path / "keyfile"
    key.write_text("0123456789abcdef" * 8)
    key.chmod(0o400)
    with ExitStack() as running:
        hosts = []
        for number in range(3):
            folder, port = tmp_path / f"member-{number}", free_port()
            folder.mkdir()
            options = {"dbpath": folder, "port": port, "replSet": "rs0", "keyFile": key, "bind_ip": "127.0.0.1"}
            words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
            command = [str(find_mongod()), *words, "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
            # By force: in order, the last ones would wait for a majority that is gone.
            running.callback(Kept.start(command, log=tmp_path / f"{number}.log").stop, 0)
            hosts.append(f"127.0.0.1:{port}")
        for host in hosts:
            until(lambda: answers(host), what=f"an answer of {host}")  # noqa: B023
        yield hosts


def answers(host: str) -> bool:
    """Tell whether a server is there."""
    with MongoClient[dict[str, Any]](host, directConnection=True, serverSelectionTimeoutMS=500) as client:
        try:
            return bool(client.admin.command("ping")["ok"])
        except PyMongoError:
            return False


def step(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a step with an environment of its own."""
    command = [sys.executable, str(STEPS / name)]
    env = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)


def mongo_init(members: Members, operator: str = "0p", reports: str = "r3p") -> subprocess.CompletedProcess[str]:
    """Run the step that makes the users, with their passwords."""
    return step(
        "mongo_init.py",
        MONGO_LOCAL=members[0],
        MONGO_MEMBERS=",".join(members),
        MONGO_OPERATOR_PASSWORD=operator,
        MONGO_PASSWORD=reports,
    )


def logged_in(members: Members, user: str | None, password: str | None) -> MongoClient[dict[str, Any]]:
    """Return a user's client of the replica set; nobody's without a name."""
    return MongoClient(members, replicaSet="rs0", username=user, password=password)


@pytest.mark.slow
def test_the_reports_have_a_user_who_may_use_two_databases(members: Members) -> None:
    """Run twice, the step leaves a replica set of three, whose user of the reports is no administrator."""
    first = mongo_init(members)
    assert first.returncode == 0, first.stderr
    again = mongo_init(members, reports="an0ther")
    assert again.returncode == 0, again.stderr

    with logged_in(members, "fanout", "an0ther") as reports:
        for database in ("reports", "fanout"):
            reports[database]["things"].insert_one({"_id": 1})
            reports[database]["things"].create_index("name")
        for refused in (
            lambda: reports["elsewhere"]["things"].insert_one({}),
            reports["admin"]["system.users"].find_one,
            lambda: reports.admin.command("createUser", "friend", pwd="x", roles=["root"]),
        ):
            with pytest.raises(OperationFailure, match="not authorized"):
                refused()
    with logged_in(members, "operator", "0p") as operator:
        states = [member["stateStr"] for member in operator.admin.command("replSetGetStatus")["members"]]
        assert len(states) == 3
        assert states.count("PRIMARY") == 1
        with pytest.raises(OperationFailure, match="not authorized"):
            operator["reports"]["things"].find_one()
    with logged_in(members, None, None) as nobody, pytest.raises(OperationFailure, match="requires authentication"):
        nobody["reports"]["things"].find_one()
    with logged_in(members, "fanout", "r3p") as old, pytest.raises(OperationFailure, match="Authentication failed"):
        old.admin.command("ping")

    lost = mongo_init(members, operator="forgotten")
    assert lost.returncode != 0
    assert "isn't MONGO_OPERATOR_PASSWORD" in lost.stderr
    assert "forgotten" not in lost.stderr


@pytest.mark.slow
def test_the_bucket_is_there_after_the_step(tmp_path: Path) -> None:
    """Run twice, the step leaves the bucket that the staging area and the logs are in, with what it had."""
    worker = COMPOSE["services"]["worker"]["environment"]
    buckets = {
        worker[name].removeprefix("s3://").rpartition("@")[2].partition("/")[0]
        for name in ("AIRFLOW__FANOUT__STAGING", "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER")
    }
    with S3Server.start(tmp_path / "log", buckets=("another",)) as server:
        files = s3fs.S3FileSystem(**server.options, skip_instance_cache=True, use_listings_cache=False)
        assert set(files.ls("")) == {"another"}
        first = step("s3_init.py", AIRFLOW_CONN_STAGING=server.connection)
        assert first.returncode == 0, first.stderr
        files.pipe_file("fanout/object", b"kept")
        again = step("s3_init.py", AIRFLOW_CONN_STAGING=server.connection)
        assert again.returncode == 0, again.stderr
        assert {name for name in files.ls("") if name != "another"} == buckets
        assert files.cat_file("fanout/object") == b"kept"


def test_the_members_of_the_file_are_those_that_the_reports_connect_to() -> None:
    """The step makes a replica set of the hosts and the name that are in the connection, and its user is the login."""
    services = COMPOSE["services"]
    connection = json.loads(services["worker"]["environment"]["AIRFLOW_CONN_MONGO_DEFAULT"])
    text = (STEPS / "mongo_init.py").read_text()

    assert services["mongo-init"]["environment"]["MONGO_MEMBERS"] == connection["host"]
    assert f'REPLICA_SET = "{connection["extra"]["replicaSet"]}"' in text
    assert f'REPORTS = "{connection["login"]}"' in text
    assert f"--replSet {connection['extra']['replicaSet']} " in services["mongo-1"]["entrypoint"][2]
