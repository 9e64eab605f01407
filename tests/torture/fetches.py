"""Fetches from the HTTP service with the settings that an author gets by default, and what the service saw of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_fanout.api.request import Request
from airflow_fanout.model.settings import FetchSettings
from harness.numbers import numbers
from tests.engine.harness import frozen, job

if TYPE_CHECKING:
    from airflow_fanout.launch.job import Job
    from harness.service import DemoService
    from tests.engine.harness import Run

# The short form is a part of all tests, the long one takes minutes: `make torture`.
LONG = os.environ.get("TORTURE") == "long"
CALLS = Request(endpoint="/calls/{tel}", query={"day": "2026-11-01"}, result="calls")


def calls_of(service: DemoService, folder: Path, number: int, how: FetchSettings) -> Job:
    """Return the job of fetching the calls of so many subscribers."""
    return job(frozen(folder, numbers(number), ("tel",)), CALLS, service.url, how)


def over_time(found: Run) -> list[dict[str, Any]]:
    """Return the summary's limits over time."""
    told: list[dict[str, Any]] = found.progress.limits["over_time"]
    return told


def by_second(service: DemoService) -> dict[int, dict[str, int]]:
    """Return requests and refusals of each second, by the seconds since the service's start."""
    return {int(second): counts for second, counts in service.stats()["by_second"].items()}
