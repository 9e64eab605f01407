"""Batches against a service like a company's, with faults: JSON and GraphQL."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from airflow_fanout.api.batch import Batch
from airflow_fanout.api.graphql import GraphQL
from airflow_fanout.api.request import Request
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Retry
from harness.numbers import number, numbers
from harness.service import DemoService
from harness.service.calls import calls_of
from tests.engine.harness import frozen, job, run, settings

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 400
SEED = 7
DAY = "2026-11-22"
UNKNOWN, WRONG = number(COUNT), "no number"
BATCH = Batch(size=20, by="tel", missing="null", item="calls")
BY_JSON = Request(
    endpoint="/calls", method="POST", json={"day": DAY, "tels": ["{tel}"]}, result="found", batch=BATCH, repeatable=True
)
BY_GRAPHQL = GraphQL(
    query="query ($tels: [ID!]!, $day: Date!) { subscribers(tels: $tels, day: $day) { tel calls { at to } } }",
    variables={"tels": ["{tel}"], "day": DAY},
    result="subscribers",
    batch=BATCH,
)


@pytest.mark.parametrize(("request_", "refused"), [(BY_JSON, Kind.HTTP_ERROR), (BY_GRAPHQL, Kind.API_ERROR)])
def test_all_are_there_whatever_the_service_does(tmp_path: Path, request_: Request, refused: Kind) -> None:
    """Errors, resets and 429s cost requests: each subscriber has its own calls in the end."""
    known = list(numbers(COUNT))
    parameters = [*known[:150], WRONG, *known[150:], UNKNOWN]
    faults = {"error_rate": 0.1, "reset_rate": 0.05, "throttle_rate": 0.05}
    how = settings(8, retry=Retry(max_attempts=20, initial_delay_s=0.01, max_delay_s=0.05, budget=1.0))
    with DemoService.start(subscribers=COUNT, seed=SEED) as service:
        service.set_faults(**faults, retry_after_s=0)
        found = run(job(frozen(tmp_path, parameters, ("tel",)), request_, service.url, how))
    results = {record.parameter["tel"]: record for record in found.records}
    assert len(found.records) == len(results) == COUNT + 2
    assert (results[WRONG].kind, results[UNKNOWN].kind) == (refused, Kind.NULL)
    calls = {tel: [{"at": call.at, "to": call.to} for call in calls_of(SEED, tel, date(2026, 11, 22))] for tel in known}
    assert {tel: results[tel].result for tel in known} == calls
    assert found.progress.requests < COUNT // 2
