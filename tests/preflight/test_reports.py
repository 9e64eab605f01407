from __future__ import annotations

import functools
import itertools
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.http.notifications.http import HttpNotifier
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException
from msgspec.structs import replace

from airflow_fanout import (
    Alerts,
    Batch,
    Channel,
    ExtractOperator,
    FileList,
    GeventFetchOperator,
    MongoLoadOperator,
    Request,
    SqlList,
    ValidateOperator,
)
from airflow_fanout.preflight.errors import NotReachable
from harness.service import DemoService
from tests.preflight.conftest import CALLS, LISTED, SUBSCRIBERS, Report, report

pytestmark = pytest.mark.usefixtures("place")

Connect = Callable[..., None]


def refused(made: Report, api: DemoService, requests: int = 0) -> str:
    """Return the one message with which a report is refused, after so many requests and without a retry."""
    with pytest.raises(AirflowFailException) as caught:
        made.extract()
    assert api.stats()["requests"] == requests
    return str(caught.value)


def test_one_message_has_everything_that_is_wrong(place: Connect, api: DemoService) -> None:
    """Each problem with its task; the author fixes all of them at once."""
    place(login="reader")
    made = report(
        extract={"shards": 2000},
        fetch={"http_conn_id": "nowhere", "concurrency": "{{ params.concurrency }}"},
        load={"database": "{{ params.db }}"},
        params={"concurrency": "plenty", "db": None},
    )
    said = refused(made, api)
    assert "4 problems" in said
    assert "fetch: The connection 'nowhere' isn't there" in said
    assert "fetch: concurrency is 'plenty'" in said
    assert "load: database is 'None'" in said
    assert "extract: shards is 2,000, and Airflow maps a task over 1,024 ([core] max_map_length)" in said
    assert "preflight=False" in said


def test_the_source_is_a_part_of_that_message(api: DemoService, tmp_path: Path) -> None:
    """A file without the column, beside a connection that isn't there."""
    listed = tmp_path / "subscribers.csv"
    listed.write_text("id,phone\n1,2\n")
    subscribers = report(extract={"source": FileList(path=str(listed))}, fetch={"http_conn_id": "nowhere"})
    words = refused(subscribers, api)
    assert "2 problems" in words
    assert "extract: The parameter list could not be read from the file" in words
    assert "there is no column 'tel' for the field 'tel'; the columns are: 'id', 'phone'" in words
    assert "fetch: The connection 'nowhere' isn't there" in words


def test_a_database_that_does_not_answer_may_come_back(
    api: DemoService, place: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source's is treated as that of the load: the task may be tried again."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://127.0.0.1:1/wh")
    subscribers = report(extract={"source": SqlList(conn_id="warehouse", sql="SELECT tel FROM subscribers")})
    with pytest.raises(NotReachable, match=r"extract: .*its database refuses the connection, or doesn't answer"):
        subscribers.extract()


def test_a_query_may_be_in_a_file(place: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the DAG file, where Airflow looks for templates."""
    (tmp_path / "subscribers.sql").write_text("SELECT tel FROM {{ params.table }}")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://127.0.0.1:1/wh")
    source = SqlList(conn_id="warehouse", sql="subscribers.sql", parameters=["{{ ds }}"])
    subscribers = report(
        extract={"source": source}, params={"table": "people"}, dag={"template_searchpath": str(tmp_path)}
    )
    context: Any = {"params": {"table": "people"}, "ds": "2026-11-20"}
    rendered = subscribers.group.extract.render_template((source.sql, source.parameters), context)
    assert rendered == ("SELECT tel FROM people", ["2026-11-20"])


def test_more_shards_than_airflow_maps_over_are_refused(api: DemoService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first request, whatever Airflow is set to."""
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    assert "shards is 4" in refused(report(extract={"shards": 4}), api)
    assert len(report(extract={"shards": 3}).extract()) == 3


def test_alerts_that_look_into_another_teams_staging_area_are_refused(
    api: DemoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would say nothing of what was left out, or is good again: Airflow names the team to its tasks only."""
    monkeypatch.setenv("AIRFLOW_CTX_TEAM_NAME", "research")
    monkeypatch.setenv("AIRFLOW__BILLING___FANOUT__STAGING", "/data/billing")
    channel = Channel(HttpNotifier, http_conn_id="pager", endpoint="/alerts")
    alerts = Alerts(channel, team="billing")
    said = refused(report(dag={"on_success_callback": [alerts.recovered]}), api)
    assert "on_success_callback: the DAG's Alerts are for billing, and the DAG belongs to research" in said
    assert report(dag={"on_success_callback": Alerts(channel).recovered}).extract()


@pytest.mark.parametrize("switch", ["operator", "setting"])
def test_the_preflight_can_be_switched_off(switch: str, place: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """For one report, or for all."""
    place("mongodb://127.0.0.1")
    if switch == "setting":
        monkeypatch.setenv("AIRFLOW__FANOUT__PREFLIGHT", "False")
    made = report(
        extract={"preflight": switch != "operator"}, load={"database": "{{ params.db }}"}, params={"db": None}
    )
    assert made.extract()["parameters"] == SUBSCRIBERS


FIRST_PAGE = 1


def numbered(session: Any, number: str) -> Any:
    """Take an argument that no parameter has."""
    return session.get(f"/calls/{number}").json()


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (
            {"fetch": {"request": Request(endpoint="/calls/{tle}", query={"d": "{day}"})}},
            ("fetch: endpoint uses {tle}", "mean {tel}?", "fetch: query uses {day}"),
        ),
        ({"fetch": {"request": numbered}}, ("fetch: The function numbered", "called with (session, tel, ")),
        ({"load": {"key": ("number",)}}, ("load: key has 'number'", "a document has: as_of, ")),
    ],
    ids=["fields", "function", "key"],
)
def test_what_the_first_parameter_lacks_is_known_before_the_second_page(
    parts: dict[str, Any], says: tuple[str, ...], api: DemoService
) -> None:
    """One page of the list is asked for, no more, and nothing of the report's own."""
    said = refused(report(extract={"names": ()}, **parts), api, FIRST_PAGE)
    assert [words for words in says if words not in said] == []


def test_a_missing_file_of_the_apis_connection_is_refused(
    api: DemoService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CA's, a certificate's or a key's: all of them are named, with where they are looked for."""
    for option, value in (
        ("verify", str(tmp_path / "ca.pem")),
        ("cert", [str(tmp_path / "client.pem"), str(tmp_path / "client.key")]),
    ):
        connection = {"conn_type": "http", "host": api.url, "extra": {option: value}}
        monkeypatch.setenv("AIRFLOW_CONN_SECURED", json.dumps(connection))
        said = refused(report(fetch={"http_conn_id": "secured"}), api)
        assert [path for path in ([value] if isinstance(value, str) else value) if path not in said] == []
        assert f'in "{option}" of its extra' in said


def chained(*order: str, **changes: Any) -> Report:
    """Return a report whose tasks are chained in this order."""
    with DAG("calls", schedule=None) as dag:
        extract = ExtractOperator(task_id="extract", source=LISTED, names=("tel",))
        listed: dict[str, Any] = {"parameters": extract.output}
        made = {
            "fetch": GeventFetchOperator(task_id="fetch", request=CALLS, http_conn_id="call_api", **listed, **changes),
            "validate": ValidateOperator(task_id="validate", **listed),
            "load": MongoLoadOperator(task_id="load", database="reports", collection="calls", key=("tel",), **listed),
        }
        for before, after in itertools.pairwise(order):
            made[before] >> made[after]
    group: Any = functools.partial(int)
    group.extract = extract
    return Report(group, dag, {})


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ((), ("validate: it doesn't come after fetch", "load: it doesn't come after validate")),
        (("validate", "fetch", "load"), ("validate: it doesn't come after fetch",)),
        (("fetch", "load", "validate"), ("load: it doesn't come after validate",)),
    ],
    ids=" ".join,
)
def test_tasks_that_do_not_wait_for_each_other_are_refused(
    order: tuple[str, ...], says: tuple[str, ...], api: DemoService
) -> None:
    """A forgotten `>>` or a wrong order would judge or load what isn't there yet."""
    said = refused(chained(*order), api)
    assert [words for words in says if words not in said] == []


def test_tasks_that_come_after_each_other_by_others_are_let_through() -> None:
    """Only the order matters."""
    assert chained("fetch", "validate", "load").extract()["parameters"] == SUBSCRIBERS


def test_what_cannot_be_checked_is_named_in_the_log(place: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """Another worker's connection, a later task's XCom, another task's own value: no failure."""
    place("mongodb://127.0.0.1")
    made = report(
        fetch={"http_conn_id": "theirs", "queue": "other", "concurrency": "{{ ti.xcom_pull('how_many') }}"},
        load={"executor_config": {"pod": 1}, "database": "{{ task.task_id }}"},
    )
    with caplog.at_level(logging.INFO):
        assert made.extract()["parameters"] == SUBSCRIBERS
    named = [record.getMessage() for record in caplog.records if "Not checked before" in record.getMessage()]
    assert any("fetch: the connection 'theirs'" in text and "queue" in text for text in named)
    assert any("load: the connection 'mongo_default'" in text and "executor_config" in text for text in named)
    assert any("fetch: concurrency: its template uses ti" in text for text in named)
    assert any("load: database: its template uses task" in text for text in named)


def test_the_xcom_of_another_task_is_not_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    """It may not be there yet."""
    with DAG("calls", schedule=None) as dag:

        @task
        def target() -> str:
            return "calls"

        made = report_in(dag, load={"collection": target()})
    with caplog.at_level(logging.INFO):
        assert made.extract()["parameters"] == SUBSCRIBERS
    assert any("load: collection: it is another task's XCom" in record.getMessage() for record in caplog.records)


def bound(key: str, session: Any, tel: str) -> Any:
    """Take a value that is bound beforehand."""
    return session.get(f"/calls/{tel}", params={"key": key}).json()


def test_a_function_that_holds_a_later_value_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """Whether it can travel is known once the value is there."""
    with DAG("calls", schedule=None) as dag:

        @task
        def key() -> str:
            return "k"

        made = report_in(dag, fetch={"request": functools.partial(bound, key())})
    with caplog.at_level(logging.INFO):
        assert made.extract()["parameters"] == SUBSCRIBERS
    assert any("it holds another task's XCom" in record.getMessage() for record in caplog.records)


def report_in(dag: DAG, **parts: Any) -> Report:
    """Return a report in a DAG that is there already."""
    with dag:
        extract = ExtractOperator(task_id="extract", source=LISTED, names=("tel",))
        listed: dict[str, Any] = {"parameters": extract.output}
        fetch = GeventFetchOperator(
            task_id="fetch", **{"request": CALLS, "http_conn_id": "call_api", **listed, **parts.get("fetch", {})}
        )
        validate = ValidateOperator(task_id="validate", **listed)
        target = {"database": "reports", "collection": "calls", "key": ("tel",), **parts.get("load", {})}
        load = MongoLoadOperator(task_id="load", **listed, **target)
        extract >> fetch >> validate >> load
    group: Any = functools.partial(int)
    group.extract = extract
    return Report(group, dag, {})


def test_templates_are_rendered_as_the_later_task_would(api: DemoService) -> None:
    """With the run's params."""
    made = report(params={"where": "reports"}, load={"database": "{{ params.where }}"})
    assert made.extract()["parameters"] == SUBSCRIBERS
    api.reset_stats()
    said = refused(report(load={"database": "{{ params.nothing.at_all }}"}), api)
    assert "load: database: its template can't be rendered" in said


def unsendable() -> Any:
    """Return a function that holds on to what can't travel."""
    lock = __import__("threading").Lock()

    def fetch(session: Any, tel: str) -> Any:
        return lock

    return fetch


def test_a_request_is_checked_with_its_functions_and_its_batch(api: DemoService) -> None:
    """A function that can't travel, and a field of the batch that the parameters don't have."""
    locked = unsendable()
    request = Request(endpoint="/calls", query={"tel": "{tel}"}, failed_if=lambda _: locked)
    assert "can't be sent to the engine" in refused(report(fetch={"request": request}), api)
    request = replace(request, failed_if=None, batch=Batch(size=50, by="number", missing="null"))
    source = {"names": (), "source": lambda: [{"tel": "+12025550100"}]}
    named = refused(report(fetch={"request": request}, extract=source), api)
    assert "batch uses {number}" in named


def test_a_function_that_cannot_travel_is_refused_before_the_first_request(api: DemoService) -> None:
    """It would be found in fetch."""
    assert "can't be sent to the engine" in refused(report(fetch={"request": unsendable()}), api)


def test_a_mapped_fetch_is_checked_as_it_will_be(api: DemoService) -> None:
    """Its arguments are those that `partial` was given."""
    said = refused(report(extract={"shards": 2}, fetch={"http_conn_id": "nowhere"}), api)
    assert "fetch: The connection 'nowhere' isn't there" in said


def test_a_fetch_that_is_mapped_over_more_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """Its connections are known when it is expanded."""
    with DAG("calls", schedule=None) as dag:
        extract = ExtractOperator(task_id="extract", source=LISTED, names=("tel",))
        GeventFetchOperator.partial(task_id="fetch", request=CALLS, parameters=extract.output).expand(
            http_conn_id=["call_api", "nowhere"]
        )
    group: Any = functools.partial(int)
    group.extract = extract
    with caplog.at_level(logging.INFO):
        assert Report(group, dag, {}).extract()["parameters"] == SUBSCRIBERS
    assert any("fetch: it is mapped over http_conn_id" in record.getMessage() for record in caplog.records)


def test_reports_in_one_dag_are_checked_each_for_itself(api: DemoService) -> None:
    """Another report's mistake doesn't stop this one."""
    with DAG("calls", schedule=None) as dag:
        good = report_in(dag)
        other = ExtractOperator(task_id="other", source=LISTED, names=("tel",))
        GeventFetchOperator(task_id="bad", request=CALLS, http_conn_id="nowhere", parameters=other.output)
    assert good.extract()["parameters"] == SUBSCRIBERS
    api.reset_stats()
    good.group.extract = other
    assert "bad: The connection 'nowhere' isn't there" in refused(good, api)


def numbers() -> Iterator[str]:
    """Yield parameters without a name."""
    yield from ["+12025550100", "+12025550101"]


def test_a_list_without_names_says_that_names_are_missing(api: DemoService) -> None:
    """The message says what to write."""
    said = refused(report(extract={"source": numbers, "names": ()}), api)
    assert "endpoint uses {tel}" in said
    assert 'names=("tel",)' in said
    assert "2025550100" not in said


def test_an_empty_list_is_no_problem_of_the_preflight() -> None:
    """There is no first parameter to look at."""
    made = report(extract={"source": list, "names": (), "allow_empty": True})
    assert made.extract()["parameters"] == 0
