"""What can be wrong with an address in `[fanout] staging`, each said in one sentence, before the first request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout.adapters.border import airflow_errors, staging_store
from airflow_fanout.adapters.errors import NoConditionalWrites, StorageDenied, StorageFailed
from airflow_fanout.adapters.storage import PACKAGES
from airflow_fanout.errors import BadConnection, BadSetting, FanoutError
from airflow_fanout.staging.errors import StorageMissing
from airflow_fanout.staging.store import Location
from harness.s3 import S3Server
from tests.load.reports import Reports
from tests.staging.objects import new_prefix


@pytest.fixture
def server(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The server that the connection `s3_staging` leads to, and whose state a test may change."""
    monkeypatch.setenv("AIRFLOW_CONN_S3_STAGING", s3.connection)
    yield s3
    s3.tell("back")


@pytest.mark.parametrize(
    ("address", "kind", "says"),
    [
        ("ftp://host/fanout", BadSetting, r"\[fanout\] staging is 'ftp://host/fanout'.*use s3://, gs:// or abfs://"),
        ("gs://bucket/fanout", BadSetting, r"install airflow-fanout\[gcs\] on all workers"),
        ("abfs://container/fanout", BadSetting, r"install airflow-fanout\[azure\] on all workers"),
        (
            "s3://nobody@bucket/fanout",
            BadConnection,
            r"connection 'nobody' isn't there; \[fanout\] staging names it",
        ),
        ("s3://s3_staging@/fanout", BadSetting, "expected a bucket, such as s3://conn_id@bucket/prefix"),
        ("s3://s3_staging@bucket/fanout?x=1", BadSetting, "expected a bucket"),
        ("s3://s3_staging@nowhere/fanout", StorageMissing, "s3://s3_staging@nowhere/fanout, isn't there. Create it"),
    ],
)
def test_an_address_that_cannot_work_is_named(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, address: str, kind: type[FanoutError], says: str
) -> None:
    """With what to do; none of these is worth another try."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", address)
    with pytest.raises(kind, match=says) as caught:
        staging_store()
    assert not caught.value.retry


@pytest.mark.parametrize(("state", "kind"), [("denied", StorageDenied), ("away", StorageFailed)])
def test_a_storage_that_refuses_or_is_away_is_no_folder_that_does(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, state: str, kind: type[FanoutError]
) -> None:
    """The one needs rights, and the other time."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", f"s3://s3_staging@staging/{new_prefix()}")
    place = Location(staging_store(), "a/b")
    place.store.objects.files.retries = 1  # type: ignore[attr-defined] # an object store's, and s3fs's
    server.tell(state)
    says = "the next try goes on with it" if kind.retry else "need the rights to get, put, delete and list"
    with pytest.raises(kind if kind.retry else AirflowFailException, match=says), airflow_errors():
        place.content()


def test_a_storage_that_creates_an_object_twice_is_refused(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the names of the storage and of the package, its version, and the one that is needed; nothing is left."""
    address = f"s3://s3_staging@staging/{new_prefix()}"
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", address)
    server.tell("careless")
    with pytest.raises(NoConditionalWrites, match=re.escape(address)) as caught:
        staging_store()
    assert f"s3fs {version('s3fs')}" in str(caught.value)
    assert "from version 2024.12 on" in str(caught.value)
    server.tell("back")
    assert staging_store().address("") == f"{address}/"


def test_the_preflight_says_what_is_wrong_with_the_storage(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything else that is wrong, before the source is read."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", "s3://nobody@staging/fanout")

    def source() -> list[str]:
        raise AssertionError("the source is read")

    report = Reports("collection", [], {}).run(0, source=source, preflight=True)
    with pytest.raises(AirflowFailException) as caught:
        report.extract()
    assert "The connection 'nobody' isn't there" in str(caught.value)
    assert "call_api" in str(caught.value)


def test_the_extras_ask_for_versions_that_have_conditional_writes() -> None:
    """What a message says is needed is what is installed."""
    from tests.test_house import PROJECT

    extras = PROJECT["project"]["optional-dependencies"]
    for package in PACKAGES.values():
        assert f"{package.name}>={package.lowest}" in extras[package.extra]
