"""The files in deploy/kubernetes keep their promises without a cluster to try them on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.checking import FOLDER, problems

FILES = sorted(FOLDER.glob("*.yaml"))
TEMPLATE: dict[str, Any] = yaml.safe_load((FOLDER / "pod-template.yaml").read_text())
VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "values.yaml").read_text())
CELERY: dict[str, Any] = yaml.safe_load((FOLDER / "values-celery.yaml").read_text())
[TASK] = TEMPLATE["spec"]["containers"]
ROOT = FOLDER.parents[1]
UNITS = {"Mi": 1, "Gi": 1024}


def mebibytes(quantity: str) -> int:
    """Return a quantity of memory or disk in MiB."""
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_file_is_what_kubernetes_and_the_chart_take(file: Path) -> None:
    """Strictly: a field that nobody knows is refused, in the oldest and the newest version."""
    assert problems(file) == []


@pytest.mark.parametrize(
    ("name", "right", "wrong", "problem"),
    [
        ("pod-template.yaml", "readOnlyRootFilesystem", "readOnlyRootFileSystem", "readOnlyRootFileSystem"),
        ("pod-template.yaml", "terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 60s", "60s"),
        ("pod-template.yaml", "secretKeyRef", "secretRef", "secretRef"),
        ("network-policy.yaml", "podSelector", "podSelektor", "podSelektor"),
        ("disruption-budgets.yaml", "maxUnavailable", "maxUnavailabel", "maxUnavailabel"),
        ("staging-volume.yaml", "storage: 20Gi", "storage: [20Gi]", "storage"),
        ("values.yaml", "jwtSecretName", "jwtSecret", "jwtSecret: the chart has no such value"),
        ("values.yaml", "replicas: 2", 'replicas: "2"', "is no number"),
        ("values.yaml", "secretKey: staging", "key: staging", "secret: "),
        ("values.yaml", "    staging: s3", "    stagging: s3", "config.fanout.stagging: Airflow has no such setting"),
        ("values.yaml", "runAsNonRoot", "runAsNonroot", "runAsNonroot"),
        ("values-celery.yaml", "workers:\n  celery:", "workers:\n  celeri:", "workers.celeri"),
        ("values-celery.yaml", "        value: /scratch", "        valueFrom: {}", "workers.celery.env: "),
        ("values-celery.yaml", "sizeLimit", "size", "workers.celery.extraVolumes: "),
        ("values-celery.yaml", 'worker_concurrency: "4"', "worker_concurrency: 4", "is no text"),
    ],
)
def test_a_typo_is_found(tmp_path: Path, name: str, right: str, wrong: str, problem: str) -> None:
    """Whether it is in an object of Kubernetes, in a value of the chart, or in an object inside of a value."""
    text = (FOLDER / name).read_text()
    assert right in text
    copy = tmp_path / name
    copy.write_text(text.replace(right, wrong))
    assert [text for text in problems(copy) if problem in text]


def test_a_task_runs_without_rights_it_does_not_need() -> None:
    """Not as root, with nothing to write to but its own volumes, without a token for Kubernetes."""
    spec, security = TEMPLATE["spec"], TASK["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_what_a_task_writes_has_a_place_on_a_read_only_root() -> None:
    """Temporary files, `/tmp` and the log folder are volumes; each mount has its volume, within the pod's disk."""
    mounts = {mount["mountPath"]: mount["name"] for mount in TASK["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in TEMPLATE["spec"]["volumes"]}
    [temporary] = [each["value"] for each in TASK["env"] if each["name"] == "TMPDIR"]
    assert set(mounts.values()) == set(volumes)
    assert {temporary, "/tmp", "/opt/airflow/logs"} <= set(mounts)  # noqa: S108 - the container's own
    disks = [volume["emptyDir"]["sizeLimit"] for volume in volumes.values() if "emptyDir" in volume]
    assert sum(map(mebibytes, disks)) <= mebibytes(TASK["resources"]["limits"]["ephemeral-storage"])


def test_secrets_are_named_and_never_written() -> None:
    """Each connection comes from a key of a Secret, and no file has a value that looks like one."""
    connections = [each for each in TASK["env"] if each["name"].startswith("AIRFLOW_CONN_")]
    assert {frozenset(each) for each in connections} == {frozenset({"name", "valueFrom"})}
    assert {each["envName"] for each in CELERY["secret"]} == {each["name"] for each in connections}
    text = "\n".join(file.read_text() for file in FILES)
    assert re.findall(r"://[^/\s]+:[^/\s]+@|\b(?i:password|secret_key|token): *[^\s{]", text) == []


def test_the_image_and_airflow_are_those_of_the_repository() -> None:
    """One image in all files, with the version of the package, and the Airflow of the requirements."""
    pins = dict(re.findall(r"^([a-z-]+)==(\S+)", (ROOT / "requirements-deploy.txt").read_text(), re.MULTILINE))
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    image = VALUES["images"]["airflow"]
    assert version is not None
    assert TASK["image"] == f"{image['repository']}:{image['tag']}"
    assert image["tag"] == version[1]
    assert VALUES["airflowVersion"] == VALUES["defaultAirflowTag"] == pins["apache-airflow"]


def test_the_image_takes_the_package_and_the_dags_only() -> None:
    """A .env, the tests and the history of git can't get into it."""
    lines = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["*", "!dags", "!plugins", "**/__pycache__"]
