"""A report while Airflow itself is disturbed: it ends right, or fails with one message and one clear completes it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
import pytest
import sqlalchemy

from airflow_fanout.model.outcome import Record
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.lines import read_lines
from harness.airflow import Airflow, AirflowClient, AirflowHome
from harness.airflow.server import ORPHANS_GRACE_S
from harness.numbers import number
from harness.service import DemoService
from harness.service.calls import calls_of
from harness.service.options import Options
from tests.forwarder import Forwarder
from tests.integration.dags.subscribers import DAY
from tests.integration.engines import engine_of
from tests.integration.own import own_service
from tests.integration.receivers import Hook
from tests.integration.runs import Run, until
from tests.metadata import copied
from tests.postgres import sql_alchemy_conn
from tests.shared import PLUGINS, Servers, connections

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = [pytest.mark.airflow, pytest.mark.own_airflow, pytest.mark.slow]

DAGS = Path(__file__).with_name("dags")
DAG_ID = "disturbed"
CONCURRENCY = 10
LATENCY_MS = 500
A_SECOND = CONCURRENCY * 1000 // LATENCY_MS
OUTAGE_S = 20.0
# Long enough for a second message to arrive, if there were one.
QUIET_S = 3.0
# How often a scheduler looks for the tasks of one that hasn't been heard of for half a minute.
SOON = {"scheduler.orphaned_tasks_check_interval": "3"}
# Ends processes when nobody holds the other end of its input any more.
END_AFTERWARDS = """
import sys, psutil
orphans = [psutil.Process(int(pid)) for pid in sys.argv[1:]]
sys.stdin.read()
for orphan in filter(psutil.Process.is_running, orphans):
    orphan.kill()
"""
TRANSACTIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'
"""
LOOKS, LOOK_S = 20, 0.05
FAILED = f"{DAG_ID} has failed for "
GOOD_AGAIN = f"{DAG_ID} is good again: "


@dataclass(frozen=True)
class Own:
    """An Airflow for these tests only, and the way to its metadata database."""

    airflow: Airflow
    client: AirflowClient
    metadata: Forwarder


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    """A webhook."""
    with Hook().open() as opened:
        yield opened


@pytest.fixture(scope="module")
def call_service() -> Iterator[DemoService]:
    """The service that this Airflow is connected to."""
    with own_service() as running:
        yield running


@pytest.fixture
def service(call_service: DemoService) -> Iterator[DemoService]:
    """The service with nothing counted and no faults."""
    call_service.restore_faults()
    call_service.reset_stats()
    yield call_service
    call_service.restore_faults()


@pytest.fixture(scope="module")
def own(
    tmp_path_factory: pytest.TempPathFactory,
    call_service: DemoService,
    mongo_uri: str,
    hook: Hook,
    servers: Servers,
) -> Iterator[Own]:
    """An Airflow with PostgreSQL for its metadata, under a service manager that starts again what ends."""
    directory = tmp_path_factory.mktemp("disturbed")
    port = servers.ask("migrated_database", DAG_ID)
    with Forwarder(port).open() as metadata:
        home = AirflowHome(
            directory=directory / "home",
            dags=directory / "dags",
            plugins=PLUGINS,
            connections={**connections(call_service.url, mongo_uri), "hook": hook.url},
            config={**SOON, "database.sql_alchemy_conn": sql_alchemy_conn(metadata.port, DAG_ID)},
        )
        home.dags.mkdir()
        for name in ("alerting.py", "subscribers.py"):
            shutil.copy(DAGS / name, home.dags)
        with Airflow(copied(home, servers)) as airflow, managed(airflow):
            client = AirflowClient(airflow.url).log_in("admin", airflow.logins["admin"])
            client.wait_parsed(DAG_ID, file=home.dags / "alerting.py")
            client.unpause(DAG_ID)
            yield Own(airflow, client, metadata)
            client.close()


@contextmanager
def managed(airflow: Airflow) -> Iterator[None]:
    """Start again whatever component ends, as systemd or Docker do."""
    over = Event()

    def watch() -> None:
        while not over.wait(0.5):
            airflow.start_again()

    thread = Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True)
class Report:
    """A run of the report, and the subscribers that it is about."""

    run: Run
    numbers: Sequence[str]

    @classmethod
    def begun(cls, own: Own, first: int, count: int) -> Report:
        """Start a run about the subscribers from `first` on."""
        run = Run.trigger(own.client, DAG_ID, {"first": first, "count": count})
        return cls(run, [number(index) for index in range(first, first + count)])

    def told(self, hook: Hook) -> list[str]:
        """Return how the messages begin that link to the run."""
        texts = [text for text in hook.texts if quote(self.run.run_id, safe="") in text]
        return [next(known for known in (FAILED, GOOD_AGAIN) if text.startswith(known)) for text in texts]

    def failed(self, hook: Hook) -> None:
        """Wait until the run has failed and a message tells of it."""
        assert self.run.ended() == "failed"
        until(lambda: self.told(hook), what="a message of the failure")

    def completed_by_one_clear(self, hook: Hook) -> None:
        """Clear fetch, and wait until the run is good and a message tells of it."""
        self.run.clear("fetch")
        self.run.succeeded()
        until(lambda: len(self.told(hook)) > 1, what="a message of the recovery")

    def is_right(self, loaded: Database[dict[str, Any]]) -> None:
        """Compare the loaded documents with what the service knows."""
        as_of = datetime.fromisoformat(self.run.returned("load")["as_of"])
        found = loaded[DAG_ID].find({"as_of": as_of}, {"_id": False, "as_of": False}).sort("tel")
        assert list(found) == [{"tel": tel, "result": calls(tel)} for tel in sorted(self.numbers)]

    def asked_again(self, service: DemoService) -> int:
        """Return how many requests were one too many."""
        asked = service.asked()
        times = [asked[tel] for tel in self.numbers]
        assert max(times) <= 2
        return sum(times) - len(times)

    def kept_and_asked_again(self, service: DemoService) -> list[str]:
        """Return whom the first try had the answer of, and the service was asked for again."""
        generation = list_at(self.run.returned("extract")["directory"]).shard(0).generation(1)
        parts = generation.attempt(1).parts()
        kept = [Record.from_line(line).parameter["tel"] for part in parts for line in read_lines(part)]
        asked = Counter(service.asked())
        return [tel for tel in kept if asked[tel] > 1]


def calls(tel: str) -> list[dict[str, Any]]:
    """Return a subscriber's calls, as the service makes them."""
    return [asdict(call) for call in calls_of(Options().seed, tel, date.fromisoformat(DAY))]


def mark_failed(report: Report) -> None:
    """Press "mark failed" in the UI."""
    report.run.client.mark(DAG_ID, report.run.run_id, "fetch", "failed")


def kill_task(report: Report) -> None:
    """Kill the task, as the kernel does when there is no memory left."""
    os.kill(report.run.task("fetch")["pid"], signal.SIGKILL)


def stop_worker(report: Report) -> None:
    """Stop the worker that runs the task."""
    engine_of(report.run).parents()[1].terminate()


def test_a_fetch_that_is_ended_is_one_message_and_completed_by_one_clear(
    own: Own, service: DemoService, hook: Hook, loaded: Database[dict[str, Any]]
) -> None:
    """Marked failed in the UI, killed by SIGKILL, or with its worker stopped: only what was lost is asked for again."""
    service.set_faults(latency_ms=LATENCY_MS)
    ways = (mark_failed, kill_task, stop_worker)
    # So many that none is done before its turn has come, on a busy machine too.
    reports = [Report.begun(own, 600 * place, 600) for place in range(len(ways))]
    for report, end in zip(reports, ways, strict=True):
        report.run.fetching(CONCURRENCY)
        end(report)
    for report in reports:
        report.failed(hook)
    service.restore_faults()
    for report in reports:
        report.completed_by_one_clear(hook)
    time.sleep(QUIET_S)
    for report in reports:
        assert report.told(hook) == [FAILED, GOOD_AGAIN]
        report.is_right(loaded)
        assert report.kept_and_asked_again(service) == []
    marked, killed, stopped = (report.asked_again(service) for report in reports)
    # Asked to stop, a fetch waits for what is under way. Killed, it loses that, and what it hasn't written yet.
    assert marked == stopped == 0
    assert killed <= CONCURRENCY + A_SECOND


def its_end(own: Own, scheduler: int, reports: Sequence[Report]) -> None:
    """Wait until a scheduler has waited for its fetches, and another one has come."""
    for report in reports:
        own.client.wait_task(DAG_ID, report.run.run_id, "fetch", states={"success"})
    time.sleep(QUIET_S)
    # Airflow 3.3.2 may hang there: it tells one worker too few to end. A service manager has its patience, too.
    if own.airflow.pids["scheduler"] == scheduler:
        own.airflow.end("scheduler", grace_s=1)
    until(lambda: own.airflow.pids["scheduler"] != scheduler, what="another scheduler")


def drain(own: Own, report: Report) -> None:
    """Stop the scheduler by a SIGTERM of its own: it waits for its tasks before it ends."""
    scheduler = own.airflow.pids["scheduler"]
    os.kill(scheduler, signal.SIGTERM)
    its_end(own, scheduler, [report])


def stop(own: Own, _report: Report) -> None:
    """Stop the scheduler, its workers and their tasks, as a machine's shutdown does."""
    own.airflow.end("scheduler", ORPHANS_GRACE_S)


def kill(own: Own, report: Report) -> None:
    """Kill the scheduler; its workers are stopped with it, as those of a container are."""
    scheduler = psutil.Process(own.airflow.pids["scheduler"])
    workers = scheduler.children(recursive=True)
    engine = engine_of(report.run)
    task = engine.parents()[0]
    scheduler.kill()
    # One that goes on for a moment could do all that is left.
    psutil.wait_procs([engine, task])
    until(lambda: report.run.states["fetch"] == "failed", what="a word of the fetch's end")
    # Airflow's workers end by themselves only when their scheduler tells them to.
    for idle in workers:
        with suppress(psutil.NoSuchProcess):
            idle.kill()
    psutil.wait_procs(workers)


@dataclass(frozen=True)
class Way:
    """A way to restart the scheduler, and whether the run fails of it."""

    restart: Callable[[Own, Report], None]
    first: int
    fails: bool
    is_long: bool = False


WAYS = {
    "drained": Way(drain, 600, fails=False, is_long=True),
    "stopped with its tasks": Way(stop, 800, fails=True, is_long=True),
    "killed with its tasks": Way(kill, 1000, fails=True),
}


@pytest.mark.parametrize(
    "way", [pytest.param(way, id=name, marks=[pytest.mark.long] * way.is_long) for name, way in WAYS.items()]
)
def test_the_scheduler_is_restarted_in_mid_run(
    own: Own, service: DemoService, hook: Hook, loaded: Database[dict[str, Any]], way: Way
) -> None:
    """The next scheduler goes on with the run, or fails it with one message; nothing is asked for twice."""
    # So slow that the fetch isn't done before the scheduler's turn has come, on a busy machine too.
    service.set_faults(latency_ms=3 * LATENCY_MS)
    report = Report.begun(own, way.first, 200)
    report.run.fetching(CONCURRENCY)
    way.restart(own, report)
    service.restore_faults()
    if way.fails:
        report.failed(hook)
        report.completed_by_one_clear(hook)
    else:
        report.run.succeeded()
    time.sleep(QUIET_S)
    assert report.told(hook) == ([FAILED, GOOD_AGAIN] if way.fails else [])
    assert report.run.tries("fetch") == (2 if way.fails else 1)
    report.is_right(loaded)
    assert report.asked_again(service) == 0


@contextmanager
def left_alone(own: Own) -> Iterator[None]:
    """Kill the scheduler and nothing else; its workers go on until the context ends."""
    scheduler = psutil.Process(own.airflow.pids["scheduler"])
    keeper, orphans = scheduler.parent(), scheduler.children(recursive=True)
    # The keeper's duty is to leave nothing behind: it goes first, while the scheduler can't hear of it.
    until(lambda: is_suspended_at_rest(own, scheduler), what="a moment in which the scheduler has no transaction")
    assert keeper
    # Who ends the orphans instead hears of this process's end, too, however that comes.
    command = [sys.executable, "-c", END_AFTERWARDS, *(str(orphan.pid) for orphan in orphans)]
    with subprocess.Popen(command, stdin=subprocess.PIPE):
        keeper.kill()
        scheduler.kill()
        yield


def is_suspended_at_rest(own: Own, scheduler: psutil.Process) -> bool:
    """Suspend the scheduler, if it has no transaction open; return whether that is so.

    Its workers hold the connections to the database that it had when they were made. PostgreSQL would take an open
    transaction for a living one's as long as they live, and keep the next scheduler from all that it has locked.
    """
    scheduler.suspend()
    with sqlalchemy.create_engine(sql_alchemy_conn(own.metadata.port, DAG_ID)).connect() as database:
        for _ in range(LOOKS):
            # Those of Airflow's other components end by themselves.
            if not database.execute(sqlalchemy.text(TRANSACTIONS)).scalar():
                return True
            time.sleep(LOOK_S)
    scheduler.resume()
    return False


@contextmanager
def cut_off(worker: psutil.Process) -> Iterator[None]:
    """Keep a task's worker from Airflow: a heartbeat would tell it, sooner or later, that its task isn't wanted."""
    worker.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            worker.resume()


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process has ended, even if nobody has asked how yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_fetch_that_outlives_its_scheduler_gives_way_to_the_next_try(
    own: Own, service: DemoService, hook: Hook, loaded: Database[dict[str, Any]]
) -> None:
    """The next scheduler takes the running fetch for lost and begins another: the older one stops, nobody is told."""
    service.set_faults(latency_ms=1000)
    report = Report.begun(own, 1200, 600)
    report.run.fetching(CONCURRENCY)
    older = engine_of(report.run)
    with left_alone(own), cut_off(older.parents()[1]):
        until(lambda: report.run.tries("fetch") == 2, what="a second try")
        assert not has_ended(older)
        engine_of(report.run, other_than=older)
        until(lambda: has_ended(older), what="the older fetch's end")
        service.restore_faults()
        report.run.succeeded()
    time.sleep(QUIET_S)
    assert report.told(hook) == []
    report.is_right(loaded)
    # What the older one asks for until it sees the newer one, which is within a second.
    assert report.asked_again(service) <= 2 * CONCURRENCY


def test_the_metadata_database_is_unreachable_for_a_while(
    own: Own, service: DemoService, hook: Hook, loaded: Database[dict[str, Any]]
) -> None:
    """A fetch that ends meanwhile, and one that outlives it, end right in their first try."""
    service.set_faults(latency_ms=1000)
    reports = [Report.begun(own, 0, 100), Report.begun(own, 100, 300)]
    for report in reports:
        report.run.fetching(1)
    scheduler = own.airflow.pids["scheduler"]
    with own.metadata.cut():
        time.sleep(OUTAGE_S)
    its_end(own, scheduler, reports)
    for report in reports:
        report.run.succeeded()
    time.sleep(QUIET_S)
    for report in reports:
        assert report.told(hook) == []
        assert report.run.tries("fetch") == 1
        report.is_right(loaded)
        assert report.asked_again(service) == 0
