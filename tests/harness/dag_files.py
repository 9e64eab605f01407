"""DAG files for the tests of Airflow's own ways, with a name of the test's in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.runs import until

if TYPE_CHECKING:
    from harness.airflow import AirflowClient

TWO_TASKS = """
    from airflow.sdk import dag, get_current_context, task

    @dag(schedule=None)
    def {dag_id}():
        @task
        def answer():
            return get_current_context()["dag_run"].conf.get("answer", 42)

        @task
        def tell(number):
            print(f"the answer is {{number}}")

        tell(answer())

    {dag_id}()
"""

SLOW = """
    import time
    from airflow.sdk import dag, get_current_context, task

    @dag(schedule=None)
    def {dag_id}():
        @task
        def rest():
            get_current_context()["task_state_store"].set("progress", {{"done": 3}})
            print("resting")
            time.sleep(300)

        rest()

    {dag_id}()
"""

DAILY = """
    from airflow.sdk import dag, task

    @dag(schedule="@daily", start_date=__import__("pendulum").datetime(2026, 1, 1), catchup=False)
    def {dag_id}():
        @task
        def day(ds=None):
            return ds

        day()

    {dag_id}()
"""


def two_tasks(dag_id: str) -> str:
    """Write a DAG file whose second task prints the first one's answer."""
    return TWO_TASKS.format(dag_id=dag_id)


def slow(dag_id: str) -> str:
    """Write a DAG file whose task tells its progress and then rests for minutes."""
    return SLOW.format(dag_id=dag_id)


def daily(dag_id: str) -> str:
    """Write a DAG file whose task returns the day of the run."""
    return DAILY.format(dag_id=dag_id)


def wait_resting(client: AirflowClient, dag_id: str) -> str:
    """Trigger the slow DAG and wait until its task has begun."""
    run_id = client.trigger(dag_id)
    until(lambda: "progress" in client.task_state(dag_id, run_id, "rest"), what="a resting task")
    return run_id
