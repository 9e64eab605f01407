"""The deployment in docker-compose.yaml keeps its promises without a Docker engine to try them on."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import Connection

from airflow_fanout.adapters.connection import to_endpoint
from airflow_fanout.api.session import FanoutSession
from airflow_fanout.model.settings import FetchSettings
from harness.service import DemoService

ROOT = Path(__file__).resolve().parent.parent
COMPOSE_TEXT = (ROOT / "docker-compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

ONE_SHOT = {"airflow-init", "mongo-init", "s3-init"}
AIRFLOW = {"airflow-init", "api-server", "dag-processor", "scheduler", "triggerer", "worker"}
MONGO = {"mongo-1", "mongo-2", "mongo-3"}
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|AUTH$|_KEY$|KEYFILE")
SECRET_FIELD = re.compile(r'"(?:password|token|secret)": "([^"]*)"')
ADDRESS_PASSWORD = re.compile(r"://[^:/@\s]*:(.+)@")
REQUIRED = re.compile(r"\$\{[A-Z0-9_]+:\?[^}]+\}")
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z0-9_]+)(?::(\?|-)[^}]*)?\}")


def environment_of_all() -> list[tuple[str, str, str]]:
    """Return (service, name, value) of every environment variable."""
    return [
        (service, name, str(value))
        for service, settings in SERVICES.items()
        for name, value in settings.get("environment", {}).items()
    ]


def secrets_in(name: str, value: str) -> list[str]:
    """Return the parts of a value that must not be known from the file."""
    if name.startswith("AIRFLOW_CONN_"):
        return SECRET_FIELD.findall(value)
    if "://" in value:
        return ADDRESS_PASSWORD.findall(value)
    return [value] if SECRET_NAME.search(name) else []


def names_in_example() -> dict[str, str]:
    """Return what .env.example assigns, the optional names that are commented out included."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(re.findall(r"^#?([A-Z0-9_]+)=(.*)$", "\n".join(lines), re.MULTILINE))


def pins(path: Path) -> dict[str, str]:
    """Return name and version of every pinned requirement."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\n]+)", path.read_text(), re.MULTILINE))


def test_has_every_part_that_a_team_runs() -> None:
    """The stack is Airflow with two Celery workers, PostgreSQL, Redis, a replica set, S3, and an API to try it on."""
    assert set(SERVICES) == AIRFLOW | ONE_SHOT | MONGO | {"demo-api", "postgres", "redis", "s3"}
    assert SERVICES["worker"]["deploy"]["replicas"] == 2
    assert SERVICES["demo-api"]["profiles"] == ["demo"]
    assert [name for name, settings in SERVICES.items() if "profiles" in settings] == ["demo-api"]


@pytest.mark.parametrize("service", sorted(set(SERVICES) - ONE_SHOT))
def test_long_running_services_tell_their_health_and_come_back(service: str) -> None:
    """A service that stays up has a health check, and restarts by itself."""
    assert SERVICES[service]["healthcheck"]["test"]
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_no_service_takes_the_whole_machine(service: str) -> None:
    """Each service has limits of processors and memory."""
    assert set(SERVICES[service]["deploy"]["resources"]["limits"]) == {"cpus", "memory"}


def test_first_steps_run_once_when_what_they_need_is_healthy() -> None:
    """Airflow's first run waits for its databases, and for the steps that make users and the bucket."""
    conditions = {name: SERVICES[name]["depends_on"] for name in ONE_SHOT}

    assert {SERVICES[name]["restart"] for name in ONE_SHOT} == {"no"}
    assert conditions["mongo-init"] == {name: {"condition": "service_healthy"} for name in MONGO}
    assert conditions["s3-init"] == {"s3": {"condition": "service_healthy"}}
    assert conditions["airflow-init"] == {
        "postgres": {"condition": "service_healthy"},
        "redis": {"condition": "service_healthy"},
        "mongo-init": {"condition": "service_completed_successfully"},
        "s3-init": {"condition": "service_completed_successfully"},
    }


@pytest.mark.parametrize("service", sorted(AIRFLOW - ONE_SHOT))
def test_airflow_starts_after_init_succeeded(service: str) -> None:
    """No part of Airflow meets a database without its tables."""
    condition = SERVICES[service]["depends_on"]["airflow-init"]["condition"]

    assert condition == "service_completed_successfully"


@pytest.mark.parametrize("service", ["scheduler", "worker"])
def test_tasks_start_when_there_is_an_api_server_to_report_to(service: str) -> None:
    """Scheduler and workers wait for the API server, and find it by its service name and port."""
    settings = SERVICES[service]

    assert settings["depends_on"]["api-server"] == {"condition": "service_healthy"}
    assert settings["environment"]["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"


def test_data_lives_in_named_volumes_of_one_service_each() -> None:
    """The databases, the messages and the objects outlive their containers; no two services have a disk in common."""
    named = [
        mount.partition(":")[0]
        for settings in SERVICES.values()
        for mount in settings.get("volumes", [])
        if not mount.startswith(".")
    ]

    assert len(named) == len(set(named))
    assert set(named) == set(COMPOSE["volumes"]) >= {"postgres", "redis", "s3", *MONGO}


@pytest.mark.parametrize("service", sorted(AIRFLOW))
def test_airflow_reads_dags_and_plugins(service: str) -> None:
    """The repository's folders are mounted read-only."""
    assert SERVICES[service]["volumes"] == ["./dags:/opt/airflow/dags:ro", "./plugins:/opt/airflow/plugins:ro"]


def test_what_is_mounted_is_there() -> None:
    """Each folder of the repository that a service mounts, and each script that it runs from there."""
    mounts = {mount.split(":")[0] for settings in SERVICES.values() for mount in settings.get("volumes", [])}
    scripts = [Path(SERVICES[name]["command"][1]).name for name in ("mongo-init", "s3-init")]

    assert [mount for mount in mounts if mount.startswith(".") and not (ROOT / mount).is_dir()] == []
    assert [name for name in scripts if not (ROOT / "deploy" / "compose" / name).is_file()] == []


def test_the_staging_area_is_known_where_it_is_needed() -> None:
    """Those who reach the S3 server are those who have its key: tasks, alerts, and who shows the logs."""
    staging = {service for service, name, _ in environment_of_all() if name == "AIRFLOW__FANOUT__STAGING"}
    has_key = {service for service, name, _ in environment_of_all() if name == "AIRFLOW_CONN_STAGING"}
    reaches = {name for name, settings in SERVICES.items() if "storage" in settings.get("networks", [])}

    assert staging == {"api-server", "dag-processor", "triggerer", "worker"}
    assert has_key == staging | {"s3-init"} == reaches - {"s3"}
    assert SERVICES["s3"]["networks"] == ["storage"]


def test_ports_are_open_to_this_machine_only() -> None:
    """Only the API server is published, and only on the loopback address."""
    published = {name: settings["ports"] for name, settings in SERVICES.items() if "ports" in settings}

    assert set(published) == {"api-server"}
    assert all(port.startswith("127.0.0.1:") for port in published["api-server"])


def test_every_secret_comes_from_the_environment() -> None:
    """Each password, key and token is a variable without which Compose refuses to start."""
    secrets = [
        (service, name, secret) for service, name, value in environment_of_all() for secret in secrets_in(name, value)
    ]

    assert len(secrets) > len(SERVICES)
    assert [found for found in secrets if not REQUIRED.fullmatch(found[2])] == []


def test_servers_ask_for_the_password_that_clients_send() -> None:
    """Redis and S3 have their secrets from the same variables as those who log in there."""
    assert "\nrequirepass ${REDIS_PASSWORD:?" in f"\n{COMPOSE['configs']['redis']['content']}"
    [identity] = json.loads(COMPOSE["configs"]["s3"]["content"])["identities"]
    connection = json.loads(SERVICES["worker"]["environment"]["AIRFLOW_CONN_STAGING"])

    assert identity["credentials"] == [{"accessKey": connection["login"], "secretKey": connection["password"]}]
    assert {action.partition(":")[2] for action in identity["actions"]} == {"fanout"}
    assert SERVICES["worker"]["environment"]["AIRFLOW__FANOUT__STAGING"] == "s3://staging@fanout/staging"


def test_connections_are_the_json_that_airflow_reads() -> None:
    """With its variables filled in, each connection parses and says its kind and host."""
    connections = {
        name: json.loads(VARIABLE.sub("25", value))
        for name, value in (SERVICES["worker"]["environment"] | SERVICES["triggerer"]["environment"]).items()
        if name.startswith("AIRFLOW_CONN_")
    }

    assert set(connections) == {
        "AIRFLOW_CONN_MONGO_DEFAULT",
        "AIRFLOW_CONN_CALL_API",
        "AIRFLOW_CONN_MAIL",
        "AIRFLOW_CONN_STAGING",
    }
    assert connections["AIRFLOW_CONN_STAGING"].pop("extra")["endpoint_url"] == "http://s3:8333"
    kinds = {name: connection["conn_type"] for name, connection in connections.items()}
    assert set(kinds.values()) == {"aws", "http", "mongo", "smtp"}
    assert [name for name, connection in connections.items() if "host" not in connection] == ["AIRFLOW_CONN_STAGING"]


def filled(name: str, **variables: str) -> Connection:
    """Return a connection of the workers' as Airflow reads it, with its variables filled in."""
    text = VARIABLE.sub(lambda match: variables[match[1]], SERVICES["worker"]["environment"][name])
    return Connection.from_json(text, conn_id=name.removeprefix("AIRFLOW_CONN_").lower())


def test_the_api_gets_its_token() -> None:
    """A service that demands the token answers; with another token it doesn't."""
    with DemoService.start(subscribers=3, token="t0ken") as service:
        for token, status in (("t0ken", 200), ("another", 401)):
            made = filled("AIRFLOW_CONN_CALL_API", CALL_API_URL=service.url, CALL_API_TOKEN=token)
            with FanoutSession(to_endpoint("call_api", made), FetchSettings(concurrency=1)) as session:
                assert session.get("/subscribers").status_code == status


def test_only_the_containers_that_need_a_secret_have_it() -> None:
    """Connections are known where tasks run, the signing keys where tokens are made."""
    holders: dict[str, set[str]] = {}
    for service, name, _value in environment_of_all():
        holders.setdefault(name, set()).add(service)

    assert holders["AIRFLOW_CONN_CALL_API"] == holders["AIRFLOW_CONN_MONGO_DEFAULT"] == {"airflow-init", "worker"}
    # The DAG processor reports what has failed, the triggerer what is late.
    assert holders["AIRFLOW_CONN_MAIL"] == {"dag-processor", "triggerer"}
    assert holders["AIRFLOW__API_AUTH__JWT_SECRET"] == {"api-server", "scheduler"}
    assert holders["AIRFLOW__CELERY__BROKER_URL"] == {"scheduler", "worker"}
    # Who may make users of MongoDB makes them, and does nothing else.
    assert holders["MONGO_OPERATOR_PASSWORD"] == {"mongo-init"}


def test_env_example_names_every_variable_and_gives_no_value_away() -> None:
    """Every variable of the file is in .env.example; those without a default are empty there."""
    example = names_in_example()
    used = dict(VARIABLE.findall(COMPOSE_TEXT))

    assert set(used) == set(example)
    assert [name for name, kind in used.items() if kind == "?" and example[name]] == []
    assert [name for name, kind in used.items() if kind == "-" and not example[name]] == []


def test_images_are_pinned_by_tag() -> None:
    """No image, ours included, is whatever `latest` means today."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    images = [settings["image"] for settings in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)

    assert [image for image in images if not re.search(r":[^:]*\d", image) or "latest" in image] == []


def test_the_image_has_the_airflow_of_the_requirements() -> None:
    """The base image, the runtime's pins and the deployment's pins name one version of Airflow."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    image = re.search(r"^FROM apache/airflow:slim-([\d.]+)-python3\.\d+$", dockerfile, re.MULTILINE)

    assert image is not None
    assert image[1] == pins(ROOT / "requirements.txt")["apache-airflow"]
    assert image[1] == pins(ROOT / "requirements-deploy.txt")["apache-airflow"]


@pytest.mark.parametrize("name", ["requirements-deploy.txt", "requirements-dev.txt"])
def test_what_is_tested_is_what_is_deployed(name: str) -> None:
    """A package that is pinned for the runtime has the same version in the deployment and in the tests."""
    runtime, other = pins(ROOT / "requirements.txt"), pins(ROOT / name)

    assert {package: other.get(package) for package in runtime} == runtime


def test_the_build_sends_nothing_but_the_requirements_to_the_engine() -> None:
    """A .env beside the Dockerfile can't get into an image."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == ["*", "!requirements-deploy.txt"]


@pytest.mark.skipif(not shutil.which("dclint"), reason="dclint, which has the schema, isn't installed (npm)")
def test_it_is_what_the_schema_of_compose_says(tmp_path: Path) -> None:
    """The file keeps to the schema; one with a mistake is noticed."""
    wrong = tmp_path / "docker-compose.yaml"
    wrong.write_text(COMPOSE_TEXT.replace("stop_grace_period:", "stop_grace_periods:"))
    rules = tmp_path / ".dclintrc"
    # Its other rules are about the order of keys.
    rules.write_text(json.dumps({"rules": {}, "quiet": True}))
    codes = [
        subprocess.run(["dclint", "--config", rules, file], capture_output=True, check=False).returncode
        for file in (ROOT / "docker-compose.yaml", wrong)
    ]

    assert codes == [0, 1]


def test_ci_is_executable() -> None:
    """`.ci/run` runs as it is cloned."""
    assert (ROOT / ".ci/run").stat().st_mode & stat.S_IXUSR
