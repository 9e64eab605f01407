"""The image of docker-compose.yaml, built and started where that is possible without a Docker engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BASES = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
IMAGE = "airflow-fanout:of-a-test"
BUILD_LIMIT_S = 800


def buildah(*arguments: str | Path, check: bool = True) -> str:
    """Run buildah, and return what it prints; with its errors, if it fails."""
    command = ["buildah", *map(str, arguments)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=BUILD_LIMIT_S)
    assert not check or ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-5000:]
    return ended.stdout.strip()


def can_build() -> bool:
    """Tell whether buildah is at hand, and what the image is made from; fetching that takes minutes."""
    return bool(shutil.which("buildah")) and all(buildah("images", "--quiet", base, check=False) for base in BASES)


@pytest.fixture
def container() -> Iterator[str]:
    """A container of the image, which is built for it."""
    buildah("build", "--pull-never", "--tag", IMAGE, ROOT)
    name = buildah("from", "--pull-never", IMAGE)
    yield name
    buildah("rm", name)
    buildah("rmi", IMAGE)


@pytest.mark.slow
@pytest.mark.skipif(not can_build(), reason="there is no buildah, or not the image that ours is made from")
def test_the_image_has_what_it_needs(container: str) -> None:
    """Its packages agree with each other; Airflow loads the plugin, runs Celery, and may write to its folders."""
    mounts = [f"--volume={ROOT / name}:/opt/airflow/{name}:ro" for name in ("plugins", "dags")]

    def runs(command: str) -> str:
        return buildah("run", *mounts, container, "--", "bash", "-c", command)

    assert "No broken requirements found" in runs("pip check")
    assert "airflow_fanout" in runs("airflow plugins --output plain")
    assert "celery" in runs("airflow celery worker --help")
    assert runs("touch /opt/airflow/fanout/file /opt/airflow/logs/file && id --user") != "0"
