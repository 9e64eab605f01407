"""The staging area in an object storage: reached by Airflow's `ObjectStoragePath`, and proven to be fit for it."""

from __future__ import annotations

import secrets
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_fanout.adapters.errors import NoConditionalWrites
from airflow_fanout.errors import BadConnection, BadSetting
from airflow_fanout.privacy.redaction import redact
from airflow_fanout.staging import layout, object_layout
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.object_store import ObjectStore
from airflow_fanout.staging.objects import Objects
from airflow_fanout.staging.store import Taken

SETTING = "[fanout] staging"


class Package(NamedTuple):
    """What reaches an object storage.

    :param extra: the extra of this package that installs it, with Airflow's provider.
    :param name: the file system's package.
    :param lowest: its first version that can create an object only if it isn't there.
    """

    extra: str
    name: str
    lowest: str


S3, GCS, AZURE = (
    Package("s3", "s3fs", "2024.12"),
    Package("gcs", "gcsfs", "2024.12"),
    Package("azure", "adlfs", "2024.12"),
)
# By the schemes that Airflow's providers have for them.
PACKAGES = {
    **dict.fromkeys(("s3", "s3a", "s3n"), S3),
    **dict.fromkeys(("gs", "gcs"), GCS),
    **dict.fromkeys(("abfs", "abfss", "adl"), AZURE),
}


@cache
def object_store(address: str) -> ObjectStore:
    """Return the staging area at an address such as `s3://conn_id@bucket/prefix`, which has been proven to be fit.

    :raises BadSetting: for an address that nothing on this machine reaches.
    :raises BadConnection: when the connection isn't there.
    :raises StorageMissing: when the bucket isn't there.
    :raises NoConditionalWrites: when two could create the same object.
    """
    store = _opened(address)
    _prove(store, PACKAGES.get(urlsplit(address).scheme))
    return store


@cache
def _opened(address: str) -> ObjectStore:
    parts = urlsplit(address)
    conn_id, _, bucket = parts.netloc.rpartition("@")
    if not bucket or parts.query or parts.fragment:
        raise BadSetting(SETTING, address, "a bucket, such as s3://conn_id@bucket/prefix")
    if conn_id:
        try:
            BaseHook.get_connection(conn_id)
        except AirflowNotFoundException:
            # Amazon's hook would take whatever credentials this machine has.
            raise BadConnection(conn_id, f"isn't there; {SETTING} names it") from None
    path = _path(address, PACKAGES.get(parts.scheme))
    return ObjectStore(Objects(path.fs, path.path.strip("/"), address.rstrip("/")))


def _path(address: str, package: Package | None) -> Any:
    from airflow.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(address)
        # The file system is made when it is first asked for.
        _ = path.fs
    except Exception as error:  # noqa: BLE001 - each provider has errors of its own
        needs = "use s3://, gs:// or abfs://"
        if package:
            needs = f"install airflow-fanout[{package.extra}] on all workers, and on API servers for the page"
        expected = f"a folder, or an address that a provider on this machine reaches: {needs} ({redact(str(error))})"
        raise BadSetting(SETTING, address, expected) from None
    return path


def _prove(store: ObjectStore, package: Package | None) -> None:
    """Create one object twice: whoever claims something relies on it that the second attempt is refused."""
    key = object_layout.proof_of_conditions(secrets.token_hex(8))
    objects = store.objects
    objects.create(key, b"first")
    try:
        objects.create(key, b"second")
    except Taken:
        return
    finally:
        objects.delete([key])
    name = package.name if package else type(objects.files).__name__
    raise NoConditionalWrites(store.objects.address, name, _version_of(name), package.lowest if package else "any")


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def list_in_storage(address: str, *, is_read_only: bool = False) -> ListDirectory:
    """Return the list at an address in an object storage, as `str` of a list has it.

    :param is_read_only: whether nothing will be written: then the storage isn't proven to be fit, which takes a write.
    """
    area, key = layout.parts_of_address(address)
    return ListDirectory(_opened(area) if is_read_only else object_store(area), key)
