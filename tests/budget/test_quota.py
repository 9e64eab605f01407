"""Quotas with real engines: what fits is requested, the rest after the renewal, and nothing twice."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from airflow_fanout.api.request import Request
from airflow_fanout.control.allotment import allot
from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.budget_state import BudgetAsk, BudgetState, LedgerAnswer, Rank
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.quiet import QuietHours
from airflow_fanout.control.quota import Quota
from airflow_fanout.launch.budget_user import BudgetUser
from airflow_fanout.launch.budget_view import BudgetView
from airflow_fanout.launch.errors import BudgetWait
from airflow_fanout.launch.fetch import Fetch
from airflow_fanout.launch.messages import Ended, FetchMessage, ProgressReport
from airflow_fanout.launch.needed import least_requests
from airflow_fanout.launch.plan import Shard
from airflow_fanout.launch.reserving import Reserver
from airflow_fanout.model.progress import Progress
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.live import ProgressSnapshot
from tests.budget.service import TimedService
from tests.control.test_quota import moment
from tests.engine.harness import frozen, job, settings

REQUEST = Request(endpoint="/{n}")
RENEWAL = moment("2026-11-27T00:00")


class MovableLedger:
    """A budget's state whose clock a test puts forward; it begins to run with the first question."""

    def __init__(self, at: str) -> None:
        self._begins_us = moment(at)
        self._ahead_us: int | None = None
        self._one_at_a_time = threading.Lock()
        self.state = BudgetState()

    @staticmethod
    def _monotonic_us() -> int:
        return time.monotonic_ns() // 1_000

    @property
    def ahead_us(self) -> int:
        """By how much it is ahead of the monotonic clock."""
        if self._ahead_us is None:
            self._ahead_us = self._begins_us - self._monotonic_us()
        return self._ahead_us

    @property
    def now_us(self) -> int:
        """Its time."""
        ahead_us = self.ahead_us
        return ahead_us + self._monotonic_us()

    def move_to(self, moment_us: int) -> None:
        """Put the clock forward; it runs on with the next question."""
        self._begins_us, self._ahead_us = moment_us, None

    def ask(self, ask: BudgetAsk, timeout_s: float) -> LedgerAnswer:  # noqa: ARG002 - a ledger's signature
        """Decide as MongoDB's documents do."""
        with self._one_at_a_time:
            self.state, answer = allot(self.state, ask, self.now_us)
        return LedgerAnswer(reservation=answer, ahead_us=self.ahead_us)


class Report:
    """A report whose fetch is begun again and again, as Airflow does after a deferral."""

    def __init__(
        self, folder: Path, count: int, url: str, budget: ApiBudget, ledger: MovableLedger, **how: Any
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        request = how.pop("request", REQUEST)
        self._settings = settings(how.pop("concurrency", 16), **how)
        directory = frozen(folder, range(count), ("n",))
        self._job = replace(job(directory, request, url, self._settings), budget=budget.name)
        self._user = BudgetUser(budget, ledger, rank=Rank.NIGHTLY, dag_id="daily")
        self.notes: list[str] = []
        self.heard: list[FetchMessage] = []

    def fetch(self) -> Progress:
        """Run the engines to their end."""
        directory = list_at(self._job.directory)
        part = Shard.of(directory, read_manifest(directory), None)
        view = BudgetView(self._user, least_requests(self._job, directory), self.notes.append)
        reserver = Reserver(self._user, self._settings, self.notes.append, view)

        def hear(message: FetchMessage) -> None:
            self.heard.append(message)
            if isinstance(message, Ended):
                # As the reporter of a task does: the next one reads it.
                snapshot = ProgressSnapshot.of(message.progress, datetime.now(UTC))
                snapshot.write(directory.shard(part.shard).progress)

        return Fetch(part, self._job, hear, reserver=reserver).run("the API")

    def waits(self) -> BudgetWait:
        """Run the engines until the budget is closed; return the wait."""
        with pytest.raises(BudgetWait) as wait:
            self.fetch()
        return wait.value


def daily(requests: int, per_s: float = 3_000.0, **more: Any) -> ApiBudget:
    """Return a budget with a quota per day."""
    return ApiBudget(name="calls", rate_per_s=per_s, quotas=(Quota(requests=requests, per="day"),), **more)


@pytest.mark.slow
def test_what_fits_is_requested_and_the_rest_after_the_renewal(tmp_path: Path) -> None:
    """12,000 parameters and 10,000 requests a day: each parameter is requested exactly once."""
    ledger = MovableLedger("2026-11-26T12:00")
    with TimedService().running() as service:
        report = Report(tmp_path, 12_000, service.url, daily(10_000), ledger, concurrency=64)
        wait = report.waits()
        assert len(service.arrived) == 10_000
        assert (wait.done, wait.total, wait.has_moved) == (10_000, 12_000, True)
        assert wait.waits_for == "the renewal of the quota, 10,000 requests per day (UTC)"
        assert 0 <= wait.seconds - (RENEWAL - ledger.now_us) / MICRO <= 600
        ledger.move_to(RENEWAL)
        progress = report.fetch()
        assert len(service.arrived) == len(set(service.lines)) == 12_000
        assert (progress.done, progress.resumed) == (12_000, 10_000)
    [first, second] = [note for note in report.notes if "requests are needed" in note]
    assert first.startswith(
        "The request budget 'calls' (rank: nightly, share of 'daily'): "
        "At least 12,000 requests are needed, and 10,000 fit before the renewal at "
        "2026-11-27 00:00 UTC; complete by 2026-11-27 00:00 UTC at 3,000/s, if nothing else uses the budget."
    )
    assert "At least 2,000 requests are needed, and all of them fit; complete by" in second


@pytest.mark.slow
def test_several_engines_use_the_quota_together(tmp_path: Path) -> None:
    """Each of them stops when its own requests have had their answers."""
    ledger = MovableLedger("2026-11-26T12:00")
    with TimedService(latency_s=0.5).running() as service:
        report = Report(tmp_path, 300, service.url, daily(200, per_s=500.0), ledger, concurrency=64, processes=2)
        assert report.waits().done == len(service.arrived) == 200
        ledger.move_to(RENEWAL)
        assert report.fetch().done == len(set(service.lines)) == len(service.lines) == 300


def test_the_progress_has_the_state_of_the_budget(tmp_path: Path) -> None:
    """What is left, until when, and what the fetch waits for."""
    ledger = MovableLedger("2026-11-26T12:00")
    with TimedService().running() as service:
        report = Report(tmp_path, 900, service.url, daily(600, per_s=200.0), ledger)
        report.waits()
    shown = [message.progress.budget for message in report.heard if isinstance(message, ProgressReport)]
    budgets = [budget for budget in shown if budget is not None]
    assert {(budget.name, budget.queue, budget.rank, budget.clients) for budget in budgets} == {
        ("calls", "daily", "nightly", 1)
    }
    lefts = [budget.left for budget in budgets]
    assert lefts == sorted(lefts, reverse=True)
    assert budgets[0].rate_per_s == 200.0
    assert "At least 900 requests are needed, and 600 fit" in budgets[0].forecast


def test_quiet_hours_close_the_budget_in_the_same_way(tmp_path: Path) -> None:
    """Nothing is requested in them."""
    ledger = MovableLedger("2026-11-26T23:00")
    budget = ApiBudget(name="calls", rate_per_s=500, quiet_hours=(QuietHours(hours="22:00-06:00"),))
    with TimedService().running() as service:
        report = Report(tmp_path, 50, service.url, budget, ledger)
        wait = report.waits()
        assert (service.arrived, wait.done, wait.has_moved) == ([], 0, True)
        assert wait.waits_for == "the end of the quiet hours, 22:00-06:00 (UTC)"
        ledger.move_to(moment("2026-11-27T06:00"))
        assert report.fetch().done == len(service.arrived) == 50


def test_a_short_wait_is_waited_for(tmp_path: Path) -> None:
    """The renewal is seconds away: the worker slot is kept."""
    ledger = MovableLedger("2026-11-26T23:59:52")
    with TimedService().running() as service:
        report = Report(tmp_path, 30, service.url, daily(20, per_s=500.0), ledger)
        assert report.fetch().done == len(service.arrived) == 30
    budgets = [message.progress.budget for message in report.heard if isinstance(message, ProgressReport)]
    assert "the renewal of the quota, 20 requests per day (UTC)" in {budget.waits_for for budget in budgets if budget}


@pytest.mark.slow
def test_a_slow_answer_is_waited_for_when_the_quota_is_used_up(tmp_path: Path) -> None:
    """What is in flight has used the quota: giving it up would cost its requests again."""
    ledger = MovableLedger("2026-11-26T12:00")
    with TimedService(latency_s=3.0).running() as service:
        report = Report(tmp_path, 30, service.url, daily(20, per_s=100.0), ledger)
        assert report.waits().done == 20
        ledger.move_to(RENEWAL)
        assert report.fetch().done == len(service.lines) == len(set(service.lines)) == 30


def thrice(session: Any, n: int) -> int:
    """Send three requests, one after the other."""
    for step in range(3):
        session.get(f"/{n}/{step}").raise_for_status()
    return n


@pytest.mark.slow
def test_each_request_of_a_function_counts(tmp_path: Path) -> None:
    """A call that is interrupted begins again after the renewal; no period has more requests than the quota."""
    ledger = MovableLedger("2026-11-26T12:00")
    with TimedService().running() as service:
        report = Report(tmp_path, 40, service.url, daily(100, per_s=300.0), ledger, request=thrice)
        done = [report.waits().done]
        assert 0 < len(service.arrived) <= 100
        for day in range(27, 31):
            ledger.move_to(moment(f"2026-11-{day}T00:00"))
            before = len(service.arrived)
            try:
                done.append(report.fetch().done)
            except BudgetWait as wait:
                done.append(wait.done)
            assert len(service.arrived) - before <= 100
            if done[-1] == 40:
                break
    assert done == sorted(done)
    assert (done[-1], len(set(service.lines))) == (40, 120)


def test_what_was_reserved_and_not_sent_is_left_for_others(tmp_path: Path) -> None:
    """A fetch that sends more slowly than it reserves gives the rest back."""
    ledger = MovableLedger("2026-11-26T12:00")
    with TimedService(latency_s=0.2).running() as service:
        report = Report(tmp_path, 120, service.url, daily(1_000, per_s=400.0), ledger)
        assert report.fetch().done == len(service.arrived) == 120
    [(_, counted)] = ledger.state.usage["day"]
    assert counted == 120
