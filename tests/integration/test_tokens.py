"""APIs that are opened by what changes: the tasks of a real Airflow log in, and again."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from harness.airflow import AirflowClient
from harness.service import DemoService
from tests.airflow_fixture import SharedAirflow
from tests.http.servers import Connection, Seen, Server, answer, as_json
from tests.integration.marks import Found, files, metadata, search
from tests.integration.own import OwnReports
from tests.integration.runs import HANG_S, Run

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = pytest.mark.airflow

SECRET = "mk:cl13nt?s3cret"
SEED = 941_507


@pytest.fixture
def tokens() -> Iterator[DemoService]:
    """A service whose tokens end after two seconds, and whose refresh tokens change at each use."""
    with DemoService.start(
        seed=SEED,
        subscribers=400,
        latency_ms=100,
        client_id="crm",
        client_secret=SECRET,
        refresh_token=f"refresh-{SEED}-first",
        token_lifetime_s=2.0,
        token_rotates=True,
    ) as service:
        yield service


def traces(airflow: SharedAirflow) -> list[Found]:
    """Return where Airflow or we have written a token or the client's secret."""
    marks = {"access": f"access-{SEED}", "refresh": f"refresh-{SEED}", "secret": SECRET}
    return search(chain(files(airflow.home.directory), metadata(airflow.home)), marks)


def test_tasks_that_run_at_once_share_a_refresh_token_that_changes(
    airflow: SharedAirflow,
    client: AirflowClient,
    own_reports: OwnReports,
    tokens: DemoService,
    loaded: Database[dict[str, Any]],
) -> None:
    """The preflight, the list and two fetches use it in turn; it is kept in the Variable, and nowhere else."""
    variable = own_reports.name("crm_refresh")
    extra = {
        "auth": "oauth2",
        "grant": "refresh_token",
        "token_url": "/oauth/token",
        "refresh_token": f"refresh-{SEED}-first",
        "refresh_token_variable": variable,
    }
    own_reports.connect("tokens_api", "http", tokens.port, json.dumps(extra), login="crm", password=SECRET)
    run = Run.trigger(client, own_reports.dag("tokens"), {})
    run.succeeded()

    counts = tokens.stats()["tokens"]
    assert counts["refused"] == 0
    # The preflight, extract, and each of the two fetches.
    assert counts["issued"] >= 4
    kept = client.request("GET", f"/api/v2/variables/{variable}")["value"]
    assert kept == f"refresh-{SEED}-{counts['issued']:06}"
    assert loaded[run.dag_id].count_documents({}) == 400
    assert not (found := traces(airflow)), "\n".join(map(str, found))
    client.request("DELETE", f"/api/v2/variables/{variable}")


def test_a_password_that_is_changed_in_airflow_is_used_by_a_running_fetch(
    client: AirflowClient, own_reports: OwnReports, loaded: Database[dict[str, Any]]
) -> None:
    """After the first 401: nothing is lost, and no request is an attempt too many."""
    password, reached, changed = ["old"], threading.Event(), threading.Event()
    refused: list[Seen] = []
    answered: list[Seen] = []

    def handle(seen: Seen, _connection: Connection) -> bytes:
        if len(answered) >= 20:
            reached.set()
            changed.wait(HANG_S)
        sent = base64.b64decode(seen.headers.get("authorization", "").removeprefix("Basic ")).decode()
        is_good = sent == f"bot:{password[0]}"
        (answered if is_good else refused).append(seen)
        return as_json({"calls": []}) if is_good else answer(b"", "401 Unauthorized")

    with Server(handle) as server:
        own_reports.connect("changing_api", "http", server.port, login="bot", password="old")
        run = Run.trigger(client, own_reports.dag("changed"), {})
        assert reached.wait(HANG_S)
        # The credentials were read longer ago than a 401 is taken for the request's own.
        threading.Event().wait(5.0)
        address = f"/api/v2/connections/{own_reports.name('changing_api')}"
        whole = {"connection_id": own_reports.name("changing_api"), "conn_type": "http", "host": "127.0.0.1"}
        client.request("PATCH", address, json={**whole, "port": server.port, "login": "bot", "password": "new"})
        password[0] = "new"
        changed.set()
        run.succeeded()
    assert loaded[run.dag_id].count_documents({}) == 60
    assert 1 <= len(refused) <= 4
    assert "have changed: the new ones are used" in run.log("fetch")
