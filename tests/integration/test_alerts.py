"""One message for a run that fails, one when it is good again, one when it is late."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from harness.airflow import AirflowClient
from harness.numbers import number
from harness.processes import free_port
from harness.service import DemoService
from tests.airflow_fixture import SharedAirflow
from tests.integration.own import OwnDag, OwnReports
from tests.integration.receivers import Hook, Mailbox, html_of
from tests.integration.runs import Run, until

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

COUNT = 300
DAY = datetime(2026, 11, 1, tzinfo=UTC)
# Of a scheduled run, and of others.
RANKS = {"scheduled": "nightly", "manual": "manual", "backfill": "backfill"}
RATE_PER_S = 200
# Long enough for a second message to arrive, if there were one.
QUIET_S = 3.0


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server."""
    with Mailbox().open() as opened:
        yield opened


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A webhook."""
    with Hook().open() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _connections(own_reports: OwnReports, mailbox: Mailbox, hook: Hook) -> None:
    plain = '{"disable_tls": true, "disable_ssl": true, "retry_limit": 1, "timeout": 30}'
    own_reports.connect("mail", "smtp", mailbox.port, plain)
    own_reports.connect("dead_mail", "smtp", free_port(), plain)
    own_reports.connect("hook", "http", hook.port)


def arrived(hook: Hook, count: int, mailbox: Mailbox | None = None) -> list[str]:
    """Wait for this number of posts, and of mails if there are any, and a while for one too many."""
    until(lambda: len(hook.texts) >= count, what=f"{count} posts")
    until(lambda: mailbox is None or len(mailbox.mails) >= count, what=f"{count} mails")
    time.sleep(QUIET_S)
    return hook.texts


def link_of(text: str) -> str:
    """Return the address of the run that a message is about."""
    return next(line for line in text.splitlines() if line.startswith("Run: "))


def lose_all(service: DemoService) -> None:
    """Let the service know none of the subscribers."""
    service.set_faults(missing=[number(index) for index in range(COUNT)])


def test_three_failed_shards_are_one_message_and_their_completion_another(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, mailbox: Mailbox, hook: Hook
) -> None:
    """Three shards fail: one mail, one post. The run is cleared and good: one mail, one post. Cleared again: none."""
    lose_all(service)
    run = Run.trigger(client, own_dag("alerted"), {"count": COUNT})
    assert run.ended() == "failed"
    (text,) = arrived(hook, 1, mailbox)
    assert [run.states[f"fetch[{index}]"] for index in range(3)] == ["failed"] * 3
    assert mailbox.subjects == [text.splitlines()[0]]
    assert re.match(
        rf"{run.dag_id} has failed for 20\d\d-\d\d-\d\d \d\d:\d\d: fetch, 300 of 300 missing$", text.splitlines()[0]
    )
    assert "fetch, 3 shards (0, 1, 2), failed with Tripped:" in text
    # The shared Airflow is below a path, which each address in a message has.
    assert client.url.endswith("/airflow")
    run_id = run.run_id.replace(":", "%3A").replace("+", "%2B")
    assert f"{client.url}/dags/{run.dag_id}/runs/{run_id}/tasks/fetch/mapped/0" in text
    assert "Not run as a result: validate, load." in text
    assert "\nStarted: by hand" in text
    assert "\nParams: count = 300\n" in text
    mail = html_of(mailbox.mails[0])
    assert re.search(r"/plugin/fanout-dag_run\"[^>]*>Open the run</a>.*/plugin/fanout-dag_run#failed-in-fetch\"", mail)
    assert not any(number(index) in text for index in range(COUNT))

    service.restore_faults()
    run.clear("fetch")
    run.succeeded()
    _, good = arrived(hook, 2, mailbox)
    assert good.splitlines()[0].startswith(f"{run.dag_id} is good again: ")
    assert re.search(
        r"It had been failing since 20.*\nIt took: \d+ (?:s|min); the run was cleared once\n"
        r"Last fetch: \d+ requests for \d+ parameters, in \d+ s\nLoaded: 300 documents\n",
        good,
    )
    assert mailbox.subjects[1:] == [good.splitlines()[0]]

    run.clear("validate")
    run.succeeded()
    assert len(arrived(hook, 2, mailbox)) == len(mailbox.mails) == 2


@pytest.mark.long
def test_a_run_that_is_loaded_in_part_is_a_message_and_the_next_one_completes_it(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, hook: Hook, loaded: Database[dict[str, Any]]
) -> None:
    """The first run loads what is good and says what is missing; the second loads that first, with the first's date."""
    dag_id = own_dag("alerted_in_part")
    service.set_faults(missing=[number(3), number(50)])
    first = Run.trigger(client, dag_id, {"count": 60})
    first.succeeded()
    (text,) = arrived(hook, 1)
    assert re.match(rf"{dag_id} is loaded in part for 20\d\d-\d\d-\d\d \d\d:\d\d: 2 missing$", text.splitlines()[0])
    assert re.search(r"^ +2 × invalid", text, re.MULTILINE)
    written = first.returned("load")
    assert (written["partial"], written["left_out"], written["documents"]) == (True, 2, 58)

    service.restore_faults()
    service.reset_stats()
    second = Run.trigger(client, dag_id, {"count": 60})
    second.succeeded()
    assert sum(service.asked().values()) == 62
    written_later = second.returned("load")
    assert (written_later["partial"], written_later["documents"]) == (False, 60)
    assert [(each["documents"], each["left_out"]) for each in written_later["catch_up"]] == [(2, 0)]
    of_dates = [datetime.fromisoformat(each["as_of"]) for each in (written, written_later)]
    assert [loaded[dag_id].count_documents({"as_of": as_of}) for as_of in of_dates] == [60, 60]
    late = arrived(hook, 2)[1]
    assert late.splitlines()[0].startswith(f"{dag_id} is complete for 20")
    assert "the 2 parameters that were left out are loaded." in late
    assert first.run_id.partition("T")[0] in late


def test_whatever_fails_is_one_message_and_the_next_good_run_the_recovery(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, mailbox: Mailbox, hook: Hook
) -> None:
    """Two empty lists at once and a killed task: a message each, its own; the next run, good, ends all with one."""
    dag_id = own_dag("alerted")
    empty = [Run.trigger(client, dag_id, {"count": 0}) for _ in range(2)]
    assert [run.ended() for run in empty] == ["failed", "failed"]
    first, second = arrived(hook, 2, mailbox)
    assert ": extract" in first.splitlines()[0]
    assert "gave no parameter at all" in first
    assert link_of(first) != link_of(second)

    service.set_faults(latency_ms=500)
    killed = Run.trigger(client, dag_id, {"count": COUNT})
    killed.fetching(10, map_index=1)
    os.kill(killed.task("fetch", 1)["pid"], signal.SIGKILL)
    service.restore_faults()
    assert killed.ended() == "failed"
    silent = arrived(hook, 3, mailbox)[2]
    assert "fetch, shard 1,:" in silent
    assert "ended without a word" in silent

    Run.trigger(client, dag_id, {"count": COUNT}).succeeded()
    good = arrived(hook, 4, mailbox)[3]
    assert " is good again: " in good
    assert good.count(" is still missing. To load it, ") == 3
    assert len(mailbox.mails) == 4


def test_a_run_that_takes_too_long_is_one_message(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, hook: Hook
) -> None:
    """The scheduler ends it, no task does: the message says so."""
    service.set_faults(latency_ms=5_000)
    assert Run.trigger(client, own_dag("alerted_in_time"), {"count": COUNT}).ended() == "failed"
    service.restore_faults()
    (text,) = arrived(hook, 1)
    assert text.splitlines()[0].endswith(": timed out")
    assert "dagrun_timeout" in text


@pytest.mark.long
def test_a_dead_mail_server_changes_nothing_else(
    client: AirflowClient,
    airflow: SharedAirflow,
    own_dag: OwnDag,
    service: DemoService,
    mailbox: Mailbox,
    hook: Hook,
) -> None:
    """The states are those of a run whose mail arrives; the webhook has its post, and the log has its failure."""
    lose_all(service)
    plainly, in_vain = dag_ids = [own_dag(name) for name in ("alerted_plainly", "alerted_in_vain")]
    runs = [Run.trigger(client, dag_id, {"count": COUNT}) for dag_id in dag_ids]
    assert [run.ended() for run in runs] == ["failed", "failed"]
    assert runs[0].states == runs[1].states
    (text,) = arrived(hook, 1)
    assert text.startswith(f"{in_vain} has failed")

    def logs() -> str:
        return "".join(file.read_text() for file in airflow.home.logs.glob("dag_processor/**/alerting_*.py.log"))

    # Each channel and each DAG's callback takes its own time.
    until(lambda: f"Channel(SmtpNotifier) could not be sent: {in_vain} has failed" in logs(), what="the failure's log")
    # A notifier by itself has the macro, too.
    until(lambda: mailbox.mails, what="the mail of a notifier by itself")
    assert [subject.split(" for ")[0] for subject in mailbox.subjects] == [f"{plainly} has failed"]


LATE = """
    from datetime import datetime, UTC
    from airflow.sdk import DAG
    from airflow.providers.http.notifications.http import HttpNotifier
    from airflow_fanout import Alerts, Channel, FanoutTaskGroup, Request
    from subscribers import DAY, some

    alerts = Alerts(Channel(HttpNotifier, http_conn_id="hook", json={{"text": "{{{{ macros.fanout.alert().text }}}}"}}))
    with DAG(
        "late_report",
        schedule="@daily",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        params={{"first": 0, "count": 1200}},
        deadline=alerts.not_loaded_by("{at}", timezone="{zone}"),
    ):
        FanoutTaskGroup(
            "report",
            prefix_group_id=False,
            extract={{"source": some, "names": ("tel",)}},
            fetch={{
                "request": Request(endpoint="/calls/{{tel}}", query={{"day": DAY}}, result="calls"),
                "http_conn_id": "shared_api",
                "concurrency": 20,
            }},
            load={{"database": "tests", "collection": "late_report", "key": ("tel",)}},
        )
"""


def test_a_missed_deadline_is_told_while_the_run_goes_on(
    client: AirflowClient, service: DemoService, hook: Hook, own_reports: OwnReports
) -> None:
    """The message has the live progress, comes while fetch runs, and only for the scheduled run.

    Who goes first under the API's request budget depends on how a run came about.
    """
    budget = {"name": own_reports.name("shared"), "rate_per_s": RATE_PER_S}
    own_reports.connect("shared_api", "http", service.port, json.dumps({"budget": budget}))
    service.set_faults(latency_ms=2_000)
    # The fetch has begun by then, on a busy machine too, and takes two minutes.
    at = datetime.now(UTC) + timedelta(seconds=70)
    own_reports.add("late_report", LATE.format(at=f"{at:%H:%M:%S}", zone="UTC"))
    (run_id,) = until(lambda: [run["dag_run_id"] for run in client.runs("late_report")], what="a run")
    run = Run(client, "late_report", run_id)
    text = arrived(hook, 1)[0]
    assert run.states["fetch"] == "running"
    assert re.match(rf"late_report wasn't loaded by {at:%H:%M} \(UTC\) for 20\d\d-\d\d-\d\d: \d+ % fetched\n", text)
    assert re.search(r"fetch: \d+ of 1,200 \(\d+\.\d %\), \d+/s, about \d+ (s|min) left", text)
    service.restore_faults()
    run.succeeded()
    # Its time is over, too: a run for which it counted would be told as soon as it is there.
    Run.trigger(client, "late_report", {"count": 1}).succeeded()
    client.create_backfill("late_report", DAY, DAY, conf={"count": 1})
    until(lambda: len(client.runs("late_report")) == 3, what="a run of the backfill")
    runs = {run["run_type"]: Run(client, "late_report", run["dag_run_id"]) for run in client.runs("late_report")}
    assert {kind: run.ended() for kind, run in runs.items()} == dict.fromkeys(RANKS, "success")
    for kind, rank in RANKS.items():
        assert f"(rank: {rank}, share of 'late_report'): At least" in runs[kind].log("fetch")
    # Twenty requests at once, each of which takes 50 ms, would be twice as fast.
    per_s = {int(second): counts["requests"] for second, counts in service.stats()["by_second"].items()}
    most = max(sum(per_s.get(later, 0) for later in range(second, second + 5)) for second in per_s)
    assert most <= 5 * 1.25 * RATE_PER_S
    assert len(arrived(hook, 1)) == 1
