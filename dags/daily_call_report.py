"""# Daily call report

For each subscriber, the calls of the run's day: how many, how long, how many different numbers.
The subscriber list comes from the API; one request per subscriber goes to `/calls/{tel}`; one document per
subscriber and day ends up in `reports.daily_calls`.

Make it your own: change the two endpoints and their fields, and what `summarise` keeps of an answer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

from airflow_fanout import (
    ExtractOperator,
    GeventFetchOperator,
    HttpList,
    MongoLoadOperator,
    NextLink,
    Request,
    ValidateOperator,
)


def summarise(parameter: dict[str, Any], calls: list[dict[str, Any]]) -> dict[str, Any]:
    """Turn the calls of a subscriber's day into the report's document."""
    return {
        "tel": parameter["tel"],
        "calls": len(calls),
        "seconds": sum(call["seconds"] for call in calls),
        "numbers": len({call["to"] for call in calls}),
    }


with DAG(
    "daily_call_report",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    tags=["fanout", "report"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "limit": Param(
            None, type=["null", "integer"], minimum=1, description="Only so many subscribers, the first ones."
        ),
        "only": Param(
            [], type="array", items={"type": "string"}, description='Only these subscribers: ["+12025550100"].'
        ),
        "refetch": Param(
            default=False, type="boolean", description="Request everything anew, also what is there already."
        ),
    },
) as dag:
    extract = ExtractOperator(
        task_id="extract",
        source=HttpList(
            http_conn_id="call_api", endpoint="/subscribers", items="subscribers", pages=NextLink(field="next")
        ),
        names=("tel",),
        limit="{{ params.limit }}",
        only="{{ params.only | tojson }}",
    )
    fetch = GeventFetchOperator(
        task_id="fetch",
        parameters=extract.output,
        http_conn_id="call_api",
        request=Request(
            endpoint="/calls/{tel}",
            query={"day": "{{ macros.fanout.as_of(dag_run) | ds }}"},
            result="calls",
        ),
        concurrency=100,
        refetch="{{ params.refetch }}",
        execution_timeout=timedelta(hours=2),
    )
    validate = ValidateOperator(task_id="validate", parameters=extract.output)
    load = MongoLoadOperator(
        task_id="load",
        parameters=extract.output,
        database="reports",
        collection="daily_calls",
        key=("tel",),
        document=summarise,
    )
    extract >> fetch >> validate >> load
