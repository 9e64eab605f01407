"""The deadline of a report: when it is due, and what is said when it isn't loaded by then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk.definitions.deadline import BaseDeadlineReference

from airflow_fanout.alerts.due import due
from airflow_fanout.model.clock import to_time, to_zone

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_fanout.staging.live import Live

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LoadedBy(BaseDeadlineReference):
    """The first such time of the day after a scheduled run could begin.

    A run of a backfill, or one that was triggered by hand, has no deadline; nor has one that is created after that
    time: the first run of a DAG that is unpaused at nine, or one that makes up for a lost day. Airflow knows this class
    by the plugin.

    :param at: the time of the day, such as "08:00".
    :param timezone: its zone, by name.
    """

    at: str | time = "08:00"
    timezone: str = "UTC"

    required_kwargs = frozenset({"dag_id", "run_id"})

    def __post_init__(self) -> None:
        to_time("at", self.at)
        to_zone("timezone", self.timezone)

    def serialize_reference(self) -> dict[str, Any]:
        """Return the reference as plain JSON, for Airflow's database."""
        at = to_time("at", self.at).isoformat()
        return {"reference_type": self.reference_name, "at": at, "timezone": self.timezone}

    @classmethod
    def deserialize_reference(cls, reference_data: Mapping[str, Any]) -> LoadedBy:
        """Return the reference that `serialize_reference` described."""
        return cls(reference_data["at"], reference_data["timezone"])

    def _evaluate_with(self, *, session: Session, dag_id: str, run_id: str) -> datetime | None:
        # This runs in Airflow's own processes: elsewhere its database isn't to be touched, nor its models loaded.
        from airflow.models import DagRun
        from sqlalchemy import select

        wanted = select(DagRun.run_after).where(
            DagRun.dag_id == dag_id, DagRun.run_id == run_id, DagRun.run_type == "scheduled"
        )
        run_after = session.scalar(wanted)
        if run_after is None:
            return None
        return due(run_after, to_time("at", self.at), to_zone("timezone", self.timezone), datetime.now(UTC))


async def send_late(
    *, channels: Sequence[Mapping[str, Any]], timezone: str, context: Mapping[str, Any], team: str | None = None
) -> None:
    """Tell that a run isn't loaded in time, and how far it is: Airflow's callback of a missed deadline.

    It runs in the triggerer. The other place, a worker, waits for a free slot, and there Airflow 3.3.2 refuses a
    callback the connections of its database (apache/airflow#66141).

    :param channels: the channels, as JSON.
    :param timezone: the time zone of the times in the message.
    :param context: what Airflow gives: the run as its REST interface shows it, and the deadline.
    :param team: the team whose staging area the run uses.
    """
    # Notifiers block, and whatever else the triggerer waits for must not.
    await asyncio.to_thread(_send_late, channels, timezone, context, team)


def _send_late(
    channels: Sequence[Mapping[str, Any]], timezone: str, context: Mapping[str, Any], team: str | None
) -> None:
    # Every process of Airflow's loads this file, with the plugin: what one message needs, only that one loads.
    from airflow_fanout.alerts.late import LateRun, late
    from airflow_fanout.model.as_of import of_run
    from airflow_fanout.notifications.channel import WrittenChannel, send
    from airflow_fanout.notifications.run import pages

    run, now, zone = context["dag_run"], datetime.now(UTC), to_zone("timezone", timezone)
    reports, problem = _reports(run["dag_id"], run["dag_run_id"], team)
    facts = LateRun(
        run_id=run["dag_run_id"],
        as_of=next((report.as_of for report in reports if report.as_of), None) or of_run(_Told(run), {}, zone).moment,
        due=_moment(context["deadline"]["deadline_time"]) or now,
        zone=zone,
        state=str(run["state"]),
        reports=reports,
        problem=problem,
    )
    written = msgspec.convert(channels, list[WrittenChannel])
    send([channel.channel() for channel in written], late(facts, pages(run["dag_id"]), now), context)


def _reports(dag_id: str, run_id: str, team: str | None) -> tuple[list[Live], str]:
    from airflow_fanout.adapters.border import staging_store
    from airflow_fanout.staging.live import live

    try:
        return live(staging_store(team=team), dag_id, run_id), ""
    except Exception as error:
        log.warning("The progress can't be read.", exc_info=True)
        return [], f"The progress could not be read ({type(error).__name__}); see the run's page."


def _moment(value: str | datetime | None) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


class _Told(SimpleNamespace):
    """A run as the REST interface shows it, its moments as moments."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        names = ("logical_date", "data_interval_start", "data_interval_end", "run_after", "queued_at", "start_date")
        super().__init__(**{**run, **{name: _moment(run.get(name)) for name in names}})
