"""The ids by a mapped `HttpOperator`: a task instance for each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.mongo.hooks.mongo import MongoHook
from airflow.sdk import DAG, task

from bench.asked import FIRST
from bench.dags import CONNECTION, COUNT


@task
def extract() -> list[str]:
    """Return the paths to ask for."""
    return [f"/500/{number}" for number in range(FIRST, FIRST + COUNT)]


@task
def load(answers: Iterable[dict[str, Any]]) -> None:
    """Write the answers."""
    with MongoHook("mongo_default") as hook:
        hook.get_collection("mapped", "bench").insert_many([{**answer} for answer in answers])


with DAG("bench_mapped", schedule=None) as dag:
    fetch = HttpOperator.partial(
        task_id="fetch", http_conn_id=CONNECTION, method="GET", response_filter=lambda answer: answer.json()
    ).expand(endpoint=extract())
    # The output is what will be the list of answers.
    load(fetch.output)  # type: ignore[arg-type]
