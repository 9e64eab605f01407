"""A report for each of two accounts, in a DAG whose templates would give native objects."""

from __future__ import annotations

import functools
from typing import Any

from airflow.sdk import DAG, Param, task, task_group
from subscribers import DAY

from airflow_fanout import ExtractOperator, GeventFetchOperator, MongoLoadOperator, Request, ValidateOperator
from harness.numbers import number


def of(account: str, suffix: str) -> list[tuple[str, str, str]]:
    """Return the subscribers of an account, without names: to Python, the texts of their request are sets."""
    first = {"A-1": 0, "B-2": 3}[account + suffix]
    return [(number(index), DAY, account) for index in range(first, first + 3)]


def document(suffix: str, parameter: list[str], _calls: Any) -> dict[str, Any]:
    """Return a subscriber and the account."""
    return {"tel": parameter[0], "account": parameter[2] + suffix}


with DAG(
    "native",
    schedule=None,
    render_template_as_native_obj=True,
    params={"only": Param([], type="array"), "limit": "0010"},
) as native:

    @task
    def accounts() -> list[dict[str, str]]:
        """Return the accounts, as a task of the author's would find them."""
        return [{"account": "A", "suffix": "-1"}, {"account": "B", "suffix": "-2"}]

    @task_group
    def report(account: Any, suffix: Any) -> None:
        """One account's report."""
        extract = ExtractOperator(
            task_id="extract",
            source=functools.partial(of, account, suffix=suffix),
            limit="{{ params.limit }}",
            only="{{ params.only | tojson }}",
        )
        listed = extract.output
        fetch = GeventFetchOperator(
            task_id="fetch",
            request=Request(endpoint="/calls/{0}", query={"day": "{1}"}, result="calls"),
            http_conn_id="call_api",
            parameters=listed,
        )
        validate = ValidateOperator(
            task_id="validate", parameters="{{ ti.xcom_pull('report.extract', map_indexes=ti.map_index) }}"
        )
        load = MongoLoadOperator(
            task_id="load",
            parameters=listed,
            database="tests",
            collection="native",
            key=("tel",),
            document=functools.partial(document, suffix),
        )
        extract >> fetch >> validate >> load

    report.expand_kwargs(accounts())
