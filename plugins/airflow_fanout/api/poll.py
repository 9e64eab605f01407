"""A job that a request creates: how it is asked about, and where its result is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from msgspec import structs

from airflow_fanout.api.page import FieldOrHeader, check_field_or_header, place_of
from airflow_fanout.api.result import Path, check_path
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.declared import Declared
from airflow_fanout.model.settings import check_at_least, check_kind

# The name under which the texts of a poll know the job's id.
JOB = "job"
_JOB_FIELD = re.compile(r"(?<!\\)\{job\}")


class Poll(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to wait for the job that a request creates.

    :param endpoint: the path that says how the job is, such as `/exports/{job}`; `{job}` is the job's id. Without it,
        `job` is the address that says so.
    :param job: where the answer to the request has the job's id or address: a dotted path (a tuple where a name has a
        dot), or a `Header` such as `Header("Location")`.
    :param status: where the answer about the job says how it is. Without it, the HTTP status 202 says that the job
        isn't ready, and any other status of 2xx that it is.
    :param ready: the values of `status` that say that the result is there.
    :param failed: the values that say that there will be none. With any other value, the job is asked about again.
    :param download: where the answer about a ready job has the address of the result; it may be at another origin,
        which gets neither the connection's credentials nor any headers of the request.
    :param download_endpoint: the path of the result, such as `/exports/{job}/file`. Without both, the answer about the
        ready job has the result itself.
    :param interval_s: how long to wait before the job is asked about again, in seconds, unless `Retry-After` says so.
    :param timeout_s: how long a job may take from its creation, in seconds.
    """

    endpoint: str | None = None
    job: FieldOrHeader = "id"
    status: Path | None = None
    ready: Sequence[Json] = ()
    failed: Sequence[Json] = ()
    download: Path | None = None
    download_endpoint: str | None = None
    interval_s: float = 5.0
    timeout_s: float = 3_600.0

    def __post_init__(self) -> None:
        # In a rendered request it is plain JSON.
        structs.force_setattr(self, "job", place_of(self.job))
        check_field_or_header("Poll.job", self.job)
        self._check_endpoints()
        self._check_values()
        for name in ("status", "download"):
            if getattr(self, name) is not None:
                check_path(f"Poll.{name}", getattr(self, name))
        check_at_least("Poll.interval_s", self.interval_s, 0.01, "seconds")
        check_at_least("Poll.timeout_s", self.timeout_s, self.interval_s, "seconds (interval_s)")

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """The texts in which `{job}` and fields of the parameter may stand, by their names."""
        texts = (("Poll.endpoint", self.endpoint), ("Poll.download_endpoint", self.download_endpoint))
        return tuple((name, text) for name, text in texts if text is not None)

    def _check_endpoints(self) -> None:
        for name, text in self.texts:
            if not isinstance(text, str) or "://" in text.split("?", 1)[0] or not _JOB_FIELD.search(text):
                raise BadSetting(name, text, "a path below the connection's address with {job} in it: /exports/{job}")
        if self.download_endpoint is not None and self.download is not None:
            raise BadSetting("Poll.download_endpoint", self.download_endpoint, "nothing besides `download`")
        if self.download_endpoint is not None and self.endpoint is None:
            expected = "nothing without `endpoint`: `job` is an address then, and no id"
            raise BadSetting("Poll.download_endpoint", self.download_endpoint, expected)

    def _check_values(self) -> None:
        for name in ("ready", "failed"):
            values = getattr(self, name)
            if isinstance(values, str) or not isinstance(values, Sequence):
                raise BadSetting(f"Poll.{name}", values, 'a tuple of values, such as ("done",)')
            if values and self.status is None:
                raise BadSetting(
                    f"Poll.{name}", values, "nothing without `status`, the path of the field that has them"
                )
        if self.status is not None and not self.ready:
            raise BadSetting("Poll.ready", self.ready, "the values of `status` that say that the result is there")
        if both := [value for value in self.ready if is_one_of(value, self.failed)]:
            raise BadSetting("Poll.failed", self.failed, f"no value that `ready` has, too: {both[0]!r}")


def is_one_of(value: Json, values: Sequence[Json]) -> bool:
    """Return whether a value is one of several; to Python, but not to JSON, False is 0 and True is 1."""
    return any(isinstance(value, bool) is isinstance(each, bool) and value == each for each in values)


def poll_of(value: Any) -> Poll | None:
    """Return a setting that may have travelled as JSON.

    :raises BadSetting: when it is no `Poll`.
    """
    if isinstance(value, dict):
        return Poll(**value)
    if value is not None:
        check_kind("poll", value, Poll, 'Poll(endpoint="/exports/{job}", status="status", ready=("done",))')
    return cast("Poll | None", value)


def job_problem(poll: Poll | None, known: Sequence[str]) -> BadSetting | None:
    """Return what is wrong with a poll of parameters that have a field `job` themselves.

    :param known: the names of the parameters' fields.
    """
    if poll is None or poll.endpoint is None or JOB not in known:
        return None
    return BadSetting("Poll.endpoint", poll.endpoint, "parameters without a field `job`: {job} is the job's id")
