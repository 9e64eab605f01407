"""A real Airflow under control: its home, its processes, its REST interface, and runs without a scheduler."""

from demo.airflow.client import AirflowClient
from demo.airflow.errors import (
    AirflowNotHealthy,
    BackfillNotCompleted,
    ComponentEnded,
    DagImportFailed,
    DagNotParsed,
    RequestRefused,
    RunNotFinished,
    TaskNotInState,
)
from demo.airflow.home import AirflowHome, environment, initialise
from demo.airflow.keys import HomeKeys, load_keys
from demo.airflow.server import Airflow
from demo.airflow.single_run import SingleRun, run_dag
from demo.airflow.site import AirflowSite

__all__ = [
    "Airflow",
    "AirflowClient",
    "AirflowHome",
    "AirflowNotHealthy",
    "AirflowSite",
    "BackfillNotCompleted",
    "ComponentEnded",
    "DagImportFailed",
    "DagNotParsed",
    "HomeKeys",
    "RequestRefused",
    "RunNotFinished",
    "SingleRun",
    "TaskNotInState",
    "environment",
    "initialise",
    "load_keys",
    "run_dag",
]
