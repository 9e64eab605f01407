"""One S3 server for all tests of a process that want one; wire it by ``pytest_plugins = ["tests.s3_fixture"]``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.s3 import S3Server
from tests.staging.objects import new_prefix


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server with the bucket `staging`."""
    with S3Server.start(tmp_path_factory.mktemp("s3") / "log") as server:
        yield server


@pytest.fixture
def s3_staging(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of a staging area of the test's own, which is configured, with its connection."""
    address = f"s3://s3_staging@staging/{new_prefix()}"
    monkeypatch.setenv("AIRFLOW_CONN_S3_STAGING", s3.connection)
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", address)
    s3.tell("forget")
    yield address
    s3.tell("back")
