"""A real Airflow under control: its home, its processes, its REST interface, and runs without a scheduler."""

from harness.airflow.client import AirflowClient
from harness.airflow.errors import (
    AirflowNotHealthy,
    BackfillNotCompleted,
    ComponentEnded,
    DagImportFailed,
    DagNotParsed,
    RequestRefused,
    RunNotFinished,
    TaskNotInState,
)
from harness.airflow.home import AirflowHome, environment, initialise
from harness.airflow.keys import HomeKeys, load_keys
from harness.airflow.server import Airflow
from harness.airflow.single_run import SingleRun, run_dag
from harness.airflow.site import AirflowSite
from harness.airflow.worker import CeleryWorker, celery_config

__all__ = [
    "Airflow",
    "AirflowClient",
    "AirflowHome",
    "AirflowNotHealthy",
    "AirflowSite",
    "BackfillNotCompleted",
    "CeleryWorker",
    "ComponentEnded",
    "DagImportFailed",
    "DagNotParsed",
    "HomeKeys",
    "RequestRefused",
    "RunNotFinished",
    "SingleRun",
    "TaskNotInState",
    "celery_config",
    "environment",
    "initialise",
    "load_keys",
    "run_dag",
]
