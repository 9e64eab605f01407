"""# Daily call report

For each subscriber, the calls of the day that has ended: how many, how long, to how many numbers.
The subscriber list comes from the API; one request per subscriber goes to `/calls/{tel}`; one document per
subscriber and day ends up in `reports.daily_calls`.

A run that is triggered by hand is about the param `day`, or, without it, about the last day that has ended.

It sends a mail (connection `mail`) when a run fails, when it is good again, and when it isn't loaded by 08:00.

`airflow dags test daily_call_report` ends with code 1 after four good tasks, because Airflow 3.3 fails to store a run's
`deadline=` there. Remove that line to try the report in this way.

To make it your own, change the time zone, the addresses of the mail, the two endpoints and their fields, and what
`summarise` keeps of an answer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from airflow_fanout import (
    Alerts,
    Channel,
    ExtractOperator,
    GeventFetchOperator,
    HttpList,
    MongoLoadOperator,
    NextLink,
    Request,
    ValidateOperator,
)

# The time zone whose days the report is about.
ZONE = "Europe/Berlin"


def summarise(parameter: dict[str, Any], calls: list[dict[str, Any]]) -> dict[str, Any]:
    """Turn the calls of a subscriber's day into the report's document."""
    return {
        "tel": parameter["tel"],
        "calls": len(calls),
        "seconds": sum(call["seconds"] for call in calls),
        "numbers": len({call["to"] for call in calls}),
    }


alerts = Alerts(
    Channel(
        SmtpNotifier,
        smtp_conn_id="mail",
        from_email="reports@example.org",
        to="on-call@example.org",
        subject="{{ macros.fanout.alert().subject }}",
        html_content="{{ macros.fanout.alert().html }}",
    ),
)

with DAG(
    "daily_call_report",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone=ZONE),
    start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo(ZONE)),
    catchup=False,
    tags=["fanout", "report"],
    doc_md=__doc__,
    on_failure_callback=alerts.failed,
    on_success_callback=alerts.recovered,
    deadline=alerts.not_loaded_by("08:00", timezone=ZONE),
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            description="The day to report, for a run triggered by hand. If empty, the last day that has ended.",
        ),
        "limit": Param(
            None, type=["null", "integer"], minimum=1, description="Only this many subscribers, from the beginning."
        ),
        "only": Param(
            None,
            type=["null", "array"],
            items={"type": "string"},
            description="Only these subscribers, one per line, such as +12025550100.",
        ),
        "refetch": Param(
            default=False, type="boolean", description="Request everything again, including what is there already."
        ),
        "concurrency": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=1000,
            description="The maximum number of requests in flight; 100 if empty.",
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
        request=Request(endpoint="/calls/{tel}", query={"day": "{{ macros.fanout.day() }}"}, result="calls"),
        concurrency="{{ params.concurrency or 100 }}",
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
