"""The plugin: the one file of this folder that Airflow executes, in every one of its processes."""

from __future__ import annotations

from airflow.sdk.plugins_manager import AirflowPlugin

from airflow_fanout.as_of import as_of
from airflow_fanout.notify.deadline import LoadedBy
from airflow_fanout.notify.macro import alert


class FanoutPlugin(AirflowPlugin):
    """Gives templates the run's one date, `{{ macros.fanout.as_of(dag_run) | ds }}`, and the message of an alert."""

    name = "fanout"
    macros = [as_of, alert]  # noqa: RUF012 - Airflow's own attribute, a list by its definition
    deadline_references = [LoadedBy]  # noqa: RUF012 - the same
