"""The day's invoices of all customers, by a mapped HttpOperator."""

from datetime import datetime, timedelta
from functools import cache
from urllib.parse import urljoin

import requests
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.mongo.hooks.mongo import MongoHook
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import DAG, CronDataIntervalTimetable, task
from pymongo import ReplaceOne


@cache
def token(url, client_id, client_secret):
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    answer = requests.post(url, data=form, timeout=30)
    answer.raise_for_status()
    return answer.json()["access_token"]


class ClientCredentials(requests.auth.HTTPBasicAuth):
    def __call__(self, request):
        bearer = token(urljoin(request.url, "/oauth/token"), self.username, self.password)
        request.headers["Authorization"] = f"Bearer {bearer}"
        return request


def next_page(answer):
    cursor = answer.json().get("next_cursor")
    return {"data": {"cursor": cursor}} if cursor else None


def is_good(answers):
    return all(answer.ok or answer.status_code == 404 for answer in answers)


def invoices_of(answers):
    return [invoice for answer in answers if answer.ok for invoice in answer.json()["data"]]


@task
def extract():
    rows = PostgresHook("crm").get_records("SELECT id FROM customers")
    return [f"/customers/{id}/invoices" for [id] in rows]


@task
def load(endpoints, fetched, data_interval_start=None):
    writes = []
    for endpoint, invoices in zip(endpoints, fetched, strict=True):
        for invoice in invoices:
            document = {"as_of": data_interval_start, "customer": endpoint.split("/")[2], **invoice}
            writes.append(ReplaceOne({"as_of": document["as_of"], "id": invoice["id"]}, document, upsert=True))
    with MongoHook("mongo_default") as hook:
        hook.get_collection("invoices_mapped", "reports").bulk_write(writes)


nightly = CronDataIntervalTimetable("0 2 * * *", timezone="UTC")

with DAG("invoices_mapped", schedule=nightly, start_date=datetime(2026, 1, 1), catchup=False):
    endpoints = extract()
    fetch = HttpOperator.partial(
        task_id="fetch",
        http_conn_id="billing_login",
        auth_type=ClientCredentials,
        method="GET",
        data={"day": "{{ data_interval_start | ds }}"},
        extra_options={"check_response": False},
        pagination_function=next_page,
        response_check=is_good,
        response_filter=invoices_of,
        retries=3,
        retry_delay=timedelta(seconds=10),
    ).expand(endpoint=endpoints)
    load(endpoints, fetch.output)
