"""Reports that tell of their failures: in three shards, by mail and by a webhook."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.http.notifications.http import HttpNotifier
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG
from subscribers import DAY, some

from airflow_fanout import Alerts, Channel, FanoutTaskGroup, Request

CALLS = Request(endpoint="/calls/{tel}", query={"day": DAY}, result="calls")
MESSAGE = {
    "to": "on-call@example.org",
    "from_email": "airflow@example.org",
    "subject": "{{ macros.fanout.alert().subject }}",
    "html_content": "{{ macros.fanout.alert().html }}",
}
MAIL = Channel(SmtpNotifier, smtp_conn_id="mail", **MESSAGE)
DEAD_MAIL = Channel(SmtpNotifier, smtp_conn_id="dead_mail", **MESSAGE)
HOOK = Channel(HttpNotifier, http_conn_id="hook", endpoint="/alerts", json={"text": "{{ macros.fanout.alert().text }}"})


def report(dag_id: str, *, shards: int | None = 3, partial: bool = False, **dag_arguments: Any) -> DAG:
    """Make a DAG whose fetch is mapped over three shards, or over none."""
    with DAG(
        dag_id,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        default_args={"retries": 0, "retry_delay": timedelta(seconds=1)},
        params={"first": 0, "count": 300},
        **dag_arguments,
    ) as dag:
        FanoutTaskGroup(
            "report",
            prefix_group_id=False,
            extract={"source": some, "names": ("tel",), "shards": shards},
            fetch={"request": CALLS, "http_conn_id": "call_api", "concurrency": 10},
            validate={"allow_partial": partial},
            load={"database": "tests", "collection": dag_id, "key": ("tel",)},
        )
    return dag


def told(alerts: Alerts) -> dict[str, Any]:
    """Return what a DAG says to use alerts."""
    return {"on_failure_callback": alerts.failed, "on_success_callback": alerts.recovered}


alerted = report("alerted", **told(Alerts(MAIL, HOOK)))
in_part = report("alerted_in_part", partial=True, **told(Alerts(HOOK)))
timed = report("alerted_in_time", dagrun_timeout=timedelta(seconds=8), **told(Alerts(HOOK)))
in_vain = report("alerted_in_vain", **told(Alerts(DEAD_MAIL, HOOK)))
plainly = report("alerted_plainly", on_failure_callback=SmtpNotifier(smtp_conn_id="mail", **MESSAGE))
disturbed = report("disturbed", shards=None, **told(Alerts(HOOK)))
