"""Reports whose parameters need several requests each: pages, and a job."""

from __future__ import annotations

from airflow.sdk import DAG
from subscribers import DAY

from airflow_fanout import Cursor, FanoutTaskGroup, Poll, Request
from harness.service.invoices import customers


def active() -> list[str]:
    """Return the customers who have invoices, and one whom nobody knows."""
    return [*(customer.id for customer in customers(20) if customer.active), "cus_unknown"]


PAGED = Request(
    endpoint="/customers/{id}/invoices",
    query={"day": "{{ params.day }}"},
    pages=Cursor(field="next_cursor"),
    result="data",
    null_statuses=(404,),
)
JOBS = Request(
    endpoint="/exports",
    method="POST",
    json={"customer": "{id}", "day": "{{ params.day }}"},
    idempotency_header="Idempotency-Key",
    poll=Poll(endpoint="/exports/{job}", status="status", ready=("done",), download="file", interval_s=0.05),
    result="rows",
    null_statuses=(404,),
)


def report(dag_id: str, request: Request, *, native: bool) -> DAG:
    """Make a report of all customers."""
    with DAG(dag_id, schedule=None, render_template_as_native_obj=native, params={"day": DAY}) as dag:
        FanoutTaskGroup(
            "report",
            prefix_group_id=False,
            extract={"source": active, "names": ("id",)},
            fetch={"request": request, "http_conn_id": "call_api", "concurrency": 4},
            validate={"allow": ("null",)},
            load={"database": "tests", "collection": dag_id, "key": ("id",)},
        )
    return dag


paged = report("paged", PAGED, native=False)
jobs = report("jobs", JOBS, native=True)
