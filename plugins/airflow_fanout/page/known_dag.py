"""What the page takes from the form in which Airflow stores a DAG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from airflow_fanout.page.late import DagDeadline
from airflow_fanout.page.outline import Outline, outlines


class KnownDag(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG.

    :param reports: its reports; none if it isn't one.
    :param choices: by param, the values that the DAG itself lists.
    :param deadlines: those of its runs.
    :param zone: its time zone, by which its days are counted.
    """

    reports: Sequence[Outline] = ()
    choices: Mapping[str, Sequence[Any]] = {}
    deadlines: Sequence[DagDeadline] = ()
    zone: tzinfo = UTC

    @property
    def task_ids(self) -> list[str]:
        """The tasks of all of its reports."""
        return [task_id for report in self.reports for task_id in report.task_ids]

    @classmethod
    def of(cls, stored: Mapping[str, Any], deadlines: Iterable[DagDeadline]) -> KnownDag:
        """Return what is known of a DAG that is stored as JSON."""
        params = dict(stored.get("dag", {}).get("params") or ())
        return cls(
            reports=outlines(stored),
            choices={name: [*_listed(param, "enum"), *_listed(param, "examples")] for name, param in params.items()},
            deadlines=[*deadlines],
            zone=_zone(stored.get("dag", {}).get("timezone", "UTC")),
        )


def _zone(name: str | int) -> tzinfo:
    """Return a zone as Airflow stores it: by its name, or as seconds east of UTC."""
    return timezone(timedelta(seconds=name)) if isinstance(name, int) else ZoneInfo(name)


def _listed(param: Mapping[str, Any], name: str) -> Sequence[Any]:
    schema = param.get("schema") or {}
    values = schema.get("__var", schema).get(name)
    return values if isinstance(values, list) else ()
