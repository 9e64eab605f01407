"""The border to Airflow: where a run's directory lies, and what an error of ours means to a task."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout.adapters.errors import NoList, StagingErasing, StagingRemoved, StorageDenied, StorageFailed
from airflow_fanout.adapters.team import team_setting
from airflow_fanout.errors import BadSetting, FanoutError
from airflow_fanout.masking import KindOf
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.errors import StagingChanged, StagingDenied, StagingFailed, StagingLost
from airflow_fanout.staging.files import PRIVATE
from airflow_fanout.staging.frozen import Manifest, read_manifest, verify_list
from airflow_fanout.staging.reference import OUTPUT, Reference
from airflow_fanout.staging.store import Store

if TYPE_CHECKING:
    from airflow.sdk import XComArg

_MODE = re.compile(r"0?[02]?7[0-7]{2}")


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Fail a task without retry for an error that a retry can't fix."""
    try:
        yield
    except FanoutError as error:
        if error.retry:
            raise
        raise AirflowFailException(str(error)) from error
    except OSError as error:
        if not _is_staged(error):
            raise
        problem = staging_problem(error)
        if problem.retry:
            raise problem from error
        raise AirflowFailException(str(problem)) from error


def _is_staged(error: OSError) -> bool:
    """Return whether an error of the operating system is about something in the staging area."""
    if error.filename is None:
        return False
    address = str(error.filename)
    return is_storage(address) or Path(address).is_relative_to(staging_area())


def staging_problem(error: OSError) -> FanoutError:
    """Return what an error of the operating system says of the staging area; it names a file there."""
    path, reason = str(error.filename), error.strerror or str(error)
    if is_storage(path) and error.errno != errno.ENOENT:
        return StorageDenied(path, reason) if error.errno == errno.EACCES else StorageFailed(path, reason)
    if error.errno in (errno.EACCES, errno.EPERM):
        return StagingDenied(path, os.geteuid(), _owner(Path(path)))
    if error.errno == errno.ENOENT:
        return StagingLost(path, "isn't there")
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.ELOOP):
        return StagingChanged(path, f"isn't what should be there ({reason})")
    return StagingFailed(path, reason)


def _owner(path: Path) -> str:
    """Return whose a file is; of one in a closed folder that is what can be seen of the folder."""
    for place in (path, *path.parents):
        try:
            status = place.stat()
        except OSError:
            continue
        return f": {place} belongs to uid {status.st_uid}, mode {status.st_mode & 0o7777:04o}"
    return ""


def staging_address(team: str | None = None) -> str:
    """Return where all runs are: `[fanout] staging`, a folder or an address, by default `fanout` in Airflow's home.

    :param team: whose; by default that of the running task's team, if it has one.
    """
    home = os.environ.get("AIRFLOW_HOME") or "~/airflow"
    return team_setting("staging", team) or f"{home}/fanout"


def staging_area(team: str | None = None) -> Path:
    """Return the folder of all runs, if they are in one."""
    return Path(urlsplit(staging_address(team)).path).expanduser()


def is_storage(address: str) -> bool:
    """Tell whether an address is one of an object storage, and no folder's."""
    return urlsplit(address).scheme not in ("", "file")


def staging_mode(team: str | None = None) -> int:
    """Return the mode of the folders that are made in the staging area: `[fanout] staging_mode`, by default 0700.

    :param team: whose; by default that of the running task's team, if it has one.
    :raises BadSetting: for what is no mode, or leaves out the user of the tasks.
    """
    text = (team_setting("staging_mode", team) or f"{PRIVATE:04o}").strip()
    if not _MODE.fullmatch(text):
        raise BadSetting("[fanout] staging_mode", text, "a folder's mode as octal digits, such as 0700 or 0770")
    return int(text, 8) & 0o777


def staging_store(mode: int | None = None, team: str | None = None) -> Store:
    """Return the staging area as a store.

    :param mode: the mode of the folders that are made; by default that of the folder above.
    :param team: whose; by default that of the running task's team, if it has one.
    :raises FanoutError: for an object storage that can't be one.
    """
    # Only a task that runs, or an alert, looks into it.
    if is_storage(address := staging_address(team)):
        from airflow_fanout.adapters.storage import object_store

        return object_store(address)
    from airflow_fanout.staging.folder import FolderStore

    return FolderStore(staging_area(team), mode)


def list_directory(reference: Reference | XComArg) -> ListDirectory:
    """Return the directory that extract's output refers to; a template has made its value of the `XComArg`.

    :raises NoList: when extract has returned nothing.
    :raises BadSetting: when it is no such output. What it is instead isn't shown: it may be the parameters.
    """
    address = _one(reference)["directory"]
    if is_storage(address):
        from airflow_fanout.adapters.storage import list_in_storage

        return list_in_storage(address)
    from airflow_fanout.staging.folder import list_at

    return list_at(address)


def list_to_read(address: str) -> ListDirectory:
    """Return the list at an address, for a process that only reads: it needn't have the right to write there.

    :raises FanoutError: for an object storage that this machine can't reach.
    """
    if is_storage(address):
        from airflow_fanout.adapters.storage import list_in_storage

        return list_in_storage(address, is_read_only=True)
    from airflow_fanout.staging.folder import list_at

    return list_at(address)


def _one(reference: Reference | XComArg) -> Mapping[str, Any]:
    first: Any = reference
    if isinstance(reference, list | tuple) and reference:
        first = reference[0]
        lists = {
            str(each["directory"]) if isinstance(each, Mapping) and "directory" in each else None for each in reference
        }
        # Shards are of one list; what the tasks of a mapped group have returned are several.
        if len(lists) > 1:
            expected = "one list: in a mapped task group, that of the group's own ExtractOperator"
            raise BadSetting("parameters", f"{len(reference)} lists", expected)
    if isinstance(first, Mapping) and isinstance(first.get("directory"), str):
        return first
    if not reference:
        raise NoList
    raise BadSetting("parameters", KindOf(reference), OUTPUT)


def checked_list(reference: Reference | XComArg) -> tuple[ListDirectory, Manifest]:
    """Return the frozen list that extract's output refers to, and what is known of it; all of it is read and verified.

    :raises StagingLost: when the list isn't there.
    :raises StagingErasing: while parameters are erased from it.
    :raises StagingRemoved: when it was removed once it was loaded.
    :raises StagingChanged: when it isn't the one that extract has frozen.
    """
    directory = list_directory(reference)
    manifest = read_manifest(directory)
    if directory.loaded.is_there():
        raise StagingRemoved(str(directory))
    if directory.erasing.is_there():
        raise StagingErasing(str(directory))
    if _one(reference).get("list", manifest.id) != manifest.id:
        raise StagingChanged(str(directory.manifest), "isn't of the list that extract has frozen")
    verify_list(directory, manifest)
    return directory, manifest
