"""Fetches of real engines under a budget in a real MongoDB, each as a task would run it, and without Airflow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from airflow_fanout.api.request import Request
from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.budget_state import Rank
from airflow_fanout.launch.budget_user import BudgetUser, Ledger
from airflow_fanout.launch.fetch import Fetch
from airflow_fanout.launch.messages import FetchMessage
from airflow_fanout.launch.plan import Shard
from airflow_fanout.launch.reserving import Reserver
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.mongo.budgets import BudgetDocument
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.frozen import read_manifest
from tests.engine.harness import frozen, job, settings

if TYPE_CHECKING:
    from pymongo import MongoClient


@dataclass
class Run:
    """A fetch in a thread of its own."""

    fetch: Fetch
    thread: threading.Thread
    notes: list[str]
    heard: list[FetchMessage]
    results: list[Progress | BaseException] = field(default_factory=list)

    @property
    def result(self) -> Progress:
        """Wait for the end, and return the last progress; raise what it has ended with."""
        self.thread.join()
        [result] = self.results
        if isinstance(result, BaseException):
            raise result
        return result


def run(
    folder: Path,
    count: int,
    url: str,
    budget: ApiBudget,
    ledger: Ledger,
    *,
    dag_id: str = "dag",
    rank: Rank = Rank.NIGHTLY,
    how: FetchSettings | None = None,
    path: str = "/",
    hear: Callable[[FetchMessage], None] = lambda _message: None,
) -> Run:
    """Begin a fetch of so many parameters, each at its own address below a path."""
    how = how or settings(16)
    folder.mkdir(parents=True, exist_ok=True)
    request = Request(endpoint=path + "{n}")
    todo = replace(job(frozen(folder, range(count), ("n",)), request, url, how), budget=budget.name)
    notes: list[str] = []
    reserver = Reserver(BudgetUser(budget, ledger, rank=rank, dag_id=dag_id), how, notes.append)
    directory = list_at(todo.directory)
    part = Shard.of(directory, read_manifest(directory), None)
    heard: list[FetchMessage] = []

    def listen(message: FetchMessage) -> None:
        heard.append(message)
        hear(message)

    fetch = Fetch(part, todo, listen, reserver=reserver)
    begun = Run(fetch, threading.Thread(target=lambda: None), notes, heard)

    def go() -> None:
        try:
            begun.results.append(fetch.run("the API"))
        except BaseException as error:  # noqa: BLE001 - the test raises it
            begun.results.append(error)

    begun.thread = threading.Thread(target=go, daemon=True)
    begun.thread.start()
    return begun


def document(client: MongoClient[dict[str, Any]], budget: ApiBudget) -> BudgetDocument:
    """Return the document of a budget, for one client."""
    return BudgetDocument(client, budget.database, budget.name)
