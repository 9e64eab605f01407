"""The plugin: the one file of this folder that Airflow executes, in every one of its processes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow.sdk.plugins_manager import AirflowPlugin
from jinja2 import pass_context

from airflow_fanout.model.as_of import of_context
from airflow_fanout.notifications.deadline import LoadedBy
from airflow_fanout.notifications.macro import alert

if TYPE_CHECKING:
    from jinja2.runtime import Context


@pass_context
def as_of(context: Context) -> datetime:
    """Return the run's one date as a moment in UTC: `{{ macros.fanout.as_of() }}`."""
    return of_context(context).moment  # type: ignore[arg-type] # a mapping in all but its name


@pass_context
def day(context: Context) -> str:
    """Return the run's day in the DAG's time zone: `{{ macros.fanout.day() }}`."""
    return of_context(context).day  # type: ignore[arg-type] # as above


class FanoutPlugin(AirflowPlugin):
    """Gives templates the run's one date, its day (`{{ macros.fanout.day() }}`), and the message of an alert."""

    name = "fanout"
    macros = [as_of, day, alert]  # noqa: RUF012 - Airflow's own attribute, a list by its definition
    deadline_references = [LoadedBy]  # noqa: RUF012 - the same
