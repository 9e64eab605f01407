"""Reports of every kind, good ones and failing ones, over an API whose numbers, answers and credentials are marked.

No mark stands in this file: the numbers are computed, the credentials are in the connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from airflow.providers.http.notifications.http import HttpNotifier
from airflow.sdk import DAG

from airflow_fanout import (
    Alerts,
    Breaker,
    Channel,
    CustomCheck,
    Drift,
    FanoutTaskGroup,
    HttpList,
    MaxEmpty,
    NextLink,
    Request,
    ResultSchema,
    Retry,
    Timeouts,
    Unique,
)

# Reserved for fiction by Ofcom: +44 7700 900000 to 900999.
FIRST = 447_700_900_100
COUNT = 8
HOOK = Channel(HttpNotifier, http_conn_id="leak_hook", endpoint="/", json={"text": "{{ macros.fanout.alert().text }}"})
ALERTS = Alerts(HOOK)
QUICK = {
    "retry": Retry(max_attempts=2, initial_delay_s=0.01, max_delay_s=0.01, last_pass=False),
    "breaker": Breaker(canary=0),
}


def numbers() -> list[str]:
    """Return the marked numbers."""
    return [f"+{FIRST + index}" for index in range(COUNT)]


def others() -> list[str]:
    """Return numbers that are marked in another way."""
    return [f"+{FIRST + 700 + index}" for index in range(COUNT)]


def doubled() -> list[str]:
    """Return the marked numbers, one of them twice."""
    return [*numbers(), numbers()[0]]


def pairs() -> list[tuple[str, str]]:
    """Return two values where one name is given."""
    return [(number, number) for number in numbers()]


def sets() -> list[Any]:
    """Return what JSON has no form for."""
    return [{"tel": {number}} for number in numbers()]


def calls(session: Any, tel: str) -> Any:
    """Ask as a script does."""
    answer = session.get(f"/good/{tel}", params={"who": tel})
    answer.raise_for_status()
    return answer.json()


def raising(session: Any, tel: str) -> Any:
    """Fail with everything that there is to tell."""
    answer = session.get(f"/good/{tel}")
    raise LookupError(f"nothing for {tel} in {answer.text} as {answer.request.headers}")


def refused(session: Any, tel: str) -> Any:
    """Fail as requests does, with the address in the message."""
    session.get(f"/echo/{tel}", params={"who": tel}).raise_for_status()


def unplain(_session: Any, tel: str) -> Any:
    """Return what JSON has no form for."""
    return {tel, "more"}


def told(session: Any, tel: str) -> Any:
    """Print what nobody should read: a leak on purpose."""
    print("the number is", tel)
    return calls(session, tel)


def broken(parameter: Any, result: Any) -> Any:
    """Fail with everything that there is to tell."""
    raise ValueError(f"no document of {parameter} and {result}")


def unstorable(parameter: Any, result: Any) -> Any:
    """Return what BSON has no form for."""
    return {**parameter, "x": {str(result)}}


def alike(_parameter: Any, result: Any) -> Any:
    """Return documents with one and the same key."""
    return {"tel": result["of"][:4]}


def unkeyed(parameter: Any, result: Any) -> Any:
    """Return a document without the report's key."""
    return {"who": parameter["tel"], "what": result}


def quoting(pairs: Any) -> None:
    """Fail with everything that there is to tell."""
    for parameter, result in pairs:
        raise AssertionError(f"{parameter} has {result}")


def listed(path: str, **more: Any) -> dict[str, Any]:
    """Return extract's arguments for a list of the API."""
    return {
        "source": HttpList(
            http_conn_id="leak_api",
            endpoint=path,
            items="items",
            pages=NextLink(field="next"),
            retry=Retry(max_attempts=1),
            **more,
        )
    }


def asking(path: str, **more: Any) -> dict[str, Any]:
    """Return fetch's arguments for a path of the API."""
    return {"request": Request(endpoint=path + "/{tel}", query={"who": "{tel}"}, **more)}


def over(conn_id: str, path: str = "/good") -> dict[str, Any]:
    """Return fetch's arguments for another connection."""
    return {"fetch": {**asking(path), "http_conn_id": conn_id}}


KINDS: dict[str, Mapping[str, Any]] = {
    "good_bearer": {},
    "good_basic": over("leak_basic"),
    "good_digest": over("leak_digest"),
    "good_header": over("leak_header"),
    "good_function": {"fetch": {"request": calls}},
    "good_requests": {"fetch": {**asking("/good"), "transport": "requests"}},
    "good_body": {"fetch": {"request": Request(endpoint="/good/x", method="PUT", json={"who": "{tel}"})}},
    "good_list": {"extract": listed("/list")},
    "good_swap": {"load": {"mode": "swap"}},
    "good_replace": {"load": {"mode": "replace_run"}},
    "good_shards": {"extract": {"shards": 2}},
    "good_native": {"dag": {"render_template_as_native_obj": True}},
    "good_checks": {"validate": {"checks": (MaxEmpty(0.5), Drift(rows=0.9))}},
    "null_results": {"fetch": asking("/null")},
    "status_that_quotes": {"fetch": asking("/echo")},
    "answer_not_json": {"fetch": asking("/page")},
    "missing_field": {"fetch": asking("/good", result="nowhere.near")},
    "redirect_that_quotes": {"fetch": asking("/away")},
    "hung_up": {"fetch": asking("/gone")},
    "too_large": {"fetch": {**asking("/good"), "max_body_bytes": 20}},
    "too_late": {"fetch": {**asking("/late"), "timeouts": Timeouts(connect_s=1.0, read_s=0.5, total_s=1.0)}},
    "wrong_token": over("leak_wrong"),
    "dead_proxy": over("leak_proxy"),
    "nobody_there": over("leak_nobody"),
    "bad_token": over("leak_line_feed"),
    "function_raises": {"fetch": {"request": raising}},
    "function_refused": {"fetch": {"request": refused}},
    "function_refused_by_requests": {"fetch": {"request": refused, "transport": "requests"}},
    "function_unplain": {"fetch": {"request": unplain}},
    "function_of_a_partial": {"fetch": {"request": partial(raising)}},
    "list_refused": {"extract": listed("/list-echo")},
    "list_not_json": {"extract": listed("/page/x")},
    "list_without_items": {"extract": listed("/list-else")},
    "list_repeats": {"extract": listed("/list-again")},
    "twins": {"extract": {"source": doubled, "duplicates": "refuse"}},
    "pairs": {"extract": {"source": pairs}},
    "sets": {"extract": {"source": sets, "names": ()}},
    "document_raises": {"load": {"document": broken}},
    "document_unstorable": {"load": {"document": unstorable}},
    "document_alike": {"load": {"document": alike}},
    "document_without_key": {"load": {"key": ("customer",), "document": unkeyed}},
    "mongo_validator": {},
    "mongo_unique": {},
    "mongo_wrong_password": {"load": {"mongo_conn_id": "leak_mongo", "timeout_s": 1.0}},
    "schema_fails": {"validate": {"checks": (ResultSchema({"required": ["nonsense"]}),)}},
    "unique_fails": {"validate": {"checks": (Unique("same"),)}},
    "check_raises": {"validate": {"checks": (CustomCheck(quoting),)}},
    "leak": {"extract": {"source": others}, "fetch": {"request": told}},
}


def report(dag_id: str, *, dag: Mapping[str, Any] | None = None, **parts: Mapping[str, Any]) -> DAG:
    """Make a report that differs from a good one in what its kind says."""
    with DAG(
        dag_id,
        schedule=None,
        default_args={"retries": 0},
        on_failure_callback=ALERTS.failed,
        on_success_callback=ALERTS.recovered,
        **(dag or {}),
    ) as made:
        FanoutTaskGroup(
            "report",
            prefix_group_id=False,
            extract={"source": numbers, "names": ("tel",), **parts.get("extract", {})},
            fetch={"http_conn_id": "leak_api", "concurrency": 4, **asking("/good"), **QUICK, **parts.get("fetch", {})},
            validate=parts.get("validate", {}),
            load={"database": "leaks", "collection": dag_id, "key": ("tel",), **parts.get("load", {})},
        )
    return made


for _dag_id, _parts in KINDS.items():
    globals()[_dag_id] = report(_dag_id, **_parts)
