"""Reports with one thing wrong in each, and what is right beside it.

Those that are wrong before a request could be sent are about the subscribers from 100 to 109, the others about
those from 200 on, so that the service can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG
from subscribers import DAY

from airflow_fanout import ExtractOperator, FanoutTaskGroup, GeventFetchOperator, HttpList, MongoLoadOperator, Request
from harness.numbers import number

UNASKED = [number(index) for index in range(100, 110)]
ASKED = [number(index) for index in range(200, 210)]
CALLS = Request(endpoint="/calls/{tel}", query={"day": DAY}, result="calls")
FETCH: dict[str, Any] = {"request": CALLS, "http_conn_id": "call_api", "concurrency": 5}
RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=1)}


def report(
    dag_id: str,
    source: Callable[[], list[Any]] | HttpList,
    *,
    extract: Mapping[str, Any] | None = None,
    fetch: Mapping[str, Any] | None = None,
    load: Mapping[str, Any] | None = None,
) -> DAG:
    """Make a DAG that differs from a good one in what is given."""
    with DAG(dag_id, schedule=None, params={"only": [], "database": None}, default_args=RETRIES) as dag:
        FanoutTaskGroup(
            "report",
            prefix_group_id=False,
            extract={"source": source, "names": ("tel",), "only": "{{ params.only | tojson }}", **(extract or {})},
            fetch={**FETCH, **(fetch or {})},
            load={"database": "tests", "collection": dag_id, "key": ("tel",), **(load or {})},
        )
    return dag


def unasked() -> list[str]:
    """Return those who are never asked for."""
    return UNASKED


def unasked_objects() -> list[dict[str, str]]:
    """Return those who are never asked for, with a name that nobody knows while the file is parsed."""
    return [{"tel": tel} for tel in UNASKED]


def asked() -> list[str]:
    """Return those who are asked for."""
    return ASKED


def asked_with_twins() -> list[str]:
    """Return three of them twice."""
    return [*ASKED, *ASKED[:3]]


def unasked_with_twins() -> list[str]:
    """Return three of them twice."""
    return [*UNASKED, *UNASKED[:3]]


def with_a_set() -> list[Any]:
    """Return a parameter, and one that JSON has no form for."""
    return [{"tel": UNASKED[0]}, {"tel": UNASKED[1], "tags": {1, 2}}]


def nobody() -> list[str]:
    """Return no parameter."""
    return []


def far_too_large(parameter: dict[str, Any], _calls: Any) -> dict[str, Any]:
    """Return a number that BSON has no form for, once."""
    return {"tel": parameter["tel"], "total": 2**64 if parameter["tel"] == ASKED[5] else 1}


def without_a_key(_parameter: dict[str, Any], calls: Any) -> dict[str, Any]:
    """Return a document that lacks the field it is told apart by."""
    return {"calls": len(calls)}


def all_the_same(_parameter: dict[str, Any], _calls: Any) -> dict[str, Any]:
    """Return documents that nothing tells apart."""
    return {"day": DAY}


misspelt = report(
    "misspelt",
    unasked_objects,
    extract={"names": ()},
    fetch={"request": Request(endpoint="/calls/{tle}", result="calls")},
)
not_json = report("not_json", with_a_set, extract={"names": ()})
empty = report("empty", nobody)
empty_allowed = report("empty_allowed", nobody, extract={"allow_empty": True})
twins_dropped = report("twins_dropped", asked_with_twins)
twins_refused = report("twins_refused", unasked_with_twins, extract={"duplicates": "refuse"})
no_connection = report("no_connection", unasked, fetch={"http_conn_id": "nowhere"})
no_host = report("no_host", unasked, fetch={"http_conn_id": "hostless"})
not_a_number = report("not_a_number", unasked, fetch={"concurrency": "{{ 'plenty' }}"})
unknown_only = report("unknown_only", unasked)
no_key = report("no_key", asked, load={"key": ("customer",), "document": without_a_key})
beyond_64_bits = report("beyond_64_bits", asked, load={"document": far_too_large})
same_key = report("same_key", asked, load={"key": ("day",), "document": all_the_same})
# Nobody else asks for this list.
LISTED = HttpList(http_conn_id="call_api", endpoint="/subscribers.json")
unready = report(
    "unready",
    LISTED,
    extract={"shards": 2000},
    fetch={"http_conn_id": "nowhere", "concurrency": "{{ params.only }}"},
    load={"mongo_conn_id": "mongo_address", "database": "{{ params.database }}"},
)

with DAG("not_validated", schedule=None, default_args=RETRIES) as not_validated:
    # Checked before its first request, it wouldn't come as far as load.
    listed = ExtractOperator(task_id="extract", source=asked, names=("tel",), preflight=False)
    fetched = GeventFetchOperator(task_id="fetch", parameters=listed.output, **FETCH)
    loaded = MongoLoadOperator(
        task_id="load", parameters=listed.output, database="tests", collection="not_validated", key=("tel",)
    )
    listed >> fetched >> loaded
