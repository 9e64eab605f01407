"""Airflow's REST interface, as far as the demo, the tests and the benchmark need it; answers are Airflow's own JSON."""

from harness.airflow.backfills import Backfills
from harness.airflow.dags import Dags
from harness.airflow.runs import Runs
from harness.airflow.tasks import Tasks


class AirflowClient(Dags, Runs, Tasks, Backfills):
    """All of it in one session."""
