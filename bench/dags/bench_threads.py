"""The ids by one task with a thread pool."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from airflow.providers.mongo.hooks.mongo import MongoHook
from airflow.sdk import DAG, BaseHook, task
from requests.adapters import HTTPAdapter

from bench.asked import FIRST
from bench.dags import CONNECTION, COUNT

THREADS = 100


@task
def extract() -> list[int]:
    """Return the ids to ask for."""
    return [*range(FIRST, FIRST + COUNT)]


@task
def fetch(numbers: list[int]) -> list[dict[str, Any]]:
    """Return the answers."""
    connection = BaseHook.get_connection(CONNECTION)
    base = f"http://{connection.host}:{connection.port}"
    session = requests.Session()
    session.mount(base, HTTPAdapter(pool_maxsize=THREADS))

    def get(number: int) -> Any:
        answer = session.get(f"{base}/500/{number}", timeout=60)
        answer.raise_for_status()
        return answer.json()

    with session, ThreadPoolExecutor(THREADS) as threads:
        return [*threads.map(get, numbers)]


@task
def load(answers: list[dict[str, Any]]) -> None:
    """Write the answers."""
    with MongoHook("mongo_default") as hook:
        hook.get_collection("threads", "bench").insert_many(answers)


with DAG("bench_threads", schedule=None) as dag:
    # A call of a task returns what will be its result.
    load(fetch(extract()))  # type: ignore[arg-type]
