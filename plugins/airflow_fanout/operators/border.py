"""The border to Airflow: where a run's directory lies, and what an error of ours means to a task."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout.errors import BadSetting, FanoutError
from airflow_fanout.staging.directory import ListDirectory

if TYPE_CHECKING:
    from airflow.sdk import XComArg

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


def list_directory(reference: Reference | XComArg) -> ListDirectory:
    """Return the directory that extract's output refers to; a template has made its value of the `XComArg`."""
    one = reference[0] if isinstance(reference, Sequence) and reference else reference
    if not isinstance(one, Mapping) or "directory" not in one:
        raise BadSetting("parameters", reference, "the output of an ExtractOperator, as in parameters=extract.output")
    return ListDirectory(Path(one["directory"]))
