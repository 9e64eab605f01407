"""Parameters and results are in the list, the journal and the collection, secrets in connections, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from harness.processes import free_port
from tests.airflow_fixture import SharedAirflow
from tests.http.servers import Server
from tests.integration.marks import (
    KEY,
    LEAKED,
    MARKS,
    MONGO,
    PASSWORD,
    RESULT,
    TOKEN,
    Found,
    Processes,
    api,
    files,
    forms,
    metadata,
    search,
)
from tests.integration.own import DAGS, OwnReports
from tests.integration.receivers import Hook
from tests.integration.runs import Run, until

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

pytestmark = pytest.mark.airflow

FEW = ("good_list", "good_function", "status_that_quotes", "function_raises", "document_raises", "check_raises")
ALL = tuple(kind for kind in DAGS["leaks.py"] if kind != "leak")
# Only so that nobody waits for ever.
FULL_S = 1800.0


@pytest.fixture
def server() -> Iterator[Server]:
    """The marked API."""
    with Server(api) as running:
        yield running


@pytest.fixture
def hook() -> Iterator[Hook]:
    """Where the alerts go."""
    with Hook().open() as running:
        yield running


@pytest.fixture
def marked(own_reports: OwnReports, server: Server, hook: Hook, mongo_uri: str) -> OwnReports:
    """The reports of all kinds, and their connections, which hold the credentials."""
    bearer = '{"auth": "bearer"}'
    own_reports.connect("leak_hook", "http", hook.port)
    own_reports.connect("leak_api", "http", server.port, bearer, password=TOKEN)
    own_reports.connect("leak_basic", "http", server.port, login="bot", password=PASSWORD)
    own_reports.connect("leak_digest", "http", server.port, '{"auth": "digest"}', login="bot", password=PASSWORD)
    own_reports.connect("leak_header", "http", server.port, f'{{"X-Api-Key": "{KEY}"}}')
    own_reports.connect("leak_wrong", "http", server.port, bearer, password=f"leak-wrong {TOKEN}")
    proxies = f'{{"proxies": {{"http": "http://bot:{KEY}@127.0.0.1:{free_port()}"}}}}'
    own_reports.connect("leak_proxy", "http", server.port, proxies, login="bot", password=PASSWORD)
    own_reports.connect("leak_nobody", "http", free_port(), bearer, password=TOKEN)
    own_reports.connect("leak_line_feed", "http", server.port, bearer, password=f"{TOKEN}\n")
    own_reports.connect("leak_mongo", "mongo", urlsplit(mongo_uri).port or 27017, login="bot", password=MONGO)
    return own_reports


@pytest.fixture
def target(mongo: MongoClient[dict[str, Any]]) -> Database[dict[str, Any]]:
    """The database that these reports load into."""
    return mongo["leaks"]


def runs_of(kinds: Sequence[str], marked: OwnReports, airflow: SharedAirflow) -> list[Run]:
    """Run reports of these kinds side by side, to their ends."""
    runs = [Run.trigger(airflow.client(), marked.dag(kind)) for kind in kinds]
    for run in runs:
        run.ended(timeout_s=FULL_S)
    return runs


def leaks(airflow: SharedAirflow, processes: Processes, hook: Hook, marks: Mapping[str, str] = MARKS) -> list[Found]:
    """Search everything that Airflow and we have written."""
    home = airflow.home.directory
    left = (file for file in Path(gettempdir()).glob("fanout*") if file.is_file())
    written = chain(
        files(home, without=[home / "fanout"]),
        metadata(airflow.home),
        (("alert", str(posted)) for posted in hook.posted),
        ((str(file), file.read_bytes().decode("utf-8", "replace")) for file in left),
        processes.texts(),
    )
    return search(written, marks)


def prepare(target: Database[dict[str, Any]], marked: OwnReports) -> None:
    """Make the collections that refuse documents."""
    target.create_collection(marked.name("mongo_validator"), validator={"result.nonsense": {"$exists": True}})
    target[marked.name("mongo_unique")].create_index("result.same", unique=True)


def check(
    kinds: Sequence[str],
    marked: OwnReports,
    airflow: SharedAirflow,
    hook: Hook,
    target: Database[dict[str, Any]],
) -> None:
    """Run reports of these kinds; none leaves a mark, and the good ones are loaded."""
    with Processes() as processes:
        runs = runs_of(kinds, marked, airflow)
    states = {kind: run.ended() for kind, run in zip(kinds, runs, strict=True)}
    assert {kind for kind, state in states.items() if state == "success"} == {
        kind for kind in kinds if kind.startswith("good_")
    }
    good = marked.name("good_list")
    assert target[good].count_documents({"result.name": RESULT}) == 8
    assert processes.engines
    # The alerts come after the end.
    failed = [kind for kind, state in states.items() if state == "failed"]
    until(lambda: len(hook.posted) >= len(failed), within_s=FULL_S, what="an alert for each failed run")
    found = leaks(airflow, processes, hook)
    assert not found, "\n".join(map(str, found))


@pytest.mark.timeout(FULL_S)
def test_no_report_leaks_what_it_is_about(
    marked: OwnReports, airflow: SharedAirflow, hook: Hook, target: Database[dict[str, Any]]
) -> None:
    """No number, answer or credential is in a log, an XCom, an alert, the metadata database or a command line."""
    check(FEW, marked, airflow, hook, target)


@pytest.mark.long
@pytest.mark.timeout(FULL_S)
def test_no_kind_of_report_leaks_what_it_is_about(
    marked: OwnReports, airflow: SharedAirflow, hook: Hook, target: Database[dict[str, Any]]
) -> None:
    """The same for good and failing reports of each kind."""
    prepare(target, marked)
    check(ALL, marked, airflow, hook, target)


def test_a_leak_is_found(marked: OwnReports, airflow: SharedAirflow, hook: Hook) -> None:
    """A function that prints its parameter is found in the log: the search would find another leak, too."""
    with Processes() as processes:
        runs_of(["leak"], marked, airflow)
    found = leaks(airflow, processes, hook, LEAKED)
    assert any("task_id=fetch" in one.place for one in found), found


def test_each_form_of_a_mark_is_found() -> None:
    """As it is, in an address, in JSON and in base64, also inside of something longer."""
    for mark in (TOKEN, PASSWORD, RESULT):
        assert all(search([("here", f"a{form}b")]) for form in forms(mark))
