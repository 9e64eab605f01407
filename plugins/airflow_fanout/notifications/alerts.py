"""Alerts of a DAG: one message for a run that fails, one when it is good again, one when it is late."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from msgspec import structs

from airflow_fanout.adapters.border import staging_mode, staging_store
from airflow_fanout.alerts.caught_up import caught_up
from airflow_fanout.alerts.partial import partial
from airflow_fanout.alerts.recovered import recovered
from airflow_fanout.errors import BadSetting, FanoutError
from airflow_fanout.notifications.channel import Channel, send
from airflow_fanout.notifications.deadline import LoadedBy, send_late
from airflow_fanout.notifications.run import effort_of, failed_alert, pages, run_of, started_of, zone_of
from airflow_fanout.staging.catch_up import take_settled
from airflow_fanout.staging.left_out import left_out_by
from airflow_fanout.staging.open_failures import OpenFailure, OpenFailures

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.deadline import DeadlineAlert

log = logging.getLogger(__name__)


class Alerts:
    """What a DAG tells of its runs, and on which channels.

    :param channels: where the messages go; each gets all of them.
    :param team: the team whose staging area the DAG's runs use. Needed if the teams of an Airflow have their own:
        Airflow tells its tasks which team they belong to, and these callbacks not.

    `DAG(on_failure_callback=alerts.failed, on_success_callback=alerts.recovered, deadline=alerts.not_loaded_by(…))`.
    Airflow calls these once for a run, whatever failed in it, and outside of its tasks: what goes wrong with a message
    is logged, and changes nothing of the run.
    """

    def __init__(self, *channels: Channel, team: str | None = None) -> None:
        if team is not None and not (isinstance(team, str) and team):
            raise BadSetting("Alerts(team)", team, "the name of a team, as Airflow has it")
        for channel in channels:
            if not isinstance(channel, Channel):
                raise BadSetting("Alerts", channel, "a Channel(…), or several")
        if not channels:
            raise BadSetting("Alerts", channels, "at least one Channel(…)")
        self.channels = channels
        self.team = team

    def failed(self, context: Context) -> None:
        """Tell that a run has failed; for the DAG's `on_failure_callback`."""
        self._remember(context)
        send(self.channels, failed_alert(context), context)

    def recovered(self, context: Context) -> None:
        """Tell that a run is good again, if one has failed before; for the DAG's `on_success_callback`.

        A run that was loaded in part is no recovery: the message says what it left out. Another message says that a
        run has loaded, or given up, what earlier ones left out.
        """
        run = run_of(context)
        if run is None:
            return
        store, dag_id, zone = staging_store(team=self.team), context["dag"].dag_id, zone_of(context)
        if settled := take_settled(store, dag_id, run.run_id):
            send(self.channels, caught_up(run, settled, pages(dag_id)), context)
        if left_outs := left_out_by(store, dag_id, run.run_id):
            send(self.channels, partial(run, left_outs, zone, pages(dag_id), started_of(context)), context)
            return
        if failures := OpenFailures.of(store, dag_id).end(run):
            good = recovered(run, failures, zone, pages(dag_id), effort_of(context), started_of(context))
            send(self.channels, good, context)

    def not_loaded_by(self, at: str | time, *, timezone: str = "UTC") -> DeadlineAlert:
        """Return the deadline of each scheduled run, whose message tells how far it is; for the DAG's `deadline`.

        :param at: the time of the day by which it should be loaded, such as "08:00".
        :param timezone: the zone of that time, such as "Europe/Berlin".
        """
        from airflow.sdk.definitions.callback import AsyncCallback
        from airflow.sdk.definitions.deadline import DeadlineAlert

        channels = [structs.asdict(channel.written()) for channel in self.channels]
        arguments = {"channels": channels, "timezone": timezone, "team": self.team}
        return DeadlineAlert(
            reference=LoadedBy(at, timezone),
            interval=timedelta(0),
            callback=AsyncCallback(send_late, kwargs=arguments),
            name=f"not loaded by {at} ({timezone})",
        )

    def _remember(self, context: Context) -> None:
        run = run_of(context)
        if run is None:
            return
        try:
            failures = OpenFailures.of(staging_store(staging_mode(self.team), self.team), context["dag"].dag_id)
            now = datetime.now(UTC)
            failures.add(OpenFailure(run_id=run.run_id, as_of=run.as_of, made_by=run.made_by, since=now))
        except (OSError, FanoutError):
            log.warning("The failure can't be remembered: nothing will tell of its recovery.", exc_info=True)
