"""The plugin: the one file of this folder that Airflow executes, in every one of its processes."""

from __future__ import annotations

from airflow.sdk.plugins_manager import AirflowPlugin

from airflow_fanout.as_of import as_of


class FanoutPlugin(AirflowPlugin):
    """Gives templates the run's one date: `{{ macros.fanout.as_of(dag_run) | ds }}`."""

    name = "fanout"
    macros = [as_of]  # noqa: RUF012 - Airflow's own attribute, a list by its definition
