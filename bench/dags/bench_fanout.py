"""The ids by airflow-fanout, in its four tasks."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_fanout import ExtractOperator, GeventFetchOperator, MongoLoadOperator, Request, ValidateOperator
from bench.asked import FIRST
from bench.dags import CONNECTION, COUNT


def numbers() -> range:
    """Return the ids to ask for."""
    return range(FIRST, FIRST + COUNT)


with DAG("bench_fanout", schedule=None) as dag:
    extract = ExtractOperator(task_id="extract", source=numbers, names=("number",))
    fetch = GeventFetchOperator(
        task_id="fetch",
        parameters=extract.output,
        http_conn_id=CONNECTION,
        request=Request(endpoint="/500/{number}"),
        concurrency=100,
    )
    validate = ValidateOperator(task_id="validate", parameters=extract.output)
    load = MongoLoadOperator(
        task_id="load", parameters=extract.output, database="bench", collection="fanout", key=("number",)
    )
    extract >> fetch >> validate >> load
