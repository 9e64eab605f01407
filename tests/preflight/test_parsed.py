"""Mistakes that can be found while a DAG file is parsed: each is an exception of the operator's constructor."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.helpers import serialize_template_field

from airflow_fanout import (
    Batch,
    Breaker,
    Cursor,
    CustomCheck,
    ExtractOperator,
    FanoutTaskGroup,
    GeventFetchOperator,
    Header,
    HttpList,
    MaxEmpty,
    MongoLoadOperator,
    Poll,
    Request,
    Retry,
    ValidateOperator,
    codec,
)
from airflow_fanout.adapters.border import list_directory
from airflow_fanout.adapters.errors import NoList
from airflow_fanout.errors import FanoutError
from airflow_fanout.preflight.expected import Expected

CALLS = Request(endpoint="/calls/{tel}")
SECRET = "+12025550100"


def numbers() -> list[str]:
    """Return the parameters."""
    return [SECRET]


def chain(dag: dict[str, Any] | None = None, **parts: dict[str, Any]) -> None:
    """Write a good report, changed by what is given for its operators."""
    with DAG("calls", schedule=None, **(dag or {})):
        extract = ExtractOperator(
            task_id="extract", **{"source": numbers, "names": ("tel",), **parts.get("extract", {})}
        )
        listed: dict[str, Any] = {"parameters": extract.output}
        GeventFetchOperator(
            task_id="fetch", **{"request": CALLS, "http_conn_id": "api", **listed, **parts.get("fetch", {})}
        )
        ValidateOperator(task_id="validate", **{**listed, **parts.get("validate", {})})
        target = {"database": "reports", "collection": "calls", "key": ("tel",)}
        MongoLoadOperator(task_id="load", **{**listed, **target, **parts.get("load", {})})


def report_of_shards(fetch: dict[str, Any]) -> None:
    """Write a report whose fetch is mapped over shards."""
    target = {"database": "reports", "collection": "calls", "key": ("tel",)}
    with DAG("calls", schedule=None):
        FanoutTaskGroup("calls", extract={"source": numbers, "names": ("tel",), "shards": 2}, fetch=fetch, load=target)


def mistake(dag: dict[str, Any] | None = None, **parts: dict[str, Any]) -> str:
    """Return the import error of a report."""
    with pytest.raises(FanoutError) as caught:
        chain(dag, **parts)
    assert not caught.value.retry
    return str(caught.value)


def polled(endpoint: str) -> Request:
    """Return a request that creates a job."""
    return Request(endpoint="/jobs", method="POST", json={"of": "{tel}"}, poll=Poll(endpoint=endpoint))


async def awaited(session: Any, tel: str) -> None:
    """Do nothing, some time."""


async def streamed() -> Any:
    """Yield, some time."""
    yield SECRET


class Awaited:
    """An object that is called like a function."""

    async def __call__(self, session: Any, tel: str) -> None:
        """Do nothing, some time."""


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("retry", 3, "retry is 3: expected a Retry, such as Retry(max_attempts=3)"),
        ("timeouts", 30, "expected a Timeouts, such as Timeouts(total_s=30)"),
        ("throttle", 10, "expected a Throttle, such as Throttle(rate_per_s=10)"),
        ("breaker", 0.5, "expected a Breaker, such as Breaker(max_failures=0.2)"),
        ("breaker", Breaker, "expected a Breaker"),
        ("retry", {"attempts": 3}, "expected a Retry"),
        ("retry", Retry, "expected a Retry"),
        ("concurrency", 0, "concurrency is 0"),
        ("concurrency", True, "concurrency is True"),
        ("concurrency", "plenty", "concurrency is 'plenty'"),
        ("concurrency", 2.5, "concurrency is 2.5"),
        ("processes", "two", "processes is 'two'"),
        ("processes", 0, "processes is 0"),
        ("max_body_bytes", "16MB", "max_body_bytes is '16MB'"),
        ("transport", "httpx", "transport is 'httpx'"),
        ("refetch", "maybe", "refetch is 'maybe'"),
        ("http_conn_id", None, "http_conn_id is None"),
        ("http_conn_id", " ", "http_conn_id is ' '"),
        ("http_conn_id", "{{ params.api }}", "Airflow renders no template in it"),
        ("http_conn_id", "shop_{", "'shop_{' has a brace that isn't part of a field"),
        ("http_conn_id", "shop_}", "'shop_}' has a brace that isn't part of a field"),
        ("http_conn_id", "{shop}", "http_conn_id uses {shop}, but every parameter of this list has: tel"),
        ("http_conn_id", r"shop_\{tel\}", "or a text with a field, such as 'shop_{shop}'"),
        ("request", "/calls/{tel}", "request is '/calls/{tel}': expected a Request"),
        ("request", Request(endpoint="/calls/{tle}"), "endpoint uses {tle}"),
        ("request", Request(endpoint="/calls/{0}"), "endpoint uses {0}, but every parameter of this list has: tel"),
        ("request", Request(endpoint="/calls/{tel}/{ds}"), "For Airflow's value write {{ ds }}"),
        ("request", Request(endpoint="/calls/{{ tel }}"), "for a field of the parameter write {tel}"),
        ("request", Request(endpoint="/calls/{tel}", query={"a": ["{{ customer_id }}"]}), "{{ customer_id }}"),
        ("request", Request(endpoint="/calls/{tel}", headers={"X": "{{ idd | upper }}"}), "{{ idd }}"),
        ("request", Request(endpoint="/graph", method="POST", json={"query": "{ calls { id } }"}), "GraphQL"),
        ("request", polled("/jobs/{job}/{tle}"), "Poll.endpoint uses {tle}"),
        ("request", polled("/jobs/{job}/{{ tel }}"), "for a field of the parameter write {tel}"),
        ("request", lambda session: None, "it is called with (session, tel)"),  # noqa: ARG005
        ("request", lambda session, number: None, "missing a required argument: 'number'"),  # noqa: ARG005
        ("request", lambda: None, "it is called with (session, tel)"),
        ("request", functools.partial(lambda session, tel, more: None), "'more'"),  # noqa: ARG005
        ("request", awaited, "is async, but the engine awaits nothing"),
        ("request", Awaited(), "is async, but the engine awaits nothing"),
        ("request", functools.partial(awaited, tel="x"), "is async, but the engine awaits nothing"),
        ("sign", "hmac", "sign is 'hmac': expected a function of any of method, url"),
        ("sign", lambda secret: {"X": secret}, "and not of 'secret'"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_mistake_in_fetch_is_an_import_error(field: str, value: Any, says: str) -> None:
    """With what was written, and what to write."""
    assert says in mistake(fetch={field: value})


def test_one_process_sends_where_parameters_name_their_connections() -> None:
    """Two would each have their own idea of what an API takes."""
    named = {"http_conn_id": "shop_{tel}"}
    for processes in (None, 1):
        chain(fetch={**named, "processes": processes})
    expected = "processes is 2: expected None or 1 where parameters name their connections ('shop_{tel}')"
    assert expected in mistake(fetch={**named, "processes": 2})
    request = {"request": CALLS, **named}
    report_of_shards(request)
    with pytest.raises(FanoutError, match="processes is 2"):
        report_of_shards({**request, "processes": 2})
    with pytest.raises(FanoutError, match=r"http_conn_id uses \{shop\}, but every parameter of this list has: tel"):
        report_of_shards({**request, "http_conn_id": "{shop}"})


def test_a_list_has_one_connection() -> None:
    """There are no parameters yet that could name others."""
    with pytest.raises(FanoutError, match=r"http_conn_id is 'shop_\{shop\}': expected the id of one connection"):
        HttpList(http_conn_id="shop_{shop}", endpoint="/subscribers")


def test_a_request_of_several_steps_is_plain_json_for_airflow() -> None:
    """Airflow stores and renders it as any other: what comes back is the request."""
    paged = Request(endpoint="/calls/{tel}", pages=Cursor(field=Header("X-Next")), total=("a.b", "n"), result="calls")
    for request in (paged, polled("/jobs/{job}/{tel}")):
        with DAG("calls", schedule=None):
            extract = ExtractOperator(task_id="extract", source=numbers, names=("tel",))
            fetch = GeventFetchOperator(task_id="fetch", request=request, http_conn_id="api", parameters=extract.output)
        fields = json.loads(json.dumps(fetch.request_template))
        assert serialize_template_field(fetch.request_template, "request_template") == fields
        assert codec.encode(Request(**fields).template()) == codec.encode(request.template())


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("source", [SECRET], "a callable that gives the parameters"),
        ("source", streamed, "nothing awaits an async one"),
        ("names", "tel", 'a tuple of names, such as ("tel",)'),
        ("names", 5, "names is 5"),
        ("names", ("a b",), "names is 'a b'"),
        ("limit", 0, "limit is 0"),
        ("limit", "few", "limit is 'few'"),
        ("only", SECRET, "only is a text (its value isn't shown)"),
        ("only", 5, "only is of type int"),
        ("allow_empty", "yes", "allow_empty is 'yes'"),
        ("shards", 0, "shards is 0"),
        ("shards", "4", "shards is '4'"),
        ("shards", 2.5, "shards is 2.5"),
        ("preflight", "no", "preflight is 'no'"),
        ("do_xcom_push", False, "the other tasks need what extract returns"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_mistake_in_extract_is_an_import_error(field: str, value: Any, says: str) -> None:
    """With what was written, and what to write; never with a parameter."""
    said = mistake(extract={field: value})
    assert says in said
    assert field == "source" or SECRET not in said


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("allow", "null", 'a tuple of kinds, such as ("null",)'),
        ("allow", 5, "allow is 5"),
        ("allow", ("nul",), "kinds of outcome"),
        ("min_coverage", 95, "min_coverage is 95"),
        ("checks", MaxEmpty(0.1), "a tuple of checks"),
        ("checks", (MaxEmpty,), "one with its arguments, MaxEmpty(…)"),
        ("checks", (numbers,), "a function is one as CustomCheck(function)"),
        ("samples", "3", "samples is '3'"),
        ("show_parameters", "no", "show_parameters is 'no'"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_mistake_in_validate_is_an_import_error(field: str, value: Any, says: str) -> None:
    """With what was written, and what to write."""
    assert says in mistake(validate={field: value})


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("document", lambda parameter: {}, "it is called with (parameter, result)"),  # noqa: ARG005
        ("document", numbers, "Write it as def document(parameter, result)"),
        ("document", lambda parameter, result, more: {}, "'more'"),  # noqa: ARG005
        ("document", awaited, "is async"),
        ("document", {"tel": "{tel}"}, "and not a function"),
        ("key", "tel", "key is 'tel': expected a tuple of names, such as (\"tel\",)"),
        ("key", (), "the fields that identify a document"),
        ("key", ("number",), "key has 'number', but without a `document` function"),
        ("key", ("_id",), "`_id` is MongoDB's own"),
        ("key", ("tel", "as_of"), "without 'as_of'"),
        ("as_of_field", "as of", "as_of_field is 'as of'"),
        ("as_of_field", "_id", "`_id` is MongoDB's own"),
        ("as_of_field", 5, "as_of_field is 5"),
        ("mode", "replace", '"upsert", "replace_run" or "swap"'),
        ("timeout_s", "60", "timeout_s is '60'"),
        ("mongo_conn_id", None, "mongo_conn_id is None"),
        ("mongo_conn_id", "{{ params.db }}", "Airflow renders no template in it"),
        ("database", "re.ports", "MongoDB doesn't allow '.'"),
        ("database", None, "database is None"),
        ("database", "{{ prefx }}", "Airflow has no such value"),
        ("collection", "system.users", "MongoDB keeps names"),
        ("collection", "", "collection is ''"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_mistake_in_load_is_an_import_error(field: str, value: Any, says: str) -> None:
    """With what was written, and what to write."""
    assert says in mistake(load={field: value})


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"query": {"f": r"\{{tel}\}"}}, "has {{, with which a template of Airflow's begins"),
        ({"query": {"f": r"\{ {tel} \}", "g": "{tell}"}}, "query uses {tell}"),
        ({"query": {"ids": "{tel}"}, "batch": Batch(size=5, by="id", missing="null")}, "batch uses {id}"),
        ({"failed_if": 5}, "failed_if is 5: expected a path to a field"),
        ({"failed_if": ""}, "failed_if is ''"),
        ({"failed_if": {}}, "failed_if is {}"),
        ({"retry_if": {"status": {"code": 1}}}, "retry_if is {'status': {'code': 1}}: expected a path to a field"),
        ({"retry_if": {"status": []}}, "retry_if is {'status': []}"),
        ({"parse": lambda: 1}, "it is called with (body)"),
        ({"failed_if": lambda: True}, "it is called with (answer)"),
        ({"failed_if": lambda answer, status: True}, "Write it as def failed_if(answer)"),  # noqa: ARG005
        ({"retry_if": awaited}, "is async"),
        ({"retry_if": functools.partial(max, "{{ ds }}")}, "Airflow renders no template inside a function"),
    ],
    ids=str,
)
def test_a_mistake_in_a_request_is_an_import_error(fields: dict[str, Any], says: str, mapped: bool) -> None:
    """What a request's fields can't be is known when they are written, also of a fetch that is mapped."""
    write = report_of_shards if mapped else lambda fetch: chain(fetch=fetch)
    if mapped and "template" in says:
        pytest.skip("the operator of a mapped fetch is made when its task runs")
    with pytest.raises(FanoutError) as caught:
        write({"request": Request(endpoint="/{tel}", **fields), "http_conn_id": "api"})
    assert says in str(caught.value)


def test_functions_of_a_request_are_in_no_template_and_leave_the_dags_version_alone() -> None:
    """Airflow renders and stores the rest; of a mapped fetch it stores a text, which has no address in memory."""
    request = Request(endpoint="/{tel}", failed_if=lambda answer: answer["error"], retry_if="busy")
    with DAG("calls", schedule=None):
        extract = ExtractOperator(task_id="extract", source=numbers, names=("tel",))
        fetch = GeventFetchOperator(task_id="fetch", request=request, http_conn_id="api", parameters=extract.output)
    assert "failed_if" not in (fetch.request_template or {})
    assert (fetch.request_template or {})["retry_if"] == "busy"
    assert fetch.request_functions == {"failed_if": request.failed_if}
    assert " at 0x" not in repr(request)
    assert "failed_if=<function test_functions_of_a_request" in repr(request)


@pytest.mark.parametrize("task", ["fetch", "validate", "load"])
@pytest.mark.parametrize(
    "value",
    [[SECRET], (SECRET,), SECRET, {"tel": SECRET}, [{"tel": SECRET}], {SECRET}, None, []],
    ids=lambda value: type(value).__name__,
)
def test_parameters_in_the_place_of_extracts_output_are_refused_unseen(task: str, value: Any) -> None:
    """They may be personal data: the message says what kind of value it is, and none of it."""
    said = mistake(**{task: {"parameters": value}})
    assert "as in parameters=extract.output" in said
    assert SECRET not in said
    # Rendered late, by a template of the author's, they get no further.
    if value:
        with pytest.raises(FanoutError) as caught:
            list_directory(value)
        assert SECRET not in str(caught.value)


def test_the_output_of_another_task_of_ours_is_refused() -> None:
    """Its list can't be found."""
    with DAG("calls", schedule=None):
        extract = ExtractOperator(task_id="extract", source=numbers, names=("tel",))
        fetch = GeventFetchOperator(task_id="fetch", request=CALLS, http_conn_id="api", parameters=extract.output)
        with pytest.raises(FanoutError, match="parameters is the output of fetch: expected the output of an Extract"):
            ValidateOperator(task_id="validate", parameters=fetch.output)


@pytest.mark.parametrize("rendered", [None, "", []], ids=repr)
def test_an_extract_that_returned_nothing_is_named_as_the_reason(rendered: Any) -> None:
    """It was skipped, or its XCom isn't there: the DAG is right, so the message doesn't repeat what it says."""
    with pytest.raises(NoList, match="It was skipped, it hasn't run yet, its XCom was deleted"):
        list_directory(rendered)


def test_a_check_that_takes_other_arguments_is_refused() -> None:
    """It gets one: the pairs."""
    with pytest.raises(FanoutError, match=r"it is called with \(pairs\)"):
        CustomCheck(lambda parameter, result: None)  # type: ignore[arg-type] # noqa: ARG005
    assert str(CustomCheck(lambda pairs: None)).startswith("CustomCheck(")  # noqa: ARG005


GOOD: list[dict[str, Any]] = [
    {"fetch": {"request": Request(endpoint="/calls/{tel}/{{ ds }}", query={"day": "{{ macros.fanout.day() }}"})}},
    {"fetch": {"request": Request(endpoint="/{{ params.path }}", json={"a": {"b": ["{tel}", 1]}}, method="POST")}},
    {"fetch": {"request": Request(endpoint="/calls/{tel}", query={"x": "{{ nothing | default('y') }}"})}},
    {"fetch": {"request": Request(endpoint="/calls/{tel}", query={"x": "{% set day = ds %}{{ day }}"})}},
    {"fetch": {"request": Request(endpoint="/calls/{tel}", query={"x": "{{ {'a': {'b': 1}}['a']['b'] }}"})}},
    {"fetch": {"request": lambda session, **fields: None}},  # noqa: ARG005
    {"fetch": {"request": lambda *everything: None}, "extract": {"names": ()}},  # noqa: ARG005
    {"fetch": {"request": lambda session, tel, timeout=3: None}},  # noqa: ARG005
    {"fetch": {"request": functools.partial(lambda key, session, tel: None, "k")}},  # noqa: ARG005
    {"fetch": {"concurrency": "{{ params.concurrency or 100 }}", "processes": 4, "refetch": "{{ params.refetch }}"}},
    {"fetch": {"concurrency": "8", "refetch": "false"}},
    {"extract": {"limit": None, "only": '["+12025550100"]', "shards": 1}},
    {"extract": {"limit": "{{ params.limit }}", "only": "{{ params.only | tojson }}"}},
    {"load": {"document": lambda parameter, result, more=None: {}}},  # noqa: ARG005
    {"load": {"database": "{{ params.db }}", "collection": "calls_{{ ds_nodash }}"}},
    {"load": {"key": ("number",), "document": lambda *_: {}}},
    {"validate": {"allow": ["null"], "checks": [MaxEmpty(0.2)]}},
    {"validate": {"parameters": "{{ ti.xcom_pull(task_ids='extract') }}"}},
]


@pytest.mark.parametrize("parts", GOOD, ids=range(len(GOOD)))
def test_what_can_work_is_no_import_error(parts: dict[str, Any]) -> None:
    """No check refuses what a careful author may write."""
    chain(**parts)


def test_a_macro_of_the_dags_own_is_known() -> None:
    """Only names that nobody knows are refused."""
    chain({"user_defined_macros": {"prefix": "p"}}, load={"database": "{{ prefix }}"})


def test_a_mapped_fetch_is_checked_while_the_file_is_parsed() -> None:
    """Airflow makes the operator when its task runs only: what `partial` was given is looked at all the same."""
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"retry": 3}, "retry is 3"),
        ({"http_conn_id": None}, "http_conn_id is None"),
        ({"concurrency": "plenty"}, "concurrency is 'plenty'"),
        ({"request": Request(endpoint="/calls/{tle}")}, "endpoint uses {tle}"),
        ({"request": awaited}, "is async"),
    ]
    for fetch, says in wrong:
        with DAG("calls", schedule=None), pytest.raises(FanoutError) as caught:
            group(extract={"shards": 2}, fetch=fetch)
        assert says in str(caught.value)
    with DAG("calls", schedule=None):
        group(extract={"shards": 2})


def group(**parts: dict[str, Any]) -> FanoutTaskGroup:
    """Return a report as a task group."""
    return FanoutTaskGroup(
        "report",
        extract={"source": numbers, "names": ("tel",), **parts.get("extract", {})},
        fetch={"request": CALLS, "http_conn_id": "api", **parts.get("fetch", {})},
        load={"database": "reports", "collection": "calls", "key": ("tel",)},
    )


@pytest.mark.parametrize("name", ["extract", "fetch", "load", "validate"])
def test_the_groups_arguments_are_dicts(name: str) -> None:
    """An operator in their place is a slip."""
    good: dict[str, Any] = {"extract": {}, "fetch": {}, "load": {}}
    with DAG("calls", schedule=None), pytest.raises(FanoutError, match=f"{name} is of type list"):
        FanoutTaskGroup("report", **{**good, name: [SECRET]})


def test_a_type_of_a_field_that_no_document_has_is_an_import_error() -> None:
    """Without a `document` function, what a document has is known: the answer is below `result`."""
    assert "types has 'issued', but without a `document` function a document has: as_of, result, tel" in mistake(
        load={"types": {"issued": "date"}}
    )
    chain(load={"types": {"result.issued": "date", "tel": "long"}})
    chain(load={"types": {"issued": "date"}, "document": lambda parameter, result: {**parameter, **result}})


def test_a_type_of_a_field_that_the_first_parameter_lacks_is_found_by_the_preflight() -> None:
    """If the names of the parameters' fields aren't written, the first parameter has them."""
    expected = Expected(types=[("load", ("result", "issued", "tel"))])
    assert expected.problems({"tel": "a"}) == [
        ("load", "types has 'issued', but without a `document` function a document has: as_of, result, tel")
    ]


PARTIAL = {"allow_partial": True}
DAILY = "{{ macros.fanout.day() }}"


@pytest.mark.parametrize("mode", ["replace_run", "swap"])
def test_a_partial_report_is_loaded_with_upsert_only(mode: str) -> None:
    """The other modes would remove a run's documents when a later run loads what it left out."""
    message = mistake(validate=PARTIAL, load={"mode": mode})
    assert f"mode is '{mode}': expected \"upsert\", because validate has allow_partial=True" in message


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{{ ds }}", "{{ ds }}"),
        ("{{ logical_date | ds }}", "{{ logical_date }}"),
        ("{{ macros.ds_add(ds, 1) }}", "{{ ds }}"),
        ("{{ params.region }}", "{{ params }}"),
        ("{% if dag_run %}x{% endif %}", "{{ dag_run }}"),
        ("{{ ti.xcom_pull('a') }}", "{{ ti }}"),
    ],
)
def test_a_partial_reports_request_depends_on_no_run(template: str, what: str) -> None:
    """A later run asks for what is left out: a template that means that run would ask for its date."""
    request = Request(endpoint="/calls/{tel}", query={"day": template})
    assert f"request uses {what}, which belongs to the run that asks." in mistake(
        validate=PARTIAL, fetch={"request": request}
    )
    chain(fetch={"request": request})


def test_a_partial_reports_request_may_have_what_any_run_has() -> None:
    """The date by our macros, variables, connections, the DAG's own macros, and what the template sets itself."""
    query = {
        "day": DAILY,
        "key": "{{ var.value.api_key }}",
        "at": "{% set at = macros.fanout.as_of() %}{{ at.isoformat() }}",
        "own": "{{ weekly() }}",
    }
    chain(
        {"user_defined_macros": {"weekly": str}},
        validate=PARTIAL,
        fetch={"request": Request(endpoint="/calls/{tel}", query=query)},
    )


@pytest.mark.parametrize("is_function", [False, True], ids=["request", "function"])
def test_another_tasks_xcom_is_no_partial_reports(is_function: bool) -> None:
    """In a request, or in a function's partial."""
    with DAG("calls", schedule=None):
        other = ExtractOperator(task_id="other", source=numbers).output
        extract = ExtractOperator(task_id="extract", source=numbers, names=("tel",))
        listed: dict[str, Any] = {"parameters": extract.output}
        ValidateOperator(task_id="validate", allow_partial=True, **listed)
        request = functools.partial(with_list, other) if is_function else Request(endpoint="/calls", json=[other])
        with pytest.raises(FanoutError, match="another task's XCom"):
            GeventFetchOperator(task_id="fetch", request=request, http_conn_id="api", **listed)


def with_list(_others: Any, _session: Any, tel: str) -> str:
    """Ask for nothing."""
    return tel


@pytest.mark.parametrize(
    "parts",
    [
        {"load": {"mode": "swap"}},
        {"fetch": {"request": Request(endpoint="/calls/{tel}", query={"day": "{{ ds }}"})}},
    ],
    ids=["load", "fetch"],
)
@pytest.mark.parametrize("shards", [None, 4])
def test_a_partial_task_group_is_checked_too(parts: dict[str, Any], shards: int | None) -> None:
    """A mapped fetch is checked before its task runs."""
    arguments: dict[str, Any] = {
        "extract": {"source": numbers, "names": ("tel",), "shards": shards},
        "fetch": {"request": CALLS, "http_conn_id": "api", **parts.get("fetch", {})},
        "load": {"database": "reports", "collection": "calls", "key": ("tel",), **parts.get("load", {})},
    }
    with DAG("complete", schedule=None):
        FanoutTaskGroup("report", **arguments)
    with pytest.raises(FanoutError, match="allow_partial=True"), DAG("partial", schedule=None):
        FanoutTaskGroup("report", validate=PARTIAL, **arguments)


def test_another_report_of_the_dag_is_not_meant() -> None:
    """Each report is looked at by itself."""
    arguments: dict[str, Any] = {
        "extract": {"source": numbers, "names": ("tel",)},
        "fetch": {"request": CALLS, "http_conn_id": "api"},
    }
    target = {"database": "reports", "collection": "calls", "key": ("tel",)}
    with DAG("two", schedule=None):
        FanoutTaskGroup("partial", validate=PARTIAL, load=target, **arguments)
        FanoutTaskGroup("whole", load={**target, "mode": "swap"}, **arguments)


@pytest.mark.parametrize(
    ("validate", "message"),
    [
        ({"allow_partial": "yes"}, "allow_partial is 'yes': expected True or False"),
        ({"allow_partial": True, "min_coverage": 1.0}, "min_coverage is 1.0: expected a share below 1, or none"),
        ({"allow_partial": True, "catch_up_days": 0}, "catch_up_days is 0: expected a whole number of at least 1"),
    ],
)
def test_what_partial_can_not_be_is_an_import_error(validate: dict[str, Any], message: str) -> None:
    """A share of all, and a run that is partial, can't both be demanded."""
    assert message in mistake(validate=validate)


def test_a_partial_reports_values_depend_on_no_run() -> None:
    """They are rendered with the date of the run that left something out, as far as our macros give it."""
    request = Request(endpoint="/calls/{tel}", query={"day": "{day}"})
    message = mistake(validate=PARTIAL, fetch={"request": request, "values": {"day": "{{ ds }}"}})
    assert "values uses {{ ds }}, which belongs to the run that asks." in message
    chain(validate=PARTIAL, fetch={"request": request, "values": {"day": DAILY}})
