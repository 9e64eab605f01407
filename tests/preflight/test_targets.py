from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from pymongo import MongoClient

from airflow_fanout.preflight.errors import NotReachable
from harness.mongod import Mongod
from harness.processes import free_port
from harness.service import DemoService
from tests.preflight.conftest import PASSWORD, SUBSCRIBERS, Report, report

pytestmark = pytest.mark.usefixtures("place")

Connect = Callable[..., None]
Mongo = MongoClient[dict[str, Any]]


def refused(made: Report, api: DemoService) -> str:
    """Return the one message with which a report is refused, before its first request and without a retry."""
    with pytest.raises(AirflowFailException) as caught:
        made.extract()
    assert api.stats()["requests"] == 0
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def test_a_good_report_is_let_through(api: DemoService) -> None:
    """Its list is read and frozen."""
    assert report().extract()["parameters"] == SUBSCRIBERS
    assert api.stats()["requests"] > 0


@pytest.mark.parametrize("mode", ["upsert", "replace_run", "swap"])
def test_the_rights_to_read_and_write_the_database_are_enough(mode: str) -> None:
    """In each mode, for a collection that isn't there yet."""
    assert report(load={"mode": mode, "collection": f"new_{mode}"}).extract()["parameters"] == SUBSCRIBERS


def test_a_capped_collection_is_refused_before_the_first_request(mongo: Mongo, api: DemoService) -> None:
    """It forgets documents."""
    mongo.reports.create_collection("capped", capped=True, size=4096, max=10)
    assert "capped" in refused(report(load={"collection": "capped"}), api)


def test_a_view_is_refused_before_the_first_request(mongo: Mongo, api: DemoService) -> None:
    """Nothing can be written to it."""
    mongo.reports.create_collection("view", viewOn="calls", pipeline=[])
    assert "view" in refused(report(load={"collection": "view"}), api)


def test_a_time_series_is_refused_before_the_first_request(mongo: Mongo, api: DemoService) -> None:
    """No document of it can be replaced."""
    mongo.reports.create_collection("series", timeseries={"timeField": "as_of"})
    assert "time series" in refused(report(load={"collection": "series"}), api)


def test_a_validator_or_a_collation_alone_is_no_reason_to_refuse(mongo: Mongo) -> None:
    """Most documents fit."""
    mongo.reports.create_collection("validated", validator={"tel": {"$type": "string"}})
    mongo.reports.create_collection("collated", collation={"locale": "en", "strength": 2})
    for name in ("validated", "collated"):
        assert report(load={"collection": name}).extract()["parameters"] == SUBSCRIBERS


@pytest.mark.parametrize(
    ("mode", "lacks"), [("upsert", "insert"), ("replace_run", "remove"), ("swap", "renameCollectionSameDB")]
)
def test_a_user_who_may_only_read_is_refused_before_the_first_request(
    mode: str, lacks: str, place: Connect, api: DemoService
) -> None:
    """The message names the user, what it may not do, and the role to give it."""
    place(login="reader")
    said = refused(report(load={"mode": mode}), api)
    assert "The connection 'mongo_default' logs in as 'reader'" in said
    assert lacks in said
    assert "readWrite" in said


def test_a_user_without_any_role_is_refused_before_the_first_request(place: Connect, api: DemoService) -> None:
    """It can log in, and nothing else."""
    place(login="nobody")
    assert "logs in as 'nobody', who has no right to createIndex, find, insert" in refused(report(), api)


def test_a_writer_of_another_database_is_refused_before_the_first_request(api: DemoService) -> None:
    """Rights are looked at for the database that the report names."""
    assert "logs in as 'writer', who has no right to" in refused(report(load={"database": "others"}), api)


def test_a_wrong_password_is_refused_before_the_first_request(place: Connect, api: DemoService) -> None:
    """The message names the connection, and not the password."""
    place(password="an0ther-s3cret")
    said = refused(report(), api)
    assert "The connection 'mongo_default' is refused by its MongoDB: the login or the password is wrong" in said
    assert "an0ther-s3cret" not in said


def test_a_missing_auth_source_is_refused_before_the_first_request(place: Connect, api: DemoService) -> None:
    """The user is looked for in the connection's own database; the message says what to write."""
    place(schema="reports", extra={})
    said = refused(report(), api)
    assert "'reports', where MongoDB looked for it" in said
    assert '"authSource" in the connection\'s extra' in said


def test_a_connection_without_a_login_is_refused_before_the_first_request(place: Connect, api: DemoService) -> None:
    """By a server that demands one."""
    place(login=None)
    assert "has no login, and its MongoDB wants one" in refused(report(), api)


@pytest.mark.parametrize("scheme", ["mongodb", "mongodb+srv"])
def test_a_drivers_address_as_the_connection_is_refused_with_what_to_write(
    scheme: str, place: Connect, api: DemoService
) -> None:
    """Airflow takes its scheme for the type."""
    place(f"{scheme}://writer:{PASSWORD}@127.0.0.1/reports?authSource=admin")
    said = refused(report(), api)
    assert f"has the type '{scheme}', and Airflow's MongoHook wants 'mongo' (mongo://… as an address)" in said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"conn_type": "http"}, "has the type 'http', and Airflow's MongoHook wants 'mongo'"),
        ({"host": ""}, "has no host"),
        ({"extra": {"authSource": "admin", "tlsCAFile": "nowhere/ca.pem"}}, "tlsCAFile"),
        ({"extra": {"authSource": "admin", "retryWrites": "perhaps"}}, "retryWrites"),
        ({"extra": {"authSource": "admin", "sls": True}}, "sls"),
    ],
    ids=repr,
)
def test_a_connection_that_cannot_be_used_is_refused(
    changes: dict[str, Any], says: str, place: Connect, api: DemoService
) -> None:
    """With the name of what is wrong in it."""
    place(**changes)
    said = refused(report(), api)
    assert "The connection 'mongo_default'" in said
    assert says in said


BAD_DATABASES = ["re.ports", "re ports", "re/ports", "re$ports", "x" * 64, "", "None", "config"]
BAD_COLLECTIONS = ["system.calls", "calls..all", ".calls", "calls.", "ca$h", "x" * 300, "", "None"]


@pytest.mark.parametrize(
    ("field", "name"),
    [*(("database", name) for name in BAD_DATABASES), *(("collection", name) for name in BAD_COLLECTIONS)],
)
def test_an_invalid_name_is_refused_before_the_first_request(field: str, name: str, api: DemoService) -> None:
    """A template may give it."""
    said = refused(report(params={"name": name}, load={field: "{{ params.name }}"}), api)
    assert f"load: {field}" in said or "bytes" in said


@pytest.mark.parametrize("field", ["database", "collection"])
def test_a_param_without_a_value_is_no_name(field: str, api: DemoService) -> None:
    """Jinja makes the text None of it."""
    for native in (False, True):
        dag = {"render_template_as_native_obj": native}
        made = report(params={"db": None}, load={field: "{{ params.db }}"}, dag=dag)
        assert f"load: {field} is 'None'" in refused(made, api)


def test_a_mongodb_that_does_not_answer_is_waited_for_and_then_retried(place: Connect, api: DemoService) -> None:
    """It may be back when Airflow tries again; nothing is requested meanwhile."""
    place(port=free_port())
    with pytest.raises(NotReachable) as caught:
        report(load={"timeout_s": 0.5}).extract()
    assert caught.value.retry
    assert "The MongoDB of the connection 'mongo_default' can't be reached at 127.0.0.1" in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert api.stats()["requests"] == 0


def test_a_host_that_nobody_knows_is_refused_at_once(place: Connect, api: DemoService) -> None:
    """No waiting cures it."""
    place(host="mongo.invalid")
    assert "can't be reached at mongo.invalid" in refused(report(load={"timeout_s": 600}), api)


class Starter(logging.Handler):
    """Starts a server once somebody says that it doesn't answer."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__()
        self._folder, self._port = folder, port
        self.server: Mongod | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if "can't be reached" in record.getMessage() and self.server is None:
            self.server = Mongod.start(self._folder, self._port)


def test_a_mongodb_that_comes_back_in_time_is_no_failure(place: Connect, tmp_path: Path) -> None:
    """A restart of the server doesn't fail a report at night."""
    starter = Starter(tmp_path / "mongo", free_port())
    place(json.dumps({"conn_type": "mongo", "host": f"127.0.0.1:{starter._port}"}))
    logger = logging.getLogger("airflow_fanout.operators.target")
    logger.addHandler(starter)
    try:
        assert report(load={"timeout_s": 60.0}).extract()["parameters"] == SUBSCRIBERS
    finally:
        logger.removeHandler(starter)
        if starter.server:
            starter.server.stop()
    assert starter.server
