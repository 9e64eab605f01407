"""The deployment in docker-compose.yaml keeps its promises without a Docker engine to try them on."""

from __future__ import annotations

import json
import re
import stat
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

ONE_SHOT = {"airflow-init"}
AIRFLOW = {"airflow-init", "api-server", "dag-processor", "scheduler", "triggerer"}
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$")
SECRET_FIELD = re.compile(r'"(?:password|token|secret)": "([^"]*)"')
ADDRESS_PASSWORD = re.compile(r"://[^:/@\s]+:(.+)@")
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(?::(\?|-)[^}]*)?\}")


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
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", "\n".join(lines), re.MULTILINE))


def pins(path: Path) -> dict[str, str]:
    """Return name and version of every pinned requirement."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\n]+)", path.read_text(), re.MULTILINE))


def test_has_every_part_of_airflow_and_both_databases() -> None:
    """The stack is Airflow's four long-running parts, its first run, PostgreSQL and MongoDB."""
    assert set(SERVICES) == AIRFLOW | {"mongo", "postgres"}


@pytest.mark.parametrize("service", sorted(set(SERVICES) - ONE_SHOT))
def test_long_running_services_tell_their_health_and_come_back(service: str) -> None:
    """A service that stays up has a health check, and restarts by itself."""
    assert SERVICES[service]["healthcheck"]["test"]
    assert SERVICES[service]["restart"] == "unless-stopped"


def test_init_runs_once_after_both_databases_are_healthy() -> None:
    """The first run waits for both databases, and isn't repeated when it fails."""
    assert SERVICES["airflow-init"]["restart"] == "no"
    assert SERVICES["airflow-init"]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "mongo": {"condition": "service_healthy"},
    }


@pytest.mark.parametrize("service", sorted(AIRFLOW - ONE_SHOT))
def test_airflow_starts_after_init_succeeded(service: str) -> None:
    """No part of Airflow meets a database without its tables."""
    condition = SERVICES[service]["depends_on"]["airflow-init"]["condition"]

    assert condition == "service_completed_successfully"


def test_tasks_start_when_there_is_an_api_server_to_report_to() -> None:
    """The scheduler waits for the API server, and tells tasks to find it by its service name and port."""
    scheduler = SERVICES["scheduler"]

    assert scheduler["depends_on"]["api-server"] == {"condition": "service_healthy"}
    assert scheduler["environment"]["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://api-server:8080/execution/"


def test_data_lives_in_named_volumes() -> None:
    """Both databases, the logs and the staging area outlive their containers."""
    named = {
        mount.partition(":")[0]
        for settings in SERVICES.values()
        for mount in settings.get("volumes", [])
        if not mount.startswith(".")
    }

    assert named == set(COMPOSE["volumes"]) >= {"postgres", "mongo", "logs", "staging"}


@pytest.mark.parametrize("service", sorted(AIRFLOW))
def test_airflow_reads_dags_and_plugins_and_shares_the_staging_area(service: str) -> None:
    """The repository's folders are mounted read-only, the staging area at the operators' default place."""
    mounts = SERVICES[service]["volumes"]

    assert {"./dags:/opt/airflow/dags:ro", "./plugins:/opt/airflow/plugins:ro"} <= set(mounts)
    assert "staging:/opt/airflow/fanout" in mounts


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

    assert len(secrets) > len(AIRFLOW)
    assert [found for found in secrets if not REQUIRED.fullmatch(found[2])] == []


def test_connections_are_the_json_that_airflow_reads() -> None:
    """With its variables filled in, each connection parses and says its kind and host."""
    connections = {
        name: json.loads(VARIABLE.sub("25", value))
        for name, value in (SERVICES["scheduler"]["environment"] | SERVICES["triggerer"]["environment"]).items()
        if name.startswith("AIRFLOW_CONN_")
    }

    assert set(connections) == {"AIRFLOW_CONN_MONGO_DEFAULT", "AIRFLOW_CONN_CALL_API", "AIRFLOW_CONN_MAIL"}
    assert all(connection["conn_type"] and connection["host"] for connection in connections.values())


def filled(name: str, **variables: str) -> Connection:
    """Return a connection of the scheduler's as Airflow reads it, with its variables filled in."""
    text = VARIABLE.sub(lambda found: variables[found[1]], SERVICES["scheduler"]["environment"][name])
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

    assert holders["AIRFLOW_CONN_CALL_API"] == {"airflow-init", "scheduler"}
    # What has failed is told by the DAG processor, what is late by the triggerer.
    assert holders["AIRFLOW_CONN_MAIL"] == {"dag-processor", "triggerer"}
    assert holders["AIRFLOW__API_AUTH__JWT_SECRET"] == {"api-server", "scheduler"}


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


def test_ci_is_executable() -> None:
    """`.ci/run` runs as it is cloned."""
    assert (ROOT / ".ci/run").stat().st_mode & stat.S_IXUSR
