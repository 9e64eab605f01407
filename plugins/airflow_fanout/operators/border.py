"""The border to Airflow: where a run's directory lies, and what an error of ours means to a task."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout.errors import BadSetting, FanoutError, StagingFailed
from airflow_fanout.staging.directory import ListDirectory

if TYPE_CHECKING:
    from airflow.sdk import XComArg

# Errors of a disk that name no file: it is full, the quota is used up, it doesn't work, it is read-only.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)

# What extract returns: one reference, or one per shard.
Reference = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Fail a task without retry for an error that trying again can't mend."""
    try:
        yield
    except FanoutError as error:
        if error.retry:
            raise
        raise AirflowFailException(str(error)) from error
    except OSError as error:
        if not _is_of_staging(error):
            raise
        raise StagingFailed(str(error.filename or staging_area()), error.strerror or str(error)) from error


def _is_of_staging(error: OSError) -> bool:
    if error.filename is None:
        return error.errno in DISK
    return Path(str(error.filename)).is_relative_to(staging_area())


def staging_area() -> Path:
    """Return the folder of all runs: `[fanout] staging`, by default `fanout` in Airflow's home.

    :raises BadSetting: for an address that isn't a folder of this machine's file system.
    """
    home = os.environ.get("AIRFLOW_HOME") or "~/airflow"
    address = conf.get("fanout", "staging", fallback=None) or f"{home}/fanout"
    parts = urlsplit(address)
    if parts.scheme not in ("", "file"):
        raise BadSetting(
            "[fanout] staging", address, "a folder that all workers see (a local disk, NFS, a shared volume)"
        )
    return Path(parts.path).expanduser()


def is_yes(field: str, value: bool | str) -> bool:  # noqa: FBT001 - the value is what this is about
    """Return a switch's value, which a template may have made a text of."""
    text = str(value).strip().lower()
    if text not in ("true", "false", "1", "0", "", "none"):
        raise BadSetting(field, value, "true or false")
    return text in ("true", "1")


def whole_number(field: str, value: object) -> int:
    """Return a number from 1 on, which a template may have made a text of."""
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise BadSetting(field, value, "a whole number from 1 on")
    return int(text)


def list_directory(reference: Reference | XComArg) -> ListDirectory:
    """Return the directory that extract's output refers to; a template has made its value of the `XComArg`."""
    one = reference[0] if isinstance(reference, Sequence) and reference else reference
    if not isinstance(one, Mapping) or "directory" not in one:
        raise BadSetting("parameters", reference, "the output of an ExtractOperator, as in parameters=extract.output")
    return ListDirectory(Path(one["directory"]))
