"""# Invoices of the day

The customers in PostgreSQL (connection `crm`), the invoices of each from a SaaS company's API (connection
`billing_api`, OAuth 2.0), page by page and at most 100 requests per second; one document for each invoice, in
`reports.invoices`. A customer whom the API doesn't know (404) has no invoices.
"""

from datetime import datetime

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_fanout import Cursor, FanoutTaskGroup, Request, SqlList, Throttle

request = Request(
    endpoint="/customers/{id}/invoices",
    query={"day": "{{ macros.fanout.day() }}"},
    pages=Cursor(field="next_cursor"),
    result="data",
    null_statuses=(404,),
)
nightly = CronDataIntervalTimetable("0 2 * * *", timezone="UTC")

with DAG("daily_invoices", schedule=nightly, start_date=datetime(2026, 1, 1), catchup=False, doc_md=__doc__) as dag:
    FanoutTaskGroup(
        "invoices",
        default_args={"retries": 2},
        extract={"source": SqlList(conn_id="crm", sql="SELECT id FROM customers")},
        fetch={"request": request, "http_conn_id": "billing_api", "throttle": Throttle(rate_per_s=100)},
        validate={"allow": ("null",)},
        load={
            "database": "reports",
            "collection": "invoices",
            "key": ("id",),
            "document": lambda customer, invoices: [{"customer": customer["id"], **invoice} for invoice in invoices],
            "types": {"issued": "date", "amount": "decimal"},
        },
    )
